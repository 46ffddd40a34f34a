"""Sets of field paths, kept in the form they have on the wire: ``FieldsV1``.

A set is a tree of dicts. Keys are path elements: ``f:NAME`` a field, ``k:{"name":"x"}`` an element of a list
with keys, ``v:"x"`` an element of a set, ``i:3`` a position. A node is itself a member when it is empty, or has
the key ``.``; else only something below it is. The root is no path: ``{}`` there is the empty set.

All functions leave their arguments alone and share subtrees between arguments and result, so a set that has
been made must never be changed. That makes the difference with an unrelated set nearly free.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import orjson

Fields = dict[str, Any]

LEAF: Fields = {}
"""The one node without children. Shared everywhere."""
SELF = "."


def is_member(node: Fields) -> bool:
    """Whether the path of a node (not the root) is in the set."""
    return not node or SELF in node


def node(member: bool, children: Fields) -> Fields | None:
    """A node from its parts, or None where it would say nothing."""
    if not children:
        return LEAF if member else None
    return {SELF: LEAF, **children} if member else children


def union(left: Fields, right: Fields) -> Fields:
    """Of two sets (roots)."""
    if not left or not right:
        return left or right
    result = dict(left)
    for key, other in right.items():
        own = result.get(key)
        result[key] = other if own is None else _union(own, other)
    return result


def _union(left: Fields, right: Fields) -> Fields:
    if left is right:
        return left
    if not left:
        return right if SELF in right or not right else {SELF: LEAF, **right}
    if not right:
        return left if SELF in left else {SELF: LEAF, **left}
    return union(left, right)


def difference(left: Fields, right: Fields) -> Fields:
    """The paths of ``left`` that are not in ``right``."""
    if not left or not right:
        return left
    result = left
    for key, other in right.items():
        own = left.get(key)
        if own is None:
            continue
        remaining = _difference(own, other)
        if remaining is own:
            continue
        if result is left:
            result = dict(left)
        if remaining is None:
            del result[key]
        else:
            result[key] = remaining
    return result


def _difference(left: Fields, right: Fields) -> Fields | None:
    member = is_member(left)
    gone = member and is_member(right)
    if not left:
        return None if gone else left
    remaining = difference(left, right)
    if SELF in remaining and gone:
        remaining = {key: value for key, value in remaining.items() if key != SELF}
    if len(remaining) == 1 and SELF in remaining:
        return LEAF
    return remaining or None


def intersection(left: Fields, right: Fields) -> Fields:
    """The paths that are in both."""
    result: Fields = {}
    small, large = (left, right) if len(left) <= len(right) else (right, left)
    for key, own in small.items():
        other = large.get(key)
        if key == SELF or other is None:
            continue
        both = node(is_member(own) and is_member(other), intersection(own, other))
        if both is not None:
            result[key] = both
    return result


def without_subtrees(fields: Fields, right: Fields) -> Fields:
    """The paths of ``fields`` that are neither in ``right`` nor below a path in ``right``."""
    result: Fields = {}
    for key, own in fields.items():
        other = right.get(key)
        if other is None or (not own and not is_member(other)):
            result[key] = own
        elif not is_member(other):
            remaining = without_subtrees(own, other)
            if remaining:
                result[key] = remaining
    return result


def of_path(steps: Sequence[str]) -> Fields:
    """``("spec", "replicas")`` → ``{"f:spec": {"f:replicas": {}}}``."""
    fields: Fields = LEAF
    for step in reversed(steps):
        fields = {f"f:{step}": fields}
    return fields


def paths(fields: Fields) -> Iterator[tuple[str, ...]]:
    """Every path in the set as tuples of path elements: at each node first its members, then what is below."""
    return _paths(fields, ())


def _paths(fields: Fields, prefix: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    elements = sorted((key for key in fields if key != SELF), key=_order)
    yield from ((*prefix, key) for key in elements if is_member(fields[key]))
    for key in elements:
        yield from _paths(fields[key], (*prefix, key))


def _order(element: str) -> tuple[int, Any]:
    """Names as they are, keys and values by what is in them: numbers before strings."""
    kind, rest = element[:2], element[2:]
    if kind == "f:":
        return 0, rest
    if kind == "k:":
        keys = orjson.loads(rest)
        return 1, [(name, _rank(keys[name])) for name in sorted(keys)]
    return (2, _rank(orjson.loads(rest))) if kind == "v:" else (3, int(rest))


def _rank(value: Any) -> tuple[int, Any]:
    if isinstance(value, bool):
        return 3, value
    if isinstance(value, (int, float)):
        return 1, value
    return (2, value) if isinstance(value, str) else (4, orjson.dumps(value))


def path_text(path: tuple[str, ...]) -> str:
    """``.spec.containers[name="web"].image``: how conflicts name a path."""
    return "".join(map(_element_text, path))


def _element_text(element: str) -> str:
    kind, rest = element[:2], element[2:]
    if kind == "f:":
        return "." + rest
    if kind == "k:":
        keys = orjson.loads(rest)
        return "[" + ",".join(f"{name}={_value_text(keys[name])}" for name in sorted(keys)) + "]"
    return f"[={_value_text(orjson.loads(rest))}]" if kind == "v:" else f"[{rest}]"


def _value_text(value: Any) -> str:
    return orjson.dumps(value).decode()


def is_valid(fields: Any) -> bool:
    """Whether something a client sent is a set."""
    if not isinstance(fields, dict):
        return False
    for key, below in fields.items():
        if key != SELF and not _is_element(key):
            return False
        if not is_valid(below):
            return False
    return True


def _is_element(key: str) -> bool:
    kind, rest = key[:2], key[2:]
    if kind == "f:":
        return True
    if kind == "i:":
        return rest.isdigit()
    if kind not in ("k:", "v:"):
        return False
    try:
        value = orjson.loads(rest)
    except orjson.JSONDecodeError:
        return False
    return kind == "v:" or (isinstance(value, dict) and bool(value))


def key_element(keys: dict[str, Any]) -> str:
    """``k:{"name":"web"}`` for an element of a list with keys."""
    if any(value.__class__ is float for value in keys.values()):
        keys = {key: _number(value) for key, value in keys.items()}
    return "k:" + orjson.dumps(keys, option=orjson.OPT_SORT_KEYS).decode()


def value_element(value: Any) -> str:
    """``v:"web"`` for an element of a set."""
    return "v:" + orjson.dumps(_number(value)).decode()


def _number(value: Any) -> Any:
    """2.0 is the element that 2 is."""
    return int(value) if value.__class__ is float and value.is_integer() else value
