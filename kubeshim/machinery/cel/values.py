"""Values while an expression runs.

Most are Python's own: ``bool``, ``int``, ``float``, ``str``, ``bytes``, ``None``, ``list``, ``dict``. What Python has
not, or has otherwise, has a class here. Data of a custom resource stays the JSON it is: ``Object``, ``TypedMap`` and
``TypedList`` look at it through its declaration, and convert a value when it is read (a ``number`` of ``1`` is
``1.0``, a ``date-time`` is a timestamp), so that only what a rule touches costs anything.
"""

import dataclasses
import datetime
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from kubeshim.machinery.cel import types

INT_MIN, INT_MAX, UINT_MAX = -(2**63), 2**63 - 1, 2**64 - 1
NANO = 10**9


class EvaluationError(Exception):
    """What an expression comes to instead of a value; absorbed by ``||`` and ``&&`` where the other side decides."""


class CostExceeded(Exception):
    """Nothing absorbs this one."""


def no_such_overload() -> EvaluationError:
    return EvaluationError("no such overload")


class Uint(int):
    __slots__ = ()


@functools.total_ordering
@dataclasses.dataclass(frozen=True, slots=True)
class Timestamp:
    nanos: int
    """Since 1970, UTC."""
    zone: int = dataclasses.field(default=0, compare=False)
    """Seconds east of UTC in which it was written, and is written again."""

    def __lt__(self, other: "Timestamp") -> bool:
        return self.nanos < other.nanos


@functools.total_ordering
@dataclasses.dataclass(frozen=True, slots=True)
class Duration:
    nanos: int

    def __lt__(self, other: "Duration") -> bool:
        return self.nanos < other.nanos


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Optional:
    value: Any = None
    present: bool = False


NONE = Optional()

Wrap = Callable[[Any], Any] | None
"""JSON to value; None where they are the same."""


@dataclasses.dataclass(slots=True, eq=False)
class Object:
    """``fields``: name in expressions → ``(name in the data, wrap)``. A null field is an absent one."""

    data: dict[str, Any]
    fields: Mapping[str, tuple[str, Wrap]]
    type: types.Type

    def get(self, name: str) -> Any:
        field = self.fields.get(name)
        raw = self.data.get(field[0]) if field is not None else None
        if field is None or raw is None:
            raise EvaluationError(f"no such key: {name}")
        wrap = field[1]
        return raw if wrap is None else wrap(raw)

    def has(self, name: str) -> bool:
        field = self.fields.get(name)
        return field is not None and self.data.get(field[0]) is not None


class TypedMap(Mapping[str, Any]):
    __slots__ = ("_wrap", "data")

    def __init__(self, data: dict[str, Any], wrap: Callable[[Any], Any]) -> None:
        self.data, self._wrap = data, wrap

    def __getitem__(self, key: str) -> Any:
        raw = self.data[key]
        return None if raw is None else self._wrap(raw)

    def __contains__(self, key: object) -> bool:
        return key in self.data

    def __iter__(self) -> Iterator[str]:
        return iter(self.data)

    def __len__(self) -> int:
        return len(self.data)


class TypedList(Sequence[Any]):
    """A list of the ``set`` or ``map`` type, or one whose items are converted when first looked at."""

    __slots__ = ("_data", "_items", "_wrap", "keys", "kind")

    def __init__(self, data: list[Any], wrap: Wrap, kind: str, keys: tuple[str, ...]) -> None:
        self._data, self._wrap, self.kind, self.keys = data, wrap, kind, keys
        self._items: list[Any] | None = data if wrap is None else None

    @property
    def items(self) -> list[Any]:
        if self._items is None:
            wrap = self._wrap
            assert wrap is not None
            self._items = [None if raw is None else wrap(raw) for raw in self._data]
        return self._items

    def __getitem__(self, index: Any) -> Any:
        return self.items[index]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self._data)

    def key_of(self, item: Any) -> Any:
        """What makes an item of a map list, or of a set, itself."""
        if self.kind == "set":
            return identity(item)
        return tuple(identity(_field(item, key)) for key in self.keys)

    def equals(self, other: Iterable[Any]) -> bool:
        """Order does not matter to sets and map lists."""
        if self.kind == "atomic":
            return _sequences_equal(self.items, list(other))
        theirs = {self.key_of(item): item for item in other}
        ours = {self.key_of(item): item for item in self.items}
        return ours.keys() == theirs.keys() and all(equal(item, theirs[key]) for key, item in ours.items())

    def joined(self, other: Iterable[Any]) -> Any:
        """``+``: of sets the union, of map lists the left overlaid with the right, places kept."""
        if self.kind == "atomic":
            return self.items + list(other)
        merged = {self.key_of(item): item for item in self.items}
        for item in other:
            if self.kind == "map" or self.key_of(item) not in merged:
                merged[self.key_of(item)] = item
        return TypedList(list(merged.values()), None, self.kind, self.keys)


