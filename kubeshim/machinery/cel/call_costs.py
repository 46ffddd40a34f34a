"""What a call can cost at most, by function: Kubernetes' libraries first, then CEL's own.

Everything that is not here costs 1 and says nothing of the size of its result.
"""

import math
from collections.abc import Callable
from typing import Protocol

from kubeshim.machinery.cel import counting, ranges, syntax


class Coster(Protocol):
    """What ``costs`` knows of the arguments."""

    def size(self, node: syntax.Node) -> ranges.Range: ...

    def item_size(self, node: syntax.Node) -> ranges.Range:
        """Of the items of a list."""
        ...

    def join_sizes(self, node: syntax.Call, overload: str) -> ranges.Sized:
        """Of ``+``."""
        ...


PLAIN_OVERLOADS = frozenset({"string_to_string", "bytes_to_string", "string_to_bytes"})
Estimator = Callable[[Coster, syntax.Call, str], ranges.Sized | None]

# --- Kubernetes' libraries -----------------------------------------------------------------------------------------


def _traversal(coster: Coster, node: syntax.Call, overload: str) -> ranges.Sized | None:
    target = node.target
    if target is None:
        return None
    if target.type.kind != "list":
        return ranges.tenth(coster.size(target)), None
    each: ranges.Range = ranges.ONE
    if target.type.parameters[0].kind in ("string", "bytes"):
        each = ranges.add(each, ranges.tenth(coster.item_size(target)))
    return ranges.product(coster.size(target), each), None


def _parsed(factor: int = 1) -> Estimator:
    return lambda coster, node, overload: (ranges.tenth(coster.size(node.args[0]), factor), None) if node.args else None


def _kept(coster: Coster, node: syntax.Call, overload: str) -> ranges.Sized | None:
    if node.target is None:
        return None
    size = coster.size(node.target)
    return ranges.tenth(size), size


