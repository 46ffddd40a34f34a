"""``x-kubernetes-list-type``, ``-list-map-keys`` and ``-map-type``: where they may stand and what they need."""

from collections.abc import Mapping
from typing import Any

from kubeshim.machinery import errors
from kubeshim.machinery.validation import fields

Node = Mapping[str, Any]
Problems = list[errors.FieldError]


def validate(schema: Node, path: str) -> Problems:
    """One schema, not those below it."""
    return _map_type(schema, path) + _list_type(schema, path) + _keys(schema, path) + _items(schema, path)


def _map_type(schema: Node, path: str) -> Problems:
    kind = schema.get("x-kubernetes-map-type")
    if kind is None:
        return []
    wrong = _must_be("object", schema, path, "x-kubernetes-map-type")
    if kind not in ("atomic", "granular"):
        wrong.append(fields.not_supported(f"{path}.x-kubernetes-map-type", kind, ("atomic", "granular")))
    return wrong


def _must_be(wanted: str, schema: Node, path: str, extension: str) -> Problems:
    declared = schema.get("type") or ""
    if declared == wanted:
        return []
    text = f"must be {wanted} if {extension} is specified"
    return [fields.invalid(f"{path}.type", declared, text) if declared else fields.required(f"{path}.type", text)]


def _list_type(schema: Node, path: str) -> Problems:
    kind = schema.get("x-kubernetes-list-type")
    if kind is None:
        return []
    wrong = _must_be("array", schema, path, "x-kubernetes-list-type")
    items = schema.get("items")
    if not wrong and kind == "set" and isinstance(items, Mapping):
        wrong += _set_items(items, f"{path}.items")
    if kind not in ("atomic", "set", "map"):
        wrong.append(fields.not_supported(f"{path}.x-kubernetes-list-type", kind, ("atomic", "set", "map")))
    return wrong


def _set_items(items: Node, path: str) -> Problems:
    """Elements of a set are compared whole."""
    text = "must be atomic as item of a list with x-kubernetes-list-type=set"
    kind = items.get("x-kubernetes-list-type")
    if items.get("type") == "array" and kind not in (None, "atomic"):
        return [fields.invalid(f"{path}.x-kubernetes-list-type", kind, text)]
    if items.get("type") == "object" and items.get("x-kubernetes-map-type") != "atomic":
        return [fields.invalid(f"{path}.x-kubernetes-map-type", kind, text)]
    return []


def _keys(schema: Node, path: str) -> Problems:
    kind, keys = schema.get("x-kubernetes-list-type"), schema.get("x-kubernetes-list-map-keys") or []
    wrong: Problems = []
    if keys and kind != "map":
        text = "must be map if x-kubernetes-list-map-keys is non-empty"
        place = f"{path}.x-kubernetes-list-type"
        wrong.append(fields.required(place, text) if kind is None else fields.invalid(place, kind, text))
    if kind != "map":
        return wrong
    if not keys:
        text = "must not be empty if x-kubernetes-list-type is map"
        wrong.append(fields.required(f"{path}.x-kubernetes-list-map-keys", text))
    items = schema.get("items")
    if items is None:
        wrong.append(fields.required(f"{path}.items", "must have a schema if x-kubernetes-list-type is map"))
    elif not isinstance(items, Mapping):
        text = "must only have a single schema if x-kubernetes-list-type is map"
        wrong.append(fields.invalid(f"{path}.items", items, text))
    elif items.get("type") != "object":
        text = "must be object if parent array's x-kubernetes-list-type is map"
        wrong.append(fields.invalid(f"{path}.items.type", items.get("type") or "", text))
    else:
        wrong += _key_properties(keys, items, path)
    return wrong


def _key_properties(keys: list[str], items: Node, path: str) -> Problems:
    wrong: Problems = []
    seen: set[str] = set()
    properties = items.get("properties") or {}
    for key in keys:
        if key not in properties:
            text = "entries must all be names of item properties"
            wrong.append(fields.invalid(f"{path}.x-kubernetes-list-map-keys", keys, text))
        elif properties[key].get("type") in ("array", "object"):
            text = "must be a scalar type if parent array's x-kubernetes-list-type is map"
            wrong.append(fields.invalid(f"{path}.items.properties[{key}].type", items.get("type"), text))
        if key in seen:
            text = "must not contain duplicate entries"
            wrong.append(fields.invalid(f"{path}.x-kubernetes-list-map-keys", keys, text))
        seen.add(key)
    return wrong


def _items(schema: Node, path: str) -> Problems:
    """Elements of sets and maps are never null, and keys are always there."""
    kind, items = schema.get("x-kubernetes-list-type"), schema.get("items")
    if kind not in ("set", "map") or not isinstance(items, Mapping):
        return []
    wrong: Problems = []
    if items.get("nullable"):
        text = f"cannot be nullable when x-kubernetes-list-type is {kind}"
        wrong.append(fields.forbidden(f"{path}.items.nullable", text))
    properties = items.get("properties") or {}
    for key in (schema.get("x-kubernetes-list-map-keys") or ()) if kind == "map" else ():
        node, place = properties.get(key), f"{path}.items.properties[{key}]"
        if node is None:
            continue
        if key not in (items.get("required") or ()) and node.get("default") is None:
            text = "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
            wrong.append(fields.required(f"{place}.default", text))
        if node.get("nullable"):
            text = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable"
            wrong.append(fields.forbidden(f"{place}.nullable", text))
    return wrong
