"""What the published definition alone says of a kind that has no rules of its own: required fields, enumerations.

Upstream checks these kinds by hand too; what it requires is what its definitions list, save for ``status``, which is
never required of a client.
"""

from collections.abc import Callable, Mapping
from typing import Any

from kubeshim.machinery import objects
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.schemas import Schema
from kubeshim.machinery.validation import fields


def validate(obj: objects.Object, schema: Schema, path: str = "") -> list[FieldError]:
    """Walks everything but metadata and status."""
    wrong: list[FieldError] = []
    for name, child in schema.properties.items():
        if path or name not in ("metadata", "status", "apiVersion", "kind"):
            _field(obj, name, child, f"{path}.{name}" if path else name, name in schema.required, wrong)
    return wrong


def _field(
    obj: Mapping[str, Any], name: str, schema: Schema, path: str, required: bool, wrong: list[FieldError]
) -> None:
    value = obj.get(name)
    if value is None or (value == "" and required):
        if required and schema.kind not in ("array", "boolean"):
            wrong.append(fields.required(path))
        return
    _WALK.get(schema.kind, _scalar)(value, schema, path, wrong)


def _scalar(value: Any, schema: Schema, path: str, wrong: list[FieldError]) -> None:
    if schema.enum and value not in schema.enum:
        wrong.append(fields.not_supported(path, value, [str(choice) for choice in schema.enum]))


def _object(value: Any, schema: Schema, path: str, wrong: list[FieldError]) -> None:
    if isinstance(value, dict):
        wrong += validate(value, schema, path)


def _array(value: Any, schema: Schema, path: str, wrong: list[FieldError]) -> None:
    if schema.items is None:
        return
    walk = _WALK.get(schema.items.kind, _scalar)
    for index, item in enumerate(value):
        if item is not None:
            walk(item, schema.items, f"{path}[{index}]", wrong)


def _map(value: Any, schema: Schema, path: str, wrong: list[FieldError]) -> None:
    if schema.values is None:
        return
    walk = _WALK.get(schema.values.kind, _scalar)
    for key, item in value.items():
        if item is not None:
            walk(item, schema.values, f"{path}[{key}]", wrong)


_WALK: dict[str, Callable[[Any, Schema, str, list[FieldError]], None]] = {
    "object": _object,
    "array": _array,
    "map": _map,
}
