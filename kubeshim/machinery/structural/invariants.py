"""Whether a schema is structural. Complaints come sorted, as upstream gives them."""

from collections.abc import Mapping
from typing import Any

from kubeshim.machinery import errors, regexes
from kubeshim.machinery.structural import completeness
from kubeshim.machinery.validation import fields

Node = Mapping[str, Any]
Problems = list[errors.FieldError]

_INT_OR_STRING = [{"type": "integer"}, {"type": "string"}]
_EMPTY = {
    "root": "must not be empty at the root",
    "item": "must not be empty for specified array items",
    "field": "must not be empty for specified object fields",
}
_FORBIDDEN_BELOW_LOGIC = (
    ("title", "must be empty to be structural"),
    ("description", "must be empty to be structural"),
    ("nullable", "must be false to be structural"),
    ("x-kubernetes-preserve-unknown-fields", "must be false to be structural"),
    ("x-kubernetes-embedded-resource", "must be false to be structural"),
    ("x-kubernetes-int-or-string", "must be false to be structural"),
    ("x-kubernetes-list-map-keys", "must be empty to be structural"),
    ("x-kubernetes-list-type", "must be undefined to be structural"),
    ("x-kubernetes-map-type", "must be undefined to be structural"),
    ("x-kubernetes-validations", "must be empty to be structural"),
)


def validate(schema: Node, path: str) -> Problems:
    """What keeps the schema at ``path`` (``spec.validation.openAPIV3Schema``) from being structural."""
    wrong = _place(schema, "root", path) + completeness.validate(schema, path)
    return sorted(wrong, key=str)


_UNSUPPORTED = (
    ("id", "id"), ("$schema", "schema"), ("$ref", "$ref"), ("patternProperties", "patternProperties"),
    ("dependencies", "dependencies"), ("additionalItems", "additionalItems"), ("definitions", "definitions"),
)  # fmt: skip


def unreadable(schema: Node) -> str:
    """Why a schema cannot even be looked at as a structural one; empty where it can."""
    for key, name in _UNSUPPORTED:
        if schema.get(key):
            return f"OpenAPIV3Schema '{name}' is not supported"
    if schema.get("x-kubernetes-preserve-unknown-fields") is False:
        return "internal error: 'x-kubernetes-preserve-unknown-fields' must be true or undefined"
    if isinstance(schema.get("items"), list):
        return "OpenAPIV3Schema 'items' must be a schema, but is an array"
    below = [*children(schema).values(), *(child(schema, slot) for slot in ("items", "additionalProperties", "not"))]
    for slot in ("allOf", "anyOf", "oneOf"):
        below += schema.get(slot) or ()
    return next((why for node in below if node is not None and (why := unreadable(node))), "")


def children(schema: Node, slot: str = "properties") -> Mapping[str, Node]:
    found = schema.get(slot)
    return found if isinstance(found, Mapping) else {}


def child(schema: Node, slot: str) -> Node | None:
    """The schema under ``items``, ``additionalProperties`` or ``not``, where there is one."""
    found = schema.get(slot)
    return found if isinstance(found, Mapping) else None


def _place(schema: Node, level: str, path: str) -> Problems:
    wrong: Problems = []
    if schema.get("type") == "array" and child(schema, "items") is None:
        wrong.append(fields.required(f"{path}.items", "must be specified"))
    if (items := child(schema, "items")) is not None:
        wrong += _place(items, "item", f"{path}.items")
    for name, node in children(schema).items():
        wrong += _place(node, "field", f"{path}.properties[{name}]")
    if schema.get("additionalProperties") is not None:
        if level == "root":
            wrong.append(fields.forbidden(f"{path}.additionalProperties", "must not be used at the root"))
        if (node_ := child(schema, "additionalProperties")) is not None:
            wrong += _place(node_, "field", f"{path}.additionalProperties")
    wrong += _extensions(schema, path)
    wrong += _logic(schema, level, path, *_int_or_string_forms(schema))
    wrong += _type(schema, level, path)
    return wrong + _meta(schema, level, path)


def _int_or_string_forms(schema: Node) -> tuple[bool, bool]:
    """Whether ``anyOf``, and the first ``allOf``, say "integer or string", which alone may name types."""
    first = (schema.get("allOf") or [{}])[0]
    return schema.get("anyOf") == _INT_OR_STRING, isinstance(first, Mapping) and first.get("anyOf") == _INT_OR_STRING


def _extensions(schema: Node, path: str) -> Problems:
    if not schema.get("x-kubernetes-int-or-string"):
        return []
    text = "must be false if x-kubernetes-int-or-string is true"
    names = ("x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource")
    return [fields.invalid(f"{path}.{name}", True, text) for name in names if schema.get(name)]


