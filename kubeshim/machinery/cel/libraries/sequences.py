"""Lists made from lists: ``slice``, ``flatten``, ``distinct``, ``reverse``, ``sort``, ``sortBy``, ``lists.range``.

``sortBy`` is a macro (``macros``) over ``@sortByAssociatedKeys``, a name that no expression can write.
"""

from collections.abc import Sequence
from typing import Any

from kubeshim.machinery.cel import functions, types, values
from kubeshim.machinery.cel.types import BOOL, BYTES, DOUBLE, DURATION, DYN, INT, STRING, TIMESTAMP, UINT, A

COMPARABLE = (
    ("int", INT), ("uint", UINT), ("double", DOUBLE), ("bool", BOOL), ("google.protobuf.Duration", DURATION),
    ("google.protobuf.Timestamp", TIMESTAMP), ("string", STRING), ("bytes", BYTES),
)  # fmt: skip
_LIST = types.list_of(A)
_LONGEST = 10_000_000
"""Longer ranges cost more than any budget has; they are not even made."""


def _slice(items: Sequence[Any], start: int, end: int) -> list[Any]:
    found = list(items)
    if start < 0 or end < 0:
        raise values.EvaluationError(f"cannot slice({start}, {end}), negative indexes not supported")
    if start > end:
        text = "start index must be less than or equal to end index"
        raise values.EvaluationError(f"cannot slice({start}, {end}), {text}")
    if end > len(found):
        raise values.EvaluationError(f"cannot slice({start}, {end}), list is length {len(found)}")
    return found[start:end]


def _flatten(items: Any, depth: int = 1) -> list[Any]:
    if depth < 0:
        raise values.EvaluationError("level must be non-negative")
    made: list[Any] = []
    for item in items:
        if depth and isinstance(item, list | values.TypedList):
            made += _flatten(item, depth - 1)
        else:
            made.append(item)
    return made


def _distinct(items: Any) -> list[Any]:
    made: list[Any] = []
    for item in items:
        if not any(values.equal(item, other) for other in made):
            made.append(item)
    return made


def _reverse(items: Any) -> list[Any]:
    return list(items)[::-1]


def _range(length: int) -> list[int]:
    if length > _LONGEST:
        raise values.CostExceeded
    return list(range(length))


def _sort(items: Any) -> list[Any]:
    return _sort_by(items, items)


def _sort_by(items: Any, keys: Any) -> list[Any]:
    found, by = list(items), list(keys)
    if by and not functions.accepts_any([kind for _, kind in COMPARABLE], by[0]):
        raise values.EvaluationError("list elements must be comparable")
    if any(type(key) is not type(by[0]) for key in by):
        raise values.EvaluationError("list elements must have the same type")
    return [found[index] for index in sorted(range(len(found)), key=by.__getitem__)]


LIBRARY = (
    functions.member("slice", "list_slice", (_LIST, INT, INT), _LIST, _slice),
    functions.member("flatten", "list_flatten", (types.list_of(_LIST),), _LIST, _flatten),
    functions.member(
        "flatten", "list_flatten_int", (types.list_of(DYN), INT), types.list_of(DYN), _flatten
    ),
    functions.member("distinct", "list_distinct", (_LIST,), _LIST, _distinct),
    functions.member("reverse", "list_reverse", (_LIST,), _LIST, _reverse),
    functions.plain("lists.range", "lists_range", (INT,), types.list_of(INT), _range),
    *(functions.member("sort", f"list_{name}_sort", (types.list_of(kind),), types.list_of(kind), _sort)
      for name, kind in COMPARABLE),
    *(functions.member("@sortByAssociatedKeys", f"list_{name}_sortByAssociatedKeys", (_LIST, types.list_of(kind)),
                       _LIST, _sort_by)
      for name, kind in COMPARABLE),
)  # fmt: skip
