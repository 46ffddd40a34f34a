"""What a schema must be beyond structural: keywords that are not supported, list and map types that fit.

``validate`` walks every subschema, those under logical combinations too. Expressions (``x-kubernetes-validations``)
are looked at only as far as their form goes; ``expressions`` does the rest.
"""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from kubeshim.machinery import errors
from kubeshim.machinery.structural import field_paths, list_rules
from kubeshim.machinery.validation import fields

Node = Mapping[str, Any]
Problems = list[errors.FieldError]

TYPES = ("array", "boolean", "integer", "number", "object", "string")
_UNSUPPORTED = ("id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref")
_REASONS = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
_LINES = re.compile(r"[\n\r]").search


@dataclasses.dataclass(frozen=True, slots=True)
class _Context:
    """What is known from above."""

    root: bool = False
    no_defaults: str | None = None
    """Why defaults are not allowed here; None where they are."""
    in_metadata: bool = False


def validate(schema: Node, path: str) -> Problems:
    return _place(schema, path, _Context(root=True))


def _place(schema: Node, path: str, context: _Context) -> Problems:
    wrong = _keywords(schema, path, context)
    if schema.get("uniqueItems"):
        text = "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"
        wrong.append(fields.forbidden(f"{path}.uniqueItems", text))
    wrong += _additional(schema, path, context)
    for name, node in _schemas(schema, "properties"):
        wrong += _place(node, f"{path}.properties[{name}]", _below(schema, name, context))
    inner = dataclasses.replace(context, root=False)
    if isinstance(schema.get("not"), Mapping):
        wrong += _place(schema["not"], f"{path}.not", inner)
    for slot in ("allOf", "oneOf", "anyOf"):
        for index, node in enumerate(schema.get(slot) or ()):
            wrong += _place(node, f"{path}.{slot}[{index}]", inner)
    if isinstance(schema.get("items"), Mapping):
        wrong += _place(schema["items"], f"{path}.items", inner)
    wrong += list_rules.validate(schema, path)
    if schema.get("x-kubernetes-validations"):
        wrong += _rule_forms(schema, path)
    return wrong


def _schemas(schema: Node, slot: str) -> list[tuple[str, Node]]:
    found = schema.get(slot)
    return list(found.items()) if isinstance(found, Mapping) else []


def _below(schema: Node, name: str, context: _Context) -> _Context:
    """What holds for a property; type and metadata of an object have rules of their own."""
    meta = name in ("metadata", "kind", "apiVersion")
    if not meta or not (context.root or schema.get("x-kubernetes-embedded-resource")):
        return dataclasses.replace(context, root=False)
    reason = f"in top-level {name}" if context.root else context.no_defaults
    return dataclasses.replace(context, root=False, in_metadata=True, no_defaults=reason)


def _additional(schema: Node, path: str, context: _Context) -> Problems:
    additional = schema.get("additionalProperties")
    if additional is None:
        return []
    wrong: Problems = []
    if schema.get("properties") and additional is not True:
        text = "additionalProperties and properties are mutual exclusive"
        wrong.append(fields.forbidden(f"{path}.additionalProperties", text))
    if isinstance(additional, Mapping):
        below = dataclasses.replace(context, root=False)
        if context.in_metadata:
            reason = "inside additionalProperties applying to object metadata"
            below = dataclasses.replace(below, no_defaults=reason)
        wrong += _place(additional, f"{path}.additionalProperties", below)
    return wrong


def _keywords(schema: Node, path: str, context: _Context) -> Problems:
    wrong: Problems = []
    declared = schema.get("type") or ""
    if declared and declared not in TYPES:
        wrong.append(fields.not_supported(f"{path}.type", declared, TYPES))
    if schema.get("default") is not None and context.no_defaults is not None:
        wrong.append(fields.forbidden(f"{path}.default", f"must not be set {context.no_defaults}".rstrip()))
    for name in _UNSUPPORTED:
        if schema.get(name) is not None and schema[name] not in ("", {}):
            wrong.append(fields.forbidden(f"{path}.{name}", f"{name} is not supported"))
    if declared == "null":
        text = "type cannot be set to null, use nullable as an alternative"
        wrong.append(fields.forbidden(f"{path}.type", text))
    if isinstance(schema.get("items"), list):
        wrong.append(fields.forbidden(f"{path}.items", "items must be a schema object and not an array"))
    if context.in_metadata and schema.get("x-kubernetes-embedded-resource"):
        text = "must not be used inside of resource meta"
        wrong.append(fields.forbidden(f"{path}.x-kubernetes-embedded-resource", text))
    if schema.get("x-kubernetes-preserve-unknown-fields") is False:
        text = "must be true or undefined"
        wrong.append(fields.invalid(f"{path}.x-kubernetes-preserve-unknown-fields", False, text))
    return wrong


# --- expressions, as far as their form goes ----------------------------------------------------------------------


def _rule_forms(schema: Node, path: str) -> Problems:
    wrong: Problems = []
    for index, rule in enumerate(schema["x-kubernetes-validations"]):
        wrong += _rule_form(rule, schema, f"{path}.x-kubernetes-validations[{index}]")
    return wrong


def _rule_form(rule: Mapping[str, Any], schema: Node, path: str) -> Problems:
    wrong = _texts(rule, path)
    expression = rule.get("messageExpression") or ""
    if expression and not expression.strip():
        text = "messageExpression must be non-empty if specified"
        wrong.append(fields.required(f"{path}.messageExpression", text))
    reason = rule.get("reason")
    if reason is not None and reason not in _REASONS:
        wrong.append(fields.not_supported(f"{path}.reason", reason, _REASONS))
    place = rule.get("fieldPath") or ""
    if not place:
        return wrong
    if not place.strip():
        wrong.append(fields.invalid(f"{path}.fieldPath", place, "fieldPath must be non-empty if specified"))
    if _LINES(place):
        wrong.append(fields.invalid(f"{path}.fieldPath", place, "fieldPath must not contain line breaks"))
    try:
        field_paths.resolve(place, schema)
    except field_paths.Invalid:
        wrong.append(fields.invalid(f"{path}.fieldPath", place, "fieldPath must be a valid path"))
    return wrong


def _texts(rule: Mapping[str, Any], path: str) -> Problems:
    expression, message = (rule.get("rule") or "").strip(), rule.get("message") or ""
    if not expression:
        return [fields.required(f"{path}.rule", "rule is not specified")]
    if message and not message.strip():
        return [fields.invalid(f"{path}.message", message, "message must be non-empty if specified")]
    if _LINES(message.strip()):
        return [fields.invalid(f"{path}.message", message, "message must not contain line breaks")]
    if _LINES(expression) and not message.strip():
        return [fields.required(f"{path}.message", "message must be specified if rule contains line breaks")]
    return []