def _type(schema: Node, level: str, path: str) -> Problems:
    declared, embedded = schema.get("type") or "", schema.get("x-kubernetes-embedded-resource")
    wrong: Problems = []
    if embedded and declared != "object":
        text = "must be object if x-kubernetes-embedded-resource is true"
        place = f"{path}.type"
        wrong.append(fields.invalid(place, declared, text) if declared else fields.required(place, text))
    elif not declared and not (
        schema.get("x-kubernetes-int-or-string") or schema.get("x-kubernetes-preserve-unknown-fields")
    ):
        wrong.append(fields.required(f"{path}.type", _EMPTY[level]))
    if embedded and schema.get("additionalProperties") is not None:
        text = "must not be used if x-kubernetes-embedded-resource is set"
        wrong.append(fields.forbidden(f"{path}.additionalProperties", text))
    if level == "root" and declared and declared != "object":
        wrong.append(fields.invalid(f"{path}.type", declared, "must be object at the root"))
    return wrong


def _meta(schema: Node, level: str, path: str) -> Problems:
    properties, wrong = children(schema), list[errors.FieldError]()
    embedded = bool(schema.get("x-kubernetes-embedded-resource"))
    if level == "root" or embedded:
        for name in ("kind", "apiVersion"):
            if name in properties and properties[name].get("type") != "string":
                declared = properties[name].get("type") or ""
                wrong.append(fields.invalid(f"{path}.properties[{name}].type", declared, "must be string"))
    if "metadata" in properties:
        wrong += _metadata(properties["metadata"], level, level == "root" or embedded, f"{path}.properties[metadata]")
    if embedded and not schema.get("x-kubernetes-preserve-unknown-fields") and not properties:
        text = (
            "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields"
        )
        wrong.append(fields.required(f"{path}.properties", text))
    return wrong


def _metadata(node: Node, level: str, checked: bool, path: str) -> Problems:
    wrong: Problems = []
    if checked and node.get("type") != "object":
        wrong.append(fields.invalid(f"{path}.type", node.get("type") or "", "must be object"))
    if level == "root":
        extra = {key for key, value in node.items() if value not in (None, "", [], {}, False)} - {"type", "default"}
        if set(children(node)) <= {"name", "generateName"}:
            extra.discard("properties")
        if extra:
            text = "must not specify anything other than name and generateName, but metadata is implicitly specified"
            wrong.append(fields.forbidden(path, text))
    return wrong


def _logic(schema: Node, level: str, path: str, skip_any: bool, skip_first_all: bool) -> Problems:
    wrong: Problems = []
    if not skip_any:
        wrong += _alternatives(schema, "anyOf", level, path)
    for index, node in enumerate(schema.get("allOf") or ()):
        wrong += _below_logic(node, level, f"{path}.allOf[{index}]", skip_any=skip_first_all and index == 0)
    wrong += _alternatives(schema, "oneOf", level, path)
    if (opposite := child(schema, "not")) is not None:
        wrong += _below_logic(opposite, level, f"{path}.not")
    if pattern := schema.get("pattern"):
        try:
            regexes.compile_pattern(pattern)
        except regexes.Malformed as problem:
            text = f"must be a valid regular expression, but isn't: {problem}"
            wrong.append(fields.invalid(f"{path}.pattern", pattern, text))
    return wrong


def _alternatives(schema: Node, slot: str, level: str, path: str) -> Problems:
    wrong: Problems = []
    for index, node in enumerate(schema.get(slot) or ()):
        wrong += _below_logic(node, level, f"{path}.{slot}[{index}]")
    return wrong


def _below_logic(node: Node, level: str, path: str, *, skip_any: bool = False) -> Problems:
    """Under anyOf, allOf, oneOf and not, only values may be restricted; types and fields are the main schema's."""
    wrong = _logic(node, level, path, skip_any, False)
    if (items := child(node, "items")) is not None:
        wrong += _below_logic(items, level, f"{path}.items")
    for name, inner in children(node).items():
        wrong += _below_logic(inner, "field", f"{path}.properties[{name}]")
    if node.get("type"):
        wrong.append(fields.forbidden(f"{path}.type", "must be empty to be structural"))
    for name in ("additionalProperties", "default"):
        if node.get(name) is not None:
            wrong.append(fields.forbidden(f"{path}.{name}", "must be undefined to be structural"))
    wrong += [fields.forbidden(f"{path}.{name}", text) for name, text in _FORBIDDEN_BELOW_LOGIC if node.get(name)]
    if "metadata" in children(node):
        wrong.append(fields.forbidden(f"{path}.properties[metadata]", "must not be specified in a nested context"))
    return wrong
