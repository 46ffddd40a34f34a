"""Why the result of a strategic merge patch cannot be made an object of its kind, in upstream's words.

Such a result never is JSON upstream: it goes from maps straight into structs, and the converter that does it speaks
otherwise than a JSON decoder (``cannot restore map from string``) and names no field. Of several mistakes one is told.
"""

from collections.abc import Iterator
from typing import Any

from kubeshim.machinery.schemas import Schema
from kubeshim.machinery.validation import gotypes

_CONTAINERS = {"object": "struct from:", "map": "map from", "array": "slice from"}
_GO_TYPES = {"string": "string", "boolean": "bool", "number": "float64"}


def mistake(value: Any, schema: Schema, named: str = "") -> str:
    """What is wrong with a value that is not null, or nothing. ``named`` is the Go type of a named text."""
    kind = schema.kind
    if kind in _CONTAINERS:
        return _in_container(value, schema)
    if kind in _GO_TYPES or kind == "integer":
        return _scalar(value, named or (gotypes.name(schema) if kind == "integer" else _GO_TYPES[kind]))
    return ""


def _in_container(value: Any, schema: Schema) -> str:
    if not isinstance(value, list if schema.kind == "array" else dict):
        return f"cannot restore {_CONTAINERS[schema.kind]} {_kind(value)}"
    for item, child, named in _children(value, schema):
        if item is not None and (found := mistake(item, child, named)):
            return found
    return ""


def _children(value: Any, schema: Schema) -> Iterator[tuple[Any, Schema, str]]:
    """What is inside, each with its type and the Go type of a named text."""
    if schema.kind == "object":
        struct = gotypes.struct(schema)
        for key, child in schema.properties.items():
            yield value.get(key), child, gotypes.field(struct, key)
    elif schema.kind == "map" and schema.values:
        for item in value.values():
            yield item, schema.values, ""
    elif schema.items:
        for item in value:
            yield item, schema.items, ""


def _scalar(value: Any, wanted: str) -> str:
    """Go converts between numbers as long as nothing is lost, and would make a text of a whole number: refused."""
    found = _go_type(value)
    if wanted in ("int32", "int64", "float64"):
        if found in ("int64", "float64"):
            lossless = found == "int64" or wanted == "float64" or value.is_integer()
            return "" if lossless else f"cannot convert {found} to {wanted}"
    elif wanted == "bool":
        if found == "bool":
            return ""
    elif found == "string":
        return ""
    elif found == "int64":
        return f"cannot convert int64 to {wanted}"
    return f"unrecognized type: {wanted if wanted in ('int32', 'int64', 'float64', 'bool') else 'string'}"


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return "map"
    return "slice" if isinstance(value, list) else _go_type(value)


def _go_type(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int64"
    return "float64" if isinstance(value, float) else "string" if isinstance(value, str) else "map"
