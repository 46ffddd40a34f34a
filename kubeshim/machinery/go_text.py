"""Values as Go's ``%v`` prints them and their types (some error texts have them inside), and as its JSON encoder writes
them.
"""

from typing import Any

import orjson

ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
"""What Go escapes in JSON for the sake of HTML; none of it stands outside strings."""
_ESCAPED = str.maketrans(ESCAPES)


def type_name(given: Any) -> str:
    """What ``%T`` says of a value read from JSON."""
    for kind, name in _TYPES:
        if isinstance(given, kind):
            return name
    return "<nil>"


_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "bool"), (int, "int64"), (float, "float64"), (str, "string"), (list, "[]interface {}"),
    (dict, "map[string]interface {}"),
)  # fmt: skip


def value(given: Any) -> str:
    """``map[a:1 b:[x y]]``, ``<nil>``, ``true``."""
    if isinstance(given, bool):
        return "true" if given else "false"
    if isinstance(given, dict):
        return "map[" + " ".join(f"{key}:{value(given[key])}" for key in sorted(given)) + "]"
    if isinstance(given, list):
        return "[" + " ".join(map(value, given)) + "]"
    return "<nil>" if given is None else str(given)


def json(given: Any) -> str:
    """Compact, keys sorted."""
    return orjson.dumps(given, option=orjson.OPT_SORT_KEYS).decode().translate(_ESCAPED)
