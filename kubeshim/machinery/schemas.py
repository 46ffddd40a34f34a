"""How objects are shaped: one node type for built-ins and custom resources alike.

``Schema`` is what decoding, pruning, patching, server-side apply and validation walk. Built-ins compile
from the upstream definitions (``definitions``), custom resources from their structural schema (``from_structural``).

A definition is compiled when it is first asked for, with all it refers to, and shared by everything that refers
to it: a node is registered before its children are made, so recursive types (JSONSchemaProps) end in themselves.
Only a place that says more than its definition (``patchStrategy`` on a field) has a copy of its own.
"""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from kubeshim.machinery import resources, upstream

Kind = Literal[
    "object", "map", "array", "string", "integer", "number", "boolean", "any", "quantity", "int-or-string", "time",
    "micro-time", "bytes", "fields",
]  # fmt: skip
"""``object`` has named properties; ``map`` any keys with values of ``values``; ``any`` takes all JSON."""


@dataclasses.dataclass(slots=True, eq=False)
class Schema:
    """One place in an object's type. Treat as frozen after construction.

    ``list_type`` and ``map_type`` default as structured-merge-diff has them: lists atomic, maps granular.
    ``definition`` names the upstream definition (``io.k8s.api.core.v1.Container``) where there is one.
    """

    kind: Kind
    properties: Mapping[str, "Schema"] = dataclasses.field(default_factory=dict)
    values: "Schema | None" = None
    """Value type of a map."""
    items: "Schema | None" = None
    """Item type of an array."""
    required: tuple[str, ...] = ()
    nullable: bool = False
    list_type: Literal["atomic", "set", "map"] = "atomic"
    list_map_keys: tuple[str, ...] = ()
    map_type: Literal["granular", "atomic"] = "granular"
    patch_strategy: tuple[str, ...] = ()
    """Of ``merge``, ``replace``, ``retainKeys``, for strategic merge patch."""
    patch_merge_key: str = ""
    preserve_unknown: bool = False
    """Fields not in ``properties`` are kept (``x-kubernetes-preserve-unknown-fields``)."""
    embedded_resource: bool = False
    has_default: bool = False
    default: Any = None
    format: str = ""
    enum: Sequence[Any] = ()
    definition: str = ""
    extra: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """The rest of an OpenAPI node (pattern, minimum, x-kubernetes-validations …) for who needs it."""


_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_APIEXTENSIONS = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1."
_SPECIAL: dict[str, Kind] = {
    upstream.QUANTITY: "quantity",
    upstream.INT_OR_STRING: "int-or-string",
    _META + "Time": "time",
    _META + "MicroTime": "micro-time",
    _META + "FieldsV1": "fields",
    "io.k8s.apimachinery.pkg.runtime.RawExtension": "any",
    _APIEXTENSIONS + "JSON": "any",
    _APIEXTENSIONS + "JSONSchemaPropsOrArray": "any",
    _APIEXTENSIONS + "JSONSchemaPropsOrBool": "any",
    _APIEXTENSIONS + "JSONSchemaPropsOrStringArray": "any",
}
"""Definitions with a wire form of their own. A RawExtension keeps whatever JSON it is given."""

_SCALARS: dict[str, Kind] = {"string": "string", "integer": "integer", "number": "number", "boolean": "boolean"}

_TOLD = {
    "type", "properties", "items", "additionalProperties", "required", "format", "enum", "default", "nullable",
    "description", "title", "example", "externalDocs", "id", "$schema", "$ref", "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys", "x-kubernetes-map-type", "x-kubernetes-patch-strategy",
    "x-kubernetes-patch-merge-key", "x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource",
    "x-kubernetes-int-or-string", "x-kubernetes-group-version-kind", "x-kubernetes-unions",
}  # fmt: skip
"""What has an attribute of ``Schema``, or says nothing about values; the rest goes to ``extra``."""


