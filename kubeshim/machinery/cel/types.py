"""The types expressions are checked against, and how messages name them."""

import dataclasses
from collections.abc import Mapping
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True)
class Type:
    """``kind`` is the type's own name (``int``, ``list``, ``object`` …); ``name`` tells objects, opaque types and
    parameters apart. Two objects are the same type when their names are."""

    kind: str
    name: str = ""
    parameters: tuple["Type", ...] = ()
    fields: Mapping[str, Any] | None = dataclasses.field(default=None, compare=False, repr=False, hash=False)
    """Of an object: escaped name → something with a ``type``."""

    def __str__(self) -> str:
        shown = self.name or _SHOWN.get(self.kind, self.kind)
        if not self.parameters:
            return shown
        return f"{shown}({', '.join(map(str, self.parameters))})"

    def declared_name(self) -> str:
        """As upstream names the type of a whole expression, where the checker's complaints have ``str()``."""
        shown = self.name or _DECLARED.get(self.kind, self.kind)
        inner = ", ".join(each.declared_name() for each in self.parameters)
        return f"{shown}({inner})" if inner else shown


_DECLARED = {"timestamp": "google.protobuf.Timestamp", "duration": "google.protobuf.Duration"}
_SHOWN = {"null_type": "null"}

DYN = Type("dyn")
ERROR = Type("error")
BOOL = Type("bool")
INT = Type("int")
UINT = Type("uint")
DOUBLE = Type("double")
STRING = Type("string")
BYTES = Type("bytes")
NULL = Type("null_type")
TIMESTAMP = Type("timestamp")
DURATION = Type("duration")
TYPE = Type("type")

A = Type("param", "<A>")
B = Type("param", "<B>")


def list_of(item: Type) -> Type:
    return Type("list", parameters=(item,))


def map_of(key: Type, value: Type) -> Type:
    return Type("map", parameters=(key, value))


def optional_of(value: Type) -> Type:
    return Type("optional_type", parameters=(value,))


def type_of(value: Type) -> Type:
    return Type("type", parameters=(value,))


def opaque(name: str) -> Type:
    return Type("opaque", name)


def object_type(name: str, fields: Mapping[str, Any]) -> Type:
    return Type("object", name, fields=fields)


NAMED: dict[str, Type] = {
    "bool": BOOL, "int": INT, "uint": UINT, "double": DOUBLE, "string": STRING, "bytes": BYTES, "null_type": NULL,
    "dyn": DYN, "list": list_of(DYN), "map": map_of(DYN, DYN), "type": TYPE, "optional_type": optional_of(DYN),
    "google.protobuf.Timestamp": TIMESTAMP, "google.protobuf.Duration": DURATION,
}  # fmt: skip
"""Type names an expression may use as values: ``type(x) == string``."""


class Substitution:
    """What type parameters stand for so far. Dynamic takes and gives anything."""

    def __init__(self) -> None:
        self._bound: dict[str, Type] = {}
        self._fresh = 0

    def copy(self) -> "Substitution":
        other = Substitution()
        other._bound, other._fresh = dict(self._bound), self._fresh
        return other

    def adopt(self, other: "Substitution") -> None:
        self._bound, self._fresh = other._bound, other._fresh

    def fresh(self) -> Type:
        self._fresh += 1
        return Type("param", f"_var{self._fresh}")

    def instantiate(self, given: Type, names: dict[str, Type]) -> Type:
        """``given`` with its own parameters renamed, the same for each call of one overload."""
        if given.kind == "param":
            if given.name not in names:
                names[given.name] = self.fresh()
            return names[given.name]
        if not given.parameters:
            return given
        return dataclasses.replace(given, parameters=tuple(self.instantiate(each, names) for each in given.parameters))

    def find(self, given: Type) -> Type:
        while given.kind == "param" and given.name in self._bound:
            given = self._bound[given.name]
        return given

    def resolve(self, given: Type) -> Type:
        """``given`` with all that is known put in; what is still open is dynamic."""
        given = self.find(given)
        if given.kind == "param":
            return DYN
        if not given.parameters:
            return given
        return dataclasses.replace(given, parameters=tuple(self.resolve(each) for each in given.parameters))

    def assignable(self, to: Type, given: Type) -> bool:
        """Whether ``given`` may stand where ``to`` is wanted; binds parameters on the way."""
        to, given = self.find(to), self.find(given)
        if to.kind == "param":
            if to != given and not self._occurs(to, given):
                self._bound[to.name] = given
            return True
        if given.kind == "param":
            if not self._occurs(given, to):
                self._bound[given.name] = to
            return True
        if "dyn" in (to.kind, given.kind) or "error" in (to.kind, given.kind):
            return True
        if to.kind == "null_type" or given.kind == "null_type":
            return (
                to.kind == given.kind
                or "object" in (to.kind, given.kind)
                or ("opaque" in (to.kind, given.kind) or {to.kind, given.kind} & _NULLABLE != set())
            )
        if to.kind != given.kind or to.name != given.name:
            return False
        if to.kind == "type":
            return True
        if len(to.parameters) != len(given.parameters):
            return False
        return all(self.assignable(one, other) for one, other in zip(to.parameters, given.parameters, strict=True))

    def _occurs(self, parameter: Type, inside: Type) -> bool:
        inside = self.find(inside)
        return inside == parameter or any(self._occurs(parameter, each) for each in inside.parameters)

    def join(self, one: Type, other: Type) -> Type:
        """The more general of two types that are assignable to each other."""
        one, other = self.find(one), self.find(other)
        return (
            one
            if one.kind in ("dyn", "error") or (one.kind == "param" and other.kind != "dyn")
            else (other if other.kind == "dyn" or one.kind == "null_type" else one)
        )


_NULLABLE = {"timestamp", "duration"}
