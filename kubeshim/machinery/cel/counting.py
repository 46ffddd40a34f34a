"""What a call costs when it is run, in cel-go's units: about 50 ns on upstream's machine.

Most calls cost 1. Those that walk a string, a list or a tree cost by what they walk: ``actual`` has a function of
``(args, result)`` for each. The numbers are part of the API: a rule that fits the budget there must fit here.
"""

from collections.abc import Callable, Mapping
from typing import Any

from kubeshim.machinery.cel import values

Counter = Callable[[tuple[Any, ...], Any], int]

SELECT = 1
LIST, MAP, STRUCT = 10, 30, 40
AUTHORIZATION_CHECK = 350_000


def tenth(amount: float) -> int:
    """A tenth a character, rounded up."""
    return int(-(-amount // 10))


def _first(factor: int = 1) -> Counter:
    return lambda args, result: -(-values.size(args[0]) * factor // 10)


def _smaller(args: tuple[Any, ...], result: Any) -> int:
    return tenth(min(values.size(args[0]), values.size(args[1])))


def _both(args: tuple[Any, ...], result: Any) -> int:
    return tenth(values.size(args[0]) + values.size(args[1]))


def _regex(args: tuple[Any, ...], result: Any) -> int:
    return tenth(1 + values.size(args[0])) * -(-values.size(args[1]) // 4)


def _contains(args: tuple[Any, ...], result: Any) -> int:
    return tenth(values.size(args[0])) * tenth(values.size(args[1]))


def _in_list(args: tuple[Any, ...], result: Any) -> int:
    return values.size(args[1])


def _walk(args: tuple[Any, ...], result: Any) -> int:
    return traversal(args[0])


def traversal(value: Any) -> int:
    if isinstance(value, str | bytes):
        return len(value.encode() if isinstance(value, str) else value) // 10
    if isinstance(value, list | values.TypedList):
        return sum(map(traversal, value))
    if isinstance(value, values.Object):
        return traversal(value.data)
    if isinstance(value, Mapping):
        return sum(traversal(key) + traversal(value[key]) for key in value)
    return 1


def _product(args: tuple[Any, ...], result: Any) -> int:
    return values.size(args[0]) * values.size(args[1])


def _contains_ip(args: tuple[Any, ...], result: Any) -> int:
    cost = tenth(values.size(args[0]) * 2)
    return cost + (tenth(values.size(args[1])) if isinstance(args[1], str) else 0)


def _contains_cidr(args: tuple[Any, ...], result: Any) -> int:
    return _contains_ip(args, result) + tenth(values.size(args[0])) + 1


def _format(args: tuple[Any, ...], result: Any) -> int:
    return values.size(args[1]) * FORMAT_SIZES.get(getattr(args[0], "name", ""), 30)


FORMAT_SIZES = {
    "dns1123Label": 30, "dns1123Subdomain": 60, "dns1035Label": 30, "qualifiedName": 60, "dns1123LabelPrefix": 30,
    "dns1123SubdomainPrefix": 60, "dns1035LabelPrefix": 30, "labelValue": 40,
}  # fmt: skip

_BY_FUNCTION: dict[str, Counter] = {
    "isSorted": _walk, "sum": _walk, "max": _walk, "min": _walk, "indexOf": _walk, "lastIndexOf": _walk,
    "url": _first(), "lowerAscii": _first(), "upperAscii": _first(), "substring": _first(), "trim": _first(),
    "replace": _first(2), "split": _first(2), "join": lambda args, result: tenth(values.size(result) * 2),
    "find": _regex, "findAll": _regex,
    "cidr": _first(), "isIP": _first(), "isCIDR": _first(), "ip.isCanonical": _first(2),
    "containsIP": _contains_ip, "containsCIDR": _contains_cidr, "quantity": _first(), "isQuantity": _first(),
    "semver": _first(), "isSemver": _first(), "validate": _format,
    "sets.contains": _product, "sets.intersects": _product,
    "sets.equivalent": lambda args, result: 2 * _product(args, result),
    "check": lambda args, result: AUTHORIZATION_CHECK,
}  # fmt: skip


def _made(args: tuple[Any, ...], result: Any) -> int:
    return values.size(result) + 1 + LIST


def _flattened(args: tuple[Any, ...], result: Any) -> int:
    return values.size(args[0]) * (args[1] if len(args) > 1 else 1) + 1 + LIST


def _compared_with_all(which: int) -> Counter:
    """Each with each, at two; texts at a tenth more."""

    def run(args: tuple[Any, ...], result: Any) -> int:
        size = values.size(args[which])
        text = size and isinstance(next(iter(args[which])), str | bytes)
        return int(size * size * (2.1 if text else 2)) + 1 + LIST

    return run


_SORTED = ("int", "uint", "double", "bool", "google.protobuf.Duration", "google.protobuf.Timestamp", "string", "bytes")
_BY_OVERLOAD: dict[str, Counter] = {
    "string_to_ip": _first(),
    "list_slice": _made, "list_reverse": _made, "lists_range": _made, "list_flatten": _flattened,
    "list_flatten_int": _flattened, "list_distinct": _compared_with_all(0),
    **{f"list_{name}_sort": _compared_with_all(0) for name in _SORTED},
    **{f"list_{name}_sortByAssociatedKeys": _compared_with_all(1) for name in _SORTED},
    "starts_with_string": _first(), "ends_with_string": _first(), "string_to_bytes": _first(),
    "bytes_to_string": _first(), "strings_quote": _first(), "string_format": _first(),
    "in_list": _in_list, "matches": _regex, "matches_string": _regex, "contains_string": _contains,
    "add_string": _both, "add_bytes": _both, "equals": _smaller, "not_equals": _smaller,
    **{f"{word}_{kind}": _smaller for word in ("less", "less_equals", "greater", "greater_equals")
       for kind in ("string", "bytes")},
}  # fmt: skip


def actual(function: str, overload_id: str) -> Counter | None:
    """None: one unit."""
    return _BY_OVERLOAD.get(overload_id) or _BY_FUNCTION.get(function)
