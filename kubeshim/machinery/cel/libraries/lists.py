"""``isSorted``, ``sum``, ``min``, ``max``, ``indexOf``, ``lastIndexOf`` of lists."""

import itertools
from collections.abc import Callable
from typing import Any

from kubeshim.machinery.cel import functions, standard, types, values
from kubeshim.machinery.cel.types import BOOL, BYTES, DOUBLE, DURATION, INT, STRING, TIMESTAMP, UINT, A

_ORDERED = (("int", INT), ("uint", UINT), ("double", DOUBLE), ("bool", BOOL), ("duration", DURATION),
            ("timestamp", TIMESTAMP), ("string", STRING), ("bytes", BYTES))  # fmt: skip
_ADDED: tuple[tuple[str, types.Type, Any], ...] = (
    ("int", INT, 0), ("uint", UINT, values.Uint(0)), ("double", DOUBLE, 0.0),
    ("duration", DURATION, values.Duration(0)),
)  # fmt: skip


def _comparable(items: Any) -> list[Any]:
    found = list(items)
    if any(type(each) is not type(found[0]) for each in found) and not all(
        isinstance(each, int | float) and not isinstance(each, bool) for each in found
    ):
        raise values.no_such_overload()
    return found


def _is_sorted(items: Any) -> bool:
    found = _comparable(items)
    return all(not after < before for before, after in itertools.pairwise(found))


def _extreme(name: str, choose: Callable[[list[Any]], Any]) -> Callable[[Any], Any]:
    def run(items: Any) -> Any:
        found = _comparable(items)
        if not found:
            raise values.EvaluationError(f"{name} called on empty list")
        return choose(found)

    return run


_SUM = functions.dispatcher([each for each in standard.LIBRARY if each.function == "_+_"])


def _sum(zero: Any) -> Callable[[Any], Any]:
    def run(items: Any) -> Any:
        total = zero
        for index, item in enumerate(items):
            total = item if index == 0 else _SUM(total, item)[1]
        return total

    return run


def _index_of(items: Any, wanted: Any) -> int:
    return next((index for index, item in enumerate(items) if values.equal(item, wanted)), -1)


def _last_index_of(items: Any, wanted: Any) -> int:
    found = list(items)
    return next((index for index in range(len(found) - 1, -1, -1) if values.equal(found[index], wanted)), -1)


LIBRARY = (
    *(functions.member("isSorted", f"list_{name}_is_sorted_bool", (types.list_of(kind),), BOOL, _is_sorted)
      for name, kind in _ORDERED),
    *(functions.member("sum", f"list_{name}_sum_{name}", (types.list_of(kind),), kind, _sum(zero))
      for name, kind, zero in _ADDED),
    *(functions.member("max", f"list_{name}_max_{name}", (types.list_of(kind),), kind, _extreme("max", max))
      for name, kind in _ORDERED),
    *(functions.member("min", f"list_{name}_min_{name}", (types.list_of(kind),), kind, _extreme("min", min))
      for name, kind in _ORDERED),
    functions.member("indexOf", "list_a_index_of_int", (types.list_of(A), A), INT, _index_of),
    functions.member("lastIndexOf", "list_a_last_index_of_int", (types.list_of(A), A), INT, _last_index_of),
)  # fmt: skip
