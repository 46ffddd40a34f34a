"""The definitions a document needs: those its operations name, and all these refer to."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kubeshim.machinery import resources, upstream
from kubeshim.machinery.openapi import names, operations

Custom = Mapping[resources.GroupVersionKind, Mapping[str, Any]]
"""``openAPIV3Schema`` of each custom kind; kinds without one may be missing."""

_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_VALUE_LOGIC = ("allOf", "anyOf", "oneOf", "not", "default")
_V2 = "#/definitions/"
_UNKNOWN = "x-kubernetes-preserve-unknown-fields"
_ANYTHING = {_UNKNOWN: True}
_CONVENTIONS = "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md"
_LIKE = {"ObjectMeta": "io.k8s.api.core.v1.Pod", "ListMeta": "io.k8s.api.core.v1.PodList"}
"""Built-in kinds that describe the fields every object, or every list, has; custom ones are described alike."""


def named(found: Iterable[operations.Operation]) -> set[str]:
    """The definitions that operations name."""
    names_ = {operation.body for operation in found if operation.body}
    for operation in found:
        names_ |= {name for _, name in operation.responses}
    return names_ - {"string"}


def closure(wanted: Iterable[str], shipped: Mapping[str, Any]) -> set[str]:
    """``wanted`` and everything they lead to; names that upstream does not have are left out."""
    reached: set[str] = set()
    waiting = [name for name in wanted if name in shipped]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += _references(shipped[name])
    return reached


def _references(node: Any) -> Iterator[str]:
    if "$ref" in node:
        yield upstream.reference(node)
    for child in node.get("properties", {}).values():
        yield from _references(child)
    for slot in ("items", "additionalProperties"):
        if isinstance(node.get(slot), dict):
            yield from _references(node[slot])


def v2(found: list[operations.Operation], served: Iterable[resources.Resource], custom: Custom) -> dict[str, Any]:
    shipped = upstream.read()
    needed = closure(named(found) | _ALWAYS, shipped)
    definitions = upstream.v2({name: shipped[name] for name in needed})
    definitions |= _custom_kinds(served, custom, _V2, _without_logic)
    return dict(sorted(definitions.items()))


def v3(found: list[operations.Operation], served: Iterable[resources.Resource], custom: Custom) -> dict[str, Any]:
    shipped = upstream.read()
    kinds = _custom_kinds(served, custom, "#/components/schemas/", dict)
    needed = closure(named(found) | (_ALWAYS if kinds else set()), shipped)
    definitions = upstream.v3({name: shipped[name] for name in needed})
    return dict(sorted({**definitions, **kinds}.items()))


_ALWAYS = {_META + "ObjectMeta", _META + "ListMeta"}
"""What custom kinds refer to."""


def _custom_kinds(
    served: Iterable[resources.Resource], custom: Custom, prefix: str, convert: Any
) -> dict[str, dict[str, Any]]:
    found = {}
    for resource in served:
        if resource.strategy != "custom":
            continue
        name = names.custom_definition(resource.gvk)
        published = custom.get(resource.gvk) or _ANYTHING
        if prefix == _V2 and published.get(_UNKNOWN):
            # v2 has no word for fields that are not named; kubectl would refuse them next to those that are
            found[name] = {"type": "object", **_marks(resource)}
        else:
            found[name] = _kind(resource, _embedded(convert(dict(published)), prefix), prefix)
        list_kind = resource.gvk._replace(kind=resource.list_kind or resource.kind + "List")
        found[names.custom_definition(list_kind)] = _list(list_kind, resource, prefix + name, prefix)
    return found


def _kind(resource: resources.Resource, schema: dict[str, Any], prefix: str) -> dict[str, Any]:
    schema["type"] = "object"
    schema["properties"] = {**schema.get("properties", {}), **_object_fields(prefix)}
    return {**schema, **_marks(resource)}


def _marks(resource: resources.Resource) -> dict[str, Any]:
    marks: dict[str, Any] = {"x-kubernetes-group-version-kind": [resource.gvk._asdict()]}
    if resource.selectable_fields:
        marks["x-kubernetes-selectable-fields"] = [{"fieldPath": field} for field in resource.selectable_fields]
    return marks


def _object_fields(prefix: str, meta: str = "ObjectMeta") -> dict[str, Any]:
    reference = {"$ref": f"{prefix}{_META}{meta}"}
    metadata = reference if prefix == _V2 else {"allOf": [reference]}
    known = upstream.read()[_LIKE[meta]]["properties"]
    return {
        "apiVersion": {"description": known["apiVersion"]["description"], "type": "string"},
        "kind": {"description": known["kind"]["description"], "type": "string"},
        "metadata": {"description": known["metadata"]["description"], **metadata},
    }


def _list(gvk: resources.GroupVersionKind, resource: resources.Resource, item: str, prefix: str) -> dict[str, Any]:
    description = f"List of {resource.plural}. More info: {_CONVENTIONS}"
    items = {"description": description, "type": "array", "items": {"$ref": item}}
    return {
        "description": f"{gvk.kind} is a list of {resource.kind}",
        "type": "object",
        "required": ["items"],
        "properties": {**_object_fields(prefix, "ListMeta"), "items": items},
        "x-kubernetes-group-version-kind": [gvk._asdict()],
    }


def _embedded(schema: dict[str, Any], prefix: str) -> dict[str, Any]:
    """A copy in which embedded resources have the fields every object has."""
    copy = dict(schema)
    if "properties" in copy:
        copy["properties"] = {field: _embedded(child, prefix) for field, child in copy["properties"].items()}
    for slot in ("items", "additionalProperties"):
        if isinstance(copy.get(slot), Mapping):
            copy[slot] = _embedded(copy[slot], prefix)
    if copy.get("x-kubernetes-embedded-resource") and not (prefix == _V2 and copy.get(_UNKNOWN)):
        copy["properties"] = {**copy.get("properties", {}), **_object_fields(prefix)}
        required = list(copy.get("required", ()))
        copy["required"] = required + [field for field in ("kind", "apiVersion") if field not in required]
    return copy


def _without_logic(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A structural schema as far as v2 can say it: what v2 can not say is left open rather than said wrongly."""
    copy = {key: value for key, value in schema.items() if key not in _VALUE_LOGIC}
    if copy.pop("nullable", False):
        for key in ("type", "properties", "items", "additionalProperties"):
            copy.pop(key, None)
    if copy.get(_UNKNOWN):
        copy.pop("properties", None)
        copy.pop("items", None)
        if copy.get("type") == "object":
            del copy["type"]  # kubectl takes what has this type for closed
    if copy.get("type") == "array" and "items" not in copy:
        del copy["type"]
    values = copy.get("additionalProperties")
    if isinstance(values, Mapping) and values.get("nullable"):
        copy.pop("required", None)
    if "properties" in copy:
        nullable = {field for field, child in copy["properties"].items() if child.get("nullable")}
        if nullable & set(copy.get("required", ())):
            copy["required"] = [field for field in copy["required"] if field not in nullable]
        copy["properties"] = {field: _without_logic(child) for field, child in copy["properties"].items()}
    for slot in ("items", "additionalProperties"):
        if isinstance(copy.get(slot), Mapping):
            copy[slot] = _without_logic(copy[slot])
    return copy
