"""Lists taken as sets: ``sets.contains``, ``sets.equivalent``, ``sets.intersects``."""

from typing import Any

from kubeshim.machinery.cel import functions, types, values
from kubeshim.machinery.cel.types import BOOL, A

_LIST = types.list_of(A)


def _holds(items: Any, wanted: Any) -> bool:
    return any(values.equal(item, wanted) for item in items)


def _contains(items: Any, wanted: Any) -> bool:
    return all(_holds(items, each) for each in wanted)


def _equivalent(one: Any, other: Any) -> bool:
    return _contains(one, other) and _contains(other, one)


def _intersects(one: Any, other: Any) -> bool:
    return any(_holds(other, each) for each in one)


LIBRARY = (
    functions.plain("sets.contains", "list_sets_contains_list", (_LIST, _LIST), BOOL, _contains),
    functions.plain("sets.equivalent", "list_sets_equivalent_list", (_LIST, _LIST), BOOL, _equivalent),
    functions.plain("sets.intersects", "list_sets_intersects_list", (_LIST, _LIST), BOOL, _intersects),
)