class Definitions:
    """The upstream definitions. Objects of built-in kinds may hold null for any field, so all are nullable."""

    def __init__(self, shipped: dict[str, Any]) -> None:
        self._shipped = _without_descriptions(shipped)
        self._compiled: dict[str, Schema] = {}
        self._names: dict[resources.GroupVersionKind, str] = {}
        for name, node in self._shipped.items():
            for entry in node.get("x-kubernetes-group-version-kind", ()):
                gvk = resources.GroupVersionKind(entry["group"], entry["version"], entry["kind"])
                self._names[gvk] = name

    def name(self, gvk: resources.GroupVersionKind) -> str | None:
        """``("apps", "v1", "Deployment")`` → ``io.k8s.api.apps.v1.Deployment``.

        ``meta.k8s.io/v1`` is another name for the ``v1`` of DeleteOptions, Status and their like.
        """
        if gvk.group == "meta.k8s.io":
            found = self._names.get(gvk._replace(group=""))
            return found if found and found.startswith(_META) else None
        return self._names.get(gvk)

    def schema(self, gvk: resources.GroupVersionKind) -> Schema | None:
        """The shape of a kind (lists, DeleteOptions, Scale … included), or None where upstream has none."""
        name = self.name(gvk)
        return self.schema_of(name) if name else None

    def schema_of(self, definition_name: str) -> Schema:
        """The shape of a definition; raises ``KeyError`` where there is no such name."""
        found = self._compiled.get(definition_name)
        return found if found is not None else self._define(definition_name)

    def upstream_v2(self) -> dict[str, Any]:
        """OpenAPI v2 ``definitions``, descriptions included; built anew at each call."""
        return upstream.v2()

    def upstream_v3(self) -> dict[str, Any]:
        """OpenAPI v3 ``components.schemas``, descriptions included; built anew at each call."""
        return upstream.v3()

    def _define(self, name: str) -> Schema:
        node = self._shipped[name]
        kind = _SPECIAL.get(name)
        if kind is not None:
            special = Schema(kind, nullable=True, definition=name, preserve_unknown=kind == "any")
            self._compiled[name] = special
            return special
        properties: dict[str, Schema] = {}
        schema = self._place(node, properties, definition=name)
        self._compiled[name] = schema
        for field, child in node.get("properties", {}).items():
            properties[field] = self._field(name, field, child)
        return schema

    def _field(self, definition: str, field: str, node: dict[str, Any]) -> Schema:
        schema = self._node(node)
        key = (definition, field)
        if key not in upstream.EXPLICIT_DEFAULTS:
            return schema
        return dataclasses.replace(schema, has_default=True, default=upstream.EXPLICIT_DEFAULTS[key])

    def _node(self, node: dict[str, Any]) -> Schema:
        target = upstream.reference(node)
        if not target:
            return self._place(node, {})
        schema = self.schema_of(target)
        told = _attributes(node)
        return dataclasses.replace(schema, **told) if told else schema

    def _place(self, node: dict[str, Any], properties: dict[str, Schema], definition: str = "") -> Schema:
        declared = upstream.type_of(node)
        items = values = None
        kind: Kind
        if declared == "array":
            kind, items = "array", self._node(node["items"])
        elif "additionalProperties" in node:
            kind, values = "map", self._node(node["additionalProperties"])
        elif declared == "object":
            # a field that is a bare object takes any keys; a definition without properties is an empty struct
            kind, values = ("object", None) if definition else ("map", _ANYTHING)
        elif declared == "string" and node.get("format") == "byte":
            kind = "bytes"
        else:
            kind = _SCALARS.get(declared, "any")
        return Schema(
            kind,
            properties=properties,
            items=items,
            values=values,
            required=tuple(node.get("required", ())),
            nullable=True,
            format=node.get("format", ""),
            definition=definition,
            extra={key: value for key, value in node.items() if key not in _TOLD},
            **_attributes(node),
        )


_ANYTHING = Schema("any", nullable=True, preserve_unknown=True)


@functools.cache
def definitions() -> Definitions:
    """The upstream definitions, read once in a process."""
    return Definitions(upstream.read())


def _without_descriptions(shipped: dict[str, Any]) -> dict[str, Any]:
    """The texts are three quarters of the memory and no shape needs them."""
    return {name: _bare(node) for name, node in shipped.items()}


def _bare(node: dict[str, Any]) -> dict[str, Any]:
    bare = {key: value for key, value in node.items() if key != "description"}
    if "properties" in bare:
        bare["properties"] = {field: _bare(child) for field, child in bare["properties"].items()}
    for slot in ("items", "additionalProperties"):
        if isinstance(bare.get(slot), dict):
            bare[slot] = _bare(bare[slot])
    return bare


def _attributes(node: Mapping[str, Any]) -> dict[str, Any]:
    """What a node's ``x-kubernetes-`` extensions say of merging, as arguments of ``Schema``."""
    told: dict[str, Any] = {}
    if "x-kubernetes-list-type" in node:
        told["list_type"] = node["x-kubernetes-list-type"]
    if "x-kubernetes-list-map-keys" in node:
        told["list_map_keys"] = tuple(node["x-kubernetes-list-map-keys"])
    if "x-kubernetes-map-type" in node:
        told["map_type"] = node["x-kubernetes-map-type"]
    if "x-kubernetes-patch-strategy" in node:
        told["patch_strategy"] = tuple(node["x-kubernetes-patch-strategy"].split(","))
    if "x-kubernetes-patch-merge-key" in node:
        told["patch_merge_key"] = node["x-kubernetes-patch-merge-key"]
    return told


def from_structural(openapi_v3: Mapping[str, Any], *, root: bool = True) -> Schema:
    """A custom resource's shape, from the ``openAPIV3Schema`` of its definition.

    At the root, and in an embedded resource, ``apiVersion``, ``kind`` and ``metadata`` are there whatever the
    schema says, metadata with upstream's ObjectMeta. The schema must be structural; that is checked elsewhere.
    """
    node = openapi_v3
    embedded = bool(node.get("x-kubernetes-embedded-resource"))
    properties = {field: from_structural(child, root=False) for field, child in node.get("properties", {}).items()}
    if root or embedded:
        properties.setdefault("apiVersion", Schema("string"))
        properties.setdefault("kind", Schema("string"))
        properties["metadata"] = definitions().schema_of(upstream.OBJECT_META)
    items, additional = node.get("items"), node.get("additionalProperties")
    values = None
    if isinstance(additional, Mapping):
        values = from_structural(additional, root=False)
    elif additional is True:
        values = _ANYTHING
    return Schema(
        _structural_kind(node, bool(properties), values is not None),
        properties=properties,
        items=from_structural(items, root=False) if isinstance(items, Mapping) else None,
        values=values,
        required=tuple(node.get("required", ())),
        nullable=bool(node.get("nullable")),
        preserve_unknown=bool(node.get("x-kubernetes-preserve-unknown-fields")),
        embedded_resource=embedded,
        has_default="default" in node,
        default=node.get("default"),
        format=node.get("format", ""),
        enum=tuple(node.get("enum", ())),
        extra={key: value for key, value in node.items() if key not in _TOLD},
        **_attributes(node),
    )


def _structural_kind(node: Mapping[str, Any], has_properties: bool, has_values: bool) -> Kind:
    if node.get("x-kubernetes-int-or-string"):
        return "int-or-string"
    declared = node.get("type", "")
    if declared == "array":
        return "array"
    if has_values:
        return "map"
    if declared == "object" or has_properties:
        return "object"
    return _SCALARS.get(declared, "any")