def _replaced(coster: Coster, node: syntax.Call, overload: str) -> ranges.Sized | None:
    if node.target is None:
        return None
    size, old, new = coster.size(node.target), coster.size(node.args[0]), coster.size(node.args[1])
    most, kept = 0, 0
    if old[0] == 0:
        most, kept = min(size[1] + 1, ranges.MAX), size[1]
    elif new[1] <= old[0]:
        kept = size[1]
    else:
        most = -(-size[1] // old[0])
    least, kept_least = 0, 0
    if old[1] == 0:
        least, kept_least = min(size[0] + 1, ranges.MAX), size[0]
    elif old[1] <= new[0]:
        kept_least = size[0]
    else:
        least = -(-size[0] // old[1])
    return ranges.tenth(size, 2), ranges.add(ranges.product((least, most), new), (kept_least, kept))


def _split(coster: Coster, node: syntax.Call, overload: str) -> ranges.Sized | None:
    if node.target is None:
        return None
    size = coster.size(node.target)
    limit = node.args[1] if len(node.args) > 1 else None
    most = size[1]
    if isinstance(limit, syntax.Literal) and isinstance(limit.value, int):
        most = limit.value % (ranges.MAX + 1)
    return ranges.tenth(size, 2), (0, most)


def _joined(coster: Coster, node: syntax.Call, overload: str) -> ranges.Sized | None:
    if node.target is None:
        return None
    count = coster.size(node.target)
    size = ranges.product(count, coster.item_size(node.target))
    if node.args:
        size = ranges.add(size, ranges.product(coster.size(node.args[0]), (max(count[0] - 1, 0), max(count[1] - 1, 0))))
    return ranges.tenth(size), size


def _found(coster: Coster, node: syntax.Call, overload: str) -> ranges.Sized | None:
    if node.target is None:
        return None
    size = coster.size(node.target)
    return ranges.product(ranges.tenth(ranges.add(size, ranges.ONE)), ranges.fourth(coster.size(node.args[0]))), (
        0,
        size[1],
    )


def _within(extra: bool) -> Estimator:
    def run(coster: Coster, node: syntax.Call, overload: str) -> ranges.Sized | None:
        cost: ranges.Range = (1, 4)
        if extra:
            cost = ranges.add(cost, (1, 2), ranges.ONE)
        if overload.endswith("_string"):
            cost = ranges.add(cost, ranges.tenth(coster.size(node.args[0])))
        return cost, None

    return run


def _product(factor: int) -> Estimator:
    def run(coster: Coster, node: syntax.Call, overload: str) -> ranges.Sized | None:
        if len(node.args) != 2:
            return None
        cost = ranges.product(coster.size(node.args[0]), coster.size(node.args[1]))
        return ranges.add(ranges.product(cost, (factor, factor)), ranges.ONE), None

    return run


def _formatted(coster: Coster, node: syntax.Call, overload: str) -> ranges.Sized | None:
    if node.target is None or overload != "format-validate":
        return None
    return ranges.product(coster.size(node.args[0]), (0, max(counting.FORMAT_SIZES.values()))), None


LIBRARY: dict[str, Estimator] = {
    "check": lambda coster, node, overload: ((counting.AUTHORIZATION_CHECK,) * 2, None),
    **dict.fromkeys(("isSorted", "sum", "max", "min", "indexOf", "lastIndexOf"), _traversal),
    **dict.fromkeys(("url", "cidr", "isIP", "isCIDR", "quantity", "isQuantity", "semver", "isSemver"), _parsed()),
    "ip": lambda coster, node, overload: None if overload == "cidr_ip" else _parsed()(coster, node, overload),
    "ip.isCanonical": _parsed(2),
    **dict.fromkeys(("lowerAscii", "upperAscii", "substring", "trim"), _kept),
    "replace": _replaced, "split": _split, "join": _joined, "find": _found, "findAll": _found,
    "containsIP": _within(False), "containsCIDR": _within(True),
    "sets.contains": _product(1), "sets.intersects": _product(1), "sets.equivalent": _product(2),
    "validate": _formatted,
}  # fmt: skip

# --- CEL's own -----------------------------------------------------------------------------------------------------


def _format(coster: Coster, node: syntax.Call, overload: str) -> ranges.Sized | None:
    return (ranges.tenth(coster.size(node.target)), None) if node.target is not None else None


def _to_bytes(coster: Coster, node: syntax.Call, overload: str) -> ranges.Sized | None:
    size = coster.size(node.args[0])
    return ranges.tenth(size), (size[0], min(size[1] * 4, ranges.MAX))


def _to_text(coster: Coster, node: syntax.Call, overload: str) -> ranges.Sized | None:
    size = coster.size(node.args[0])
    return ranges.tenth(size), (size[0] // 4, size[1])


def _quoted(coster: Coster, node: syntax.Call, overload: str) -> ranges.Sized | None:
    size = coster.size(node.args[0])
    return ranges.tenth(size), (size[0] + 2, min(size[1] * 2 + 2, ranges.MAX))


def _in_list(coster: Coster, node: syntax.Call, overload: str) -> ranges.Sized | None:
    return coster.size(node.args[1]), None


def _matches(coster: Coster, node: syntax.Call, overload: str) -> ranges.Sized | None:
    if node.target is None:
        return None
    return ranges.product(
        ranges.tenth(ranges.add(coster.size(node.target), ranges.ONE)), ranges.fourth(coster.size(node.args[0]))
    ), None


def _contains(coster: Coster, node: syntax.Call, overload: str) -> ranges.Sized | None:
    if node.target is None:
        return None
    return ranges.product(ranges.tenth(coster.size(node.target)), ranges.tenth(coster.size(node.args[0]))), None


def _compared(coster: Coster, node: syntax.Call, overload: str) -> ranges.Sized | None:
    most = min(coster.size(node.args[0])[1], coster.size(node.args[1])[1])
    return ranges.tenth((1 if most else 0, most)), None


def _added(coster: Coster, node: syntax.Call, overload: str) -> ranges.Sized | None:
    return coster.join_sizes(node, overload)


def _allocated(size: ranges.Range, factor: float = 1) -> ranges.Sized:
    """A list made anew, whose size upstream takes for that of what was walked."""
    walked = tuple(min(math.ceil(each * factor), ranges.MAX) for each in size)
    return ranges.add((walked[0], walked[1]), ranges.ONE, (counting.LIST, counting.LIST)), size


def _whole(node: syntax.Node, otherwise: int) -> int:
    if isinstance(node, syntax.Literal) and type(node.value) is int:
        return node.value % (ranges.MAX + 1)
    return otherwise


def _sliced(coster: Coster, node: syntax.Call, overload: str) -> ranges.Sized | None:
    if node.target is None:
        return None
    end = _whole(node.args[1], coster.size(node.target)[1])
    size = (end - _whole(node.args[0], 0)) % (ranges.MAX + 1)
    return _allocated((size, size))


def _ranged(coster: Coster, node: syntax.Call, overload: str) -> ranges.Sized | None:
    size = _whole(node.args[0], ranges.MAX)
    return _allocated((size, size))


def _flattened(coster: Coster, node: syntax.Call, overload: str) -> ranges.Sized | None:
    depth = _whole(node.args[0], ranges.MAX) if node.args else 1
    return _allocated(coster.size(node.target), depth) if node.target is not None else None


def _squared(coster: Coster, node: syntax.Call, overload: str) -> ranges.Sized | None:
    """Each item, or each key, is compared with each."""
    compared = node.args[0] if node.args else node.target
    if compared is None:
        return None
    size = coster.size(compared)
    return _allocated(ranges.product(size, size), 2.1 if overload.startswith(("list_string_", "list_bytes_")) else 2)


_SORTED = ("int", "uint", "double", "bool", "google.protobuf.Duration", "google.protobuf.Timestamp", "string", "bytes")
BUILTIN: dict[str, Estimator] = {
    "list_slice": _sliced, "lists_range": _ranged, "list_flatten": _flattened, "list_flatten_int": _flattened,
    "list_reverse": lambda coster, node, overload: _allocated(coster.size(node.target)) if node.target else None,
    "list_distinct": _squared,
    **{f"list_{name}_{sort}": _squared for name in _SORTED for sort in ("sort", "sortByAssociatedKeys")},
    "string_format": _format, "string_to_bytes": _to_bytes, "bytes_to_string": _to_text, "strings_quote": _quoted,
    "starts_with_string": _parsed(), "ends_with_string": _parsed(), "in_list": _in_list, "matches_string": _matches,
    "contains_string": _contains, "add_string": _added, "add_bytes": _added, "add_list": _added,
    "equals": _compared, "not_equals": _compared,
    **{f"{word}_{kind}": _compared for word in ("less", "less_equals", "greater", "greater_equals")
       for kind in ("string", "bytes")},
}  # fmt: skip
