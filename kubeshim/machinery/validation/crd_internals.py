"""Parts of a CustomResourceDefinition as messages show them: upstream's internal form, with the names of Go fields."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kubeshim.machinery.validation import fields

Node = Mapping[str, Any]
Shape = Callable[[Any], Any]


def _plain(value: Any) -> Any:
    return value


def _text(value: Any) -> Any:
    return value or ""


def _flag(value: Any) -> Any:
    return bool(value)


def schema(node: Any) -> Any:
    """An ``openAPIV3Schema`` or one below it."""
    if not isinstance(node, Mapping):
        return None
    return fields.Struct({name: shape(node.get(key)) for name, key, shape in _SCHEMA})


def _list(nodes: Any) -> Any:
    return None if nodes is None else [schema(node) for node in nodes]


def _map(nodes: Any) -> Any:
    return None if nodes is None else fields.Struct({name: schema(nodes[name]) for name in sorted(nodes)})


def _items(found: Any) -> Any:
    if found is None:
        return None
    return fields.Struct(
        Schema=schema(found), JSONSchemas=_list(found) if isinstance(found, list) else None
    )  # fmt: skip


def _allowed(found: Any) -> Any:
    return None if found is None else fields.Struct(Allows=found is not False, Schema=schema(found))


def _documentation(found: Any) -> Any:
    return None if found is None else fields.Struct(
        Description=found.get("description") or "", URL=found.get("url") or ""
    )  # fmt: skip


def rule(found: Node) -> fields.Struct:
    """One of ``x-kubernetes-validations``."""
    return fields.Struct(
        Rule=found.get("rule") or "", Message=found.get("message") or "",
        MessageExpression=found.get("messageExpression") or "", Reason=found.get("reason"),
        FieldPath=found.get("fieldPath") or "", OptionalOldSelf=found.get("optionalOldSelf"),
    )  # fmt: skip


def _rules(found: Any) -> Any:
    return None if found is None else [rule(each) for each in found]


_SCHEMA: tuple[tuple[str, str, Shape], ...] = (
    ("ID", "id", _text), ("Schema", "$schema", _text), ("Ref", "$ref", _plain), ("Description", "description", _text),
    ("Type", "type", _text), ("Nullable", "nullable", _flag), ("Format", "format", _text), ("Title", "title", _text),
    ("Default", "default", _plain), ("Maximum", "maximum", _plain), ("ExclusiveMaximum", "exclusiveMaximum", _flag),
    ("Minimum", "minimum", _plain), ("ExclusiveMinimum", "exclusiveMinimum", _flag), ("MaxLength", "maxLength", _plain),
    ("MinLength", "minLength", _plain), ("Pattern", "pattern", _text), ("MaxItems", "maxItems", _plain),
    ("MinItems", "minItems", _plain), ("UniqueItems", "uniqueItems", _flag), ("MultipleOf", "multipleOf", _plain),
    ("Enum", "enum", _plain), ("MaxProperties", "maxProperties", _plain), ("MinProperties", "minProperties", _plain),
    ("Required", "required", _plain), ("Items", "items", _items), ("AllOf", "allOf", _list), ("OneOf", "oneOf", _list),
    ("AnyOf", "anyOf", _list), ("Not", "not", schema), ("Properties", "properties", _map),
    ("AdditionalProperties", "additionalProperties", _allowed), ("PatternProperties", "patternProperties", _map),
    ("Dependencies", "dependencies", _plain), ("AdditionalItems", "additionalItems", _allowed),
    ("Definitions", "definitions", _map), ("ExternalDocs", "externalDocs", _documentation),
    ("Example", "example", _plain), ("XPreserveUnknownFields", "x-kubernetes-preserve-unknown-fields", _plain),
    ("XEmbeddedResource", "x-kubernetes-embedded-resource", _flag),
    ("XIntOrString", "x-kubernetes-int-or-string", _flag),
    ("XListMapKeys", "x-kubernetes-list-map-keys", _plain), ("XListType", "x-kubernetes-list-type", _plain),
    ("XMapType", "x-kubernetes-map-type", _plain), ("XValidations", "x-kubernetes-validations", _rules),
)  # fmt: skip
"""Go's field, ours, and how the value is shown; in the order of Go's struct."""


def _validation(found: Any) -> Any:
    return None if found is None else fields.Struct(OpenAPIV3Schema=schema(found.get("openAPIV3Schema")))


def _subresources(found: Any) -> Any:
    if found is None:
        return None
    scale = found.get("scale")
    return fields.Struct(
        Status=None if found.get("status") is None else {},
        Scale=None if scale is None else fields.Struct(
            SpecReplicasPath=scale.get("specReplicasPath") or "",
            StatusReplicasPath=scale.get("statusReplicasPath") or "",
            LabelSelectorPath=scale.get("labelSelectorPath"),
        ),
    )  # fmt: skip


def _column(found: Node) -> fields.Struct:
    return fields.Struct(
        Name=found.get("name") or "", Type=found.get("type") or "", Format=found.get("format") or "",
        Description=found.get("description") or "", Priority=found.get("priority") or 0,
        JSONPath=found.get("jsonPath") or "",
    )  # fmt: skip


def _columns(found: Any) -> Any:
    return None if found is None else [_column(each) for each in found]


def _selectable(found: Any) -> Any:
    return None if found is None else [fields.Struct(JSONPath=each.get("jsonPath") or "") for each in found]


def versions(given: Sequence[Node], shared: frozenset[str]) -> list[fields.Struct]:
    """``shared`` is what stands at the top of the internal form, and no more in the versions."""

    def own(version: Node, name: str, shape: Shape) -> Any:
        return None if name in shared else shape(version.get(name))

    return [
        fields.Struct(
            Name=version.get("name") or "", Served=bool(version.get("served")), Storage=bool(version.get("storage")),
            Deprecated=bool(version.get("deprecated")), DeprecationWarning=version.get("deprecationWarning"),
            Schema=own(version, "schema", _validation), Subresources=own(version, "subresources", _subresources),
            AdditionalPrinterColumns=own(version, "additionalPrinterColumns", _columns),
            SelectableFields=own(version, "selectableFields", _selectable),
        )
        for version in given
    ]  # fmt: skip
