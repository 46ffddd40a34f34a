"""JSON merge patch (RFC 7386), as upstream's library does it.

It differs from the RFC in one point: nulls are also taken out of objects inside lists that the patch brings.
"""

from typing import Any

import orjson

from kubeshim.machinery import errors


def apply(obj: dict[str, Any], patch: Any) -> dict[str, Any]:
    """The patched copy of ``obj``. Raises 400 where ``patch`` is no object."""
    if not isinstance(patch, dict):
        raise errors.BadRequest("Invalid JSON Patch")
    result: dict[str, Any] = orjson.loads(orjson.dumps(obj))
    _merge(result, patch)
    return result


def _merge(target: dict[str, Any], patch: dict[str, Any]) -> None:
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
            continue
        current = target.get(key)
        if isinstance(current, dict) and isinstance(value, dict):
            _merge(current, value)
        elif isinstance(current, dict):
            target[key] = value
        else:
            target[key] = without_nulls(value)


def without_nulls(value: Any) -> Any:
    """The value without members that are null, at any depth; nulls in lists stay."""
    if isinstance(value, dict):
        return {key: without_nulls(child) for key, child in value.items() if child is not None}
    if isinstance(value, list):
        return [without_nulls(child) for child in value]
    return value
