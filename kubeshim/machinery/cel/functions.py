"""Functions as tables of overloads, found by name, by form (``x.f()`` or ``f(x)``) and by argument types.

A library is a tuple of ``Overload``; ``Table`` joins libraries. Where the checker knows the argument types, a call is
bound to its overload when the expression is compiled; where something is dynamic, ``dispatcher`` chooses at run time.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kubeshim.machinery.cel import types, values


@dataclasses.dataclass(frozen=True, slots=True)
class Overload:
    """``run`` takes the values (of a member call the target first) and may raise ``values.EvaluationError``."""

    function: str
    id: str
    parameters: tuple[types.Type, ...]
    result: types.Type
    run: Callable[..., Any]
    member: bool = False


def member(
    function: str, overload_id: str, parameters: Iterable[types.Type], result: types.Type, run: Callable[..., Any]
) -> Overload:
    return Overload(function, overload_id, tuple(parameters), result, run, True)


def plain(
    function: str, overload_id: str, parameters: Iterable[types.Type], result: types.Type, run: Callable[..., Any]
) -> Overload:
    return Overload(function, overload_id, tuple(parameters), result, run)


class Table:
    def __init__(self, *libraries: Iterable[Overload]) -> None:
        self._found: dict[tuple[str, bool], list[Overload]] = {}
        self.types: dict[str, types.Type] = dict(types.NAMED)
        for library in libraries:
            for overload in library:
                self._found.setdefault((overload.function, overload.member), []).append(overload)
                for each in (overload.result, *overload.parameters):
                    if each.kind == "opaque":
                        self.types[each.name] = each

    def get(self, function: str, is_member: bool) -> list[Overload]:
        return self._found.get((function, is_member), [])

    def forms(self) -> list[tuple[str, bool]]:
        """All there is: ``(function, whether it is a member)``."""
        return sorted(self._found)


def accepts(wanted: types.Type, value: Any) -> bool:
    """Whether a value may be given for a parameter; what is inside of lists and maps is not looked at."""
    kind = wanted.kind
    if kind in ("dyn", "param"):
        return True
    if kind == "opaque":
        own = getattr(value, "cel_type", None)
        return own is not None and own.name == wanted.name
    if kind == "map":
        return isinstance(value, Mapping)
    python = _PYTHON.get(kind)
    return python is not None and type(value) in python


def accepts_any(wanted: Iterable[types.Type], value: Any) -> bool:
    return any(accepts(each, value) for each in wanted)


_PYTHON: dict[str, tuple[type, ...]] = {
    "bool": (bool,), "int": (int,), "uint": (values.Uint,), "double": (float,), "string": (str,), "bytes": (bytes,),
    "null_type": (type(None),), "list": (list, values.TypedList), "timestamp": (values.Timestamp,),
    "duration": (values.Duration,), "type": (types.Type,), "optional_type": (values.Optional,),
}  # fmt: skip


def dispatcher(candidates: list[Overload]) -> Callable[..., tuple[Overload, Any]]:
    """Chooses by the values; says ``no such overload`` where none fits."""

    def run(*args: Any) -> tuple[Overload, Any]:
        for overload in candidates:
            if len(overload.parameters) == len(args) and all(map(accepts, overload.parameters, args)):
                return overload, overload.run(*args)
        raise values.no_such_overload()

    return run
