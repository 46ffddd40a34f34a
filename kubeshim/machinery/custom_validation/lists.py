"""What ``x-kubernetes-list-type`` promises: elements of a ``set`` are unique, those of a ``map`` have unique keys."""

from collections.abc import Mapping
from typing import Any

import orjson

from kubeshim.machinery import errors
from kubeshim.machinery.validation import fields


def validate(value: Any, schema: Mapping[str, Any] | None, path: str = "") -> list[errors.FieldError]:
    """Walks ``value`` along its structural schema."""
    if not isinstance(schema, Mapping):
        return []
    if isinstance(value, dict):
        return _members(value, schema, path)
    return _elements(value, schema, path) if isinstance(value, list) else []


def _members(value: dict[str, Any], schema: Mapping[str, Any], path: str) -> list[errors.FieldError]:
    wrong: list[errors.FieldError] = []
    properties, additional = schema.get("properties") or {}, schema.get("additionalProperties")
    for name in sorted(value):
        if name in properties:
            wrong += validate(value[name], properties[name], f"{path}.{name}" if path else name)
        elif isinstance(additional, Mapping):
            wrong += validate(value[name], additional, f"{path}[{name}]")
    return wrong


def _elements(value: list[Any], schema: Mapping[str, Any], path: str) -> list[errors.FieldError]:
    wrong: list[errors.FieldError] = []
    match schema.get("x-kubernetes-list-type"):
        case "set":
            wrong += [fields.duplicate(f"{path}[{index}]", value[index]) for index in _repeated(value)]
        case "map":
            wrong += _map(value, tuple(schema.get("x-kubernetes-list-map-keys") or ()), path)
    if isinstance(items := schema.get("items"), Mapping):
        for index, item in enumerate(value):
            wrong += validate(item, items, f"{path}[{index}]")
    return wrong


def _map(value: list[Any], keys: tuple[str, ...], path: str) -> list[errors.FieldError]:
    for index, item in enumerate(value):
        if item is not None and not isinstance(item, dict):
            text = "must be an object for an array of list-type map"
            return [fields.invalid(f"{path}[{index}]", item, text)]
    found = [{key: item[key] for key in keys if key in item} if item else {} for item in value]
    return [fields.duplicate(f"{path}[{index}]", found[index]) for index in _repeated(found)]


def _repeated(values: list[Any]) -> list[int]:
    """Where a value stands the second time; third and later ones are passed over."""
    seen: dict[Any, int] = {}
    again = []
    for index, value in enumerate(values):
        mark = (type(value), orjson.dumps(value, option=orjson.OPT_SORT_KEYS))
        seen[mark] = seen.get(mark, 0) + 1
        if seen[mark] == 2:
            again.append(index)
    return again
