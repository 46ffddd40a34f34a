"""Values as Go's ``%v`` prints them: some error texts have them inside."""

from typing import Any


def value(given: Any) -> str:
    """``map[a:1 b:[x y]]``, ``<nil>``, ``true``."""
    if isinstance(given, bool):
        return "true" if given else "false"
    if isinstance(given, dict):
        return "map[" + " ".join(f"{key}:{value(given[key])}" for key in sorted(given)) + "]"
    if isinstance(given, list):
        return "[" + " ".join(map(value, given)) + "]"
    return "<nil>" if given is None else str(given)