def _field(item: Any, name: str) -> Any:
    if isinstance(item, Object):
        return item.data.get(name)
    return item.get(name) if isinstance(item, dict) else None


def identity(value: Any) -> Any:
    """Something hashable that is the same for equal values."""
    if isinstance(value, str | bytes | Timestamp | Duration) or value is None:
        return value
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, int | float):
        return value
    if isinstance(value, Object):
        return identity(value.data)
    if isinstance(value, Mapping):
        return frozenset((key, identity(value[key])) for key in value)
    if isinstance(value, list | TypedList):
        return tuple(map(identity, value))
    return id(value)


def type_of(value: Any) -> types.Type:
    """What ``type(value)`` is, parameters left open."""
    found = _PLAIN.get(type(value))
    if found is not None:
        return found
    if isinstance(value, Object):
        return value.type
    if isinstance(value, Mapping):
        return types.map_of(types.DYN, types.DYN)
    own = getattr(value, "cel_type", None)
    if isinstance(own, types.Type):
        return own
    return types.DYN


_PLAIN: dict[type, types.Type] = {
    bool: types.BOOL, int: types.INT, Uint: types.UINT, float: types.DOUBLE, str: types.STRING, bytes: types.BYTES,
    type(None): types.NULL, list: types.list_of(types.DYN), TypedList: types.list_of(types.DYN),
    dict: types.map_of(types.DYN, types.DYN), TypedMap: types.map_of(types.DYN, types.DYN),
    Timestamp: types.TIMESTAMP, Duration: types.DURATION, types.Type: types.TYPE,
    Optional: types.optional_of(types.DYN),
}  # fmt: skip


def equal(one: Any, other: Any) -> bool:
    """``==``: numbers across their types, a bool never a number, lists and maps by what is in them."""
    kind = type(one)
    if kind is type(other):
        if kind is str or kind is int or kind is bool:
            return bool(one == other)
        if kind is list:
            return _sequences_equal(one, other)
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | float):
        return isinstance(other, int | float) and one == other
    if isinstance(one, TypedList):
        return isinstance(other, list | TypedList) and one.equals(other)
    if isinstance(one, list):
        return isinstance(other, list | TypedList) and _sequences_equal(one, list(other))
    if isinstance(one, Object):
        return isinstance(other, Object) and _objects_equal(one, other)
    if isinstance(one, Mapping):
        return isinstance(other, Mapping) and _maps_equal(one, other)
    if isinstance(one, types.Type):
        return isinstance(other, types.Type) and (one.kind, one.name) == (other.kind, other.name)
    if isinstance(one, Optional):
        return (
            isinstance(other, Optional)
            and one.present == other.present
            and (not one.present or equal(one.value, other.value))
        )
    return type(one) is type(other) and bool(one == other)


def _sequences_equal(one: Sequence[Any], other: Sequence[Any]) -> bool:
    return len(one) == len(other) and all(map(equal, one, other))


def _maps_equal(one: Mapping[Any, Any], other: Mapping[Any, Any]) -> bool:
    return len(one) == len(other) and all(key in other and equal(one[key], other[key]) for key in one)


def _objects_equal(one: Object, other: Object) -> bool:
    if one.data is other.data:
        return True
    if one.data.keys() != other.data.keys():
        return False
    known = {field[0]: name for name, field in one.fields.items()}
    for key in one.data:
        name = known.get(key)
        if name is None:
            if not equal(one.data[key], other.data[key]):
                return False
        elif one.has(name) != other.has(name) or (one.has(name) and not equal(one.get(name), other.get(name))):
            return False
    return True


def size(value: Any) -> int:
    """As costs count it: what has no size is 1."""
    kind = type(value)
    if kind is str or kind is list:
        return len(value)
    if kind is int or kind is bool:
        return 1
    if isinstance(value, str | bytes | list | TypedList | Mapping):
        return len(value)
    if isinstance(value, Object):
        return len(value.data)
    return int(getattr(value, "cel_size", 1))


_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def moment(stamp: Timestamp) -> datetime.datetime:
    """To the microsecond, UTC."""
    return _EPOCH + datetime.timedelta(microseconds=stamp.nanos // 1000)


def plain(value: Any) -> Any:
    """The value as JSON has it: what leaves an expression."""
    if isinstance(value, Object):
        return value.data
    if isinstance(value, Optional):
        return plain(value.value) if value.present else None
    if isinstance(value, Mapping):
        return {key: plain(value[key]) for key in value}
    if isinstance(value, list | TypedList):
        return [plain(item) for item in value]
    if isinstance(value, Uint):
        return int(value)
    shown = getattr(value, "cel_json", None)
    return shown() if shown is not None else value
