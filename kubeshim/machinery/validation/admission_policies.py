"""Validating and mutating admission policies and their bindings: that all is there, and that expressions compile."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from kubeshim.machinery import objects
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import admission_rules, conditions, content, fields, go_values, metadata

_REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge")
_ACTIONS = ("Audit", "Deny", "Warn")
_MUTATED = ("*", "CONNECT", "CREATE", "UPDATE")
_ANNOTATION = "k8s.io.api.admissionregistration.v1.AuditAnnotation"
_ANNOTATIONS_LIMIT = 20
_ANNOTATION_EXPRESSION_LIMIT = 5 * 1024
_STATIC = ".static.k8s.io"
_is_identifier = re.compile("[_a-zA-Z][_a-zA-Z0-9]*").fullmatch
_RESERVED = frozenset(
    (
        "true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if", "import",
        "let", "loop", "package", "namespace", "return", "var", "void", "while",
    )
)  # fmt: skip


def validating(obj: objects.Object) -> list[FieldError]:
    from kubeshim.machinery.cel import policies  # the engine is loaded with the first expression

    spec = obj.get("spec") or {}
    wrong = _common(spec)
    validations, annotations = spec.get("validations") or (), spec.get("auditAnnotations") or []
    if not validations and not annotations:
        text = "validations or auditAnnotations must contain at least one item"
        return [*wrong, *(fields.required(f"spec.{field}", text) for field in ("validations", "auditAnnotations"))]
    for index, validation in enumerate(validations):
        wrong += _validation(validation, f"spec.validations[{index}]")
    if len(annotations) > _ANNOTATIONS_LIMIT:
        text = f"must not have more than {_ANNOTATIONS_LIMIT} auditAnnotations"
        shown = [go_values.internal(_ANNOTATION, annotation) for annotation in annotations]
        wrong.append(fields.invalid("spec.auditAnnotations", shown, text))
    keys = [annotation.get("key") or "" for annotation in annotations]
    for index, annotation in enumerate(annotations):
        path = f"spec.auditAnnotations[{index}]"
        wrong += _audit_annotation(annotation, objects.name(obj), path)
        if keys[index] in keys[:index]:
            wrong.append(fields.duplicate(path + ".key", keys[index]))
    return wrong + policies.compile_validating(spec)[1]


def mutating(obj: objects.Object) -> list[FieldError]:
    from kubeshim.machinery.cel import policies

    spec = obj.get("spec") or {}
    wrong = _common(spec) + _not_deletions(spec.get("matchConstraints"), "spec.matchConstraints")
    mutations = spec.get("mutations") or ()
    if not mutations:
        wrong.append(fields.required("spec.mutations", "mutations must contain at least one item"))
    for index, mutation in enumerate(mutations):
        wrong += _mutation(mutation, f"spec.mutations[{index}]")
    policy = spec.get("reinvocationPolicy") or ""
    if not policy:
        wrong.append(fields.required("spec.reinvocationPolicy"))
    else:
        wrong += fields.one_of("spec.reinvocationPolicy", policy, admission_rules.REINVOCATION_POLICIES)
    return wrong + policies.compile_mutating(spec)[1]


def not_static(obj: objects.Object) -> list[FieldError]:
    """Some names are for what stands in files: those of configurations of webhooks, too."""
    name = objects.name(obj)
    if not name.endswith(_STATIC):
        return []
    text = f"names ending with {fields.quote(_STATIC)} are reserved for static manifest-based configurations"
    return [fields.invalid("metadata.name", name, f"{text} and cannot be managed via the API")]


def _common(spec: Mapping[str, Any]) -> list[FieldError]:
    wrong: list[FieldError] = []
    if spec.get("failurePolicy") is None:
        wrong.append(fields.required("spec.failurePolicy"))
    else:
        wrong += fields.one_of("spec.failurePolicy", spec["failurePolicy"], admission_rules.FAILURE_POLICIES)
    if (kind := spec.get("paramKind")) is not None:
        wrong += _param_kind(kind, "spec.paramKind")
    match = spec.get("matchConstraints")
    if match is None:
        wrong.append(fields.required("spec.matchConstraints"))
    else:
        wrong += admission_rules.match_resources(match, "spec.matchConstraints")
        if not match.get("resourceRules"):
            wrong.append(fields.required("spec.matchConstraints.resourceRules"))
    wrong += admission_rules.match_conditions(spec.get("matchConditions"), "spec.matchConditions")
    for index, variable in enumerate(spec.get("variables") or ()):
        wrong += _variable(variable, f"spec.variables[{index}]")
    return wrong


def _param_kind(kind: Mapping[str, Any], path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    api_version, name = kind.get("apiVersion") or "", kind.get("kind") or ""
    group, _, version = api_version.rpartition("/")
    if not api_version:
        wrong.append(fields.required(path + ".apiVersion"))
    elif api_version.count("/") > 1:
        text = f"unexpected GroupVersion string: {api_version}"
        wrong.append(fields.invalid(path + ".apiVersion", api_version, text))
    else:
        if group and (complaints := content.dns_subdomain(group)):
            wrong.append(fields.invalid(path + ".apiVersion", group, ",".join(complaints)))
        if not version:
            wrong.append(fields.invalid(path + ".apiVersion", api_version, "version must be specified"))
        elif complaints := content.dns_1035_label(version):
            wrong.append(fields.invalid(path + ".apiVersion", version, ",".join(complaints)))
    if not name:
        wrong.append(fields.required(path + ".kind"))
    elif complaints := content.dns_1035_label(name.lower()):
        text = "may have mixed case, but should otherwise match: " + ",".join(complaints)
        wrong.append(fields.invalid(path + ".kind", name, text))
    return wrong


def _variable(variable: Mapping[str, Any], path: str) -> list[FieldError]:
    name = variable.get("name") or ""
    wrong: list[FieldError] = []
    if not name.strip():
        wrong.append(fields.required(path + ".name", "name is not specified"))
    elif not _is_identifier(name) or name in _RESERVED:
        wrong.append(fields.invalid(path + ".name", name, "must be a valid CEL identifier"))
    if not (variable.get("expression") or "").strip():
        wrong.append(fields.required(path + ".expression", "expression is not specified"))
    return wrong


def _validation(validation: Mapping[str, Any], path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    if not (validation.get("expression") or "").strip():
        wrong.append(fields.required(path + ".expression", "expression is not specified"))
    told = validation.get("messageExpression") or ""
    if told and not told.strip():
        wrong.append(fields.invalid(path + ".messageExpression", told, "must be non-empty if specified"))
    message = validation.get("message") or ""
    if message and not message.strip():
        wrong.append(fields.invalid(path + ".message", message, "must be non-empty if specified"))
    elif re.search("[\n\r]", message.strip()):
        wrong.append(fields.invalid(path + ".message", message, "must not contain line breaks"))
    if validation.get("reason") is not None:
        wrong += fields.one_of(path + ".reason", validation["reason"], _REASONS)
    return wrong


def _audit_annotation(annotation: Mapping[str, Any], name: str, path: str) -> list[FieldError]:
    key, expression = annotation.get("key") or "", (annotation.get("valueExpression") or "").strip()
    wrong: list[FieldError] = []
    if name:
        full = f"{name}/{key}"
        wrong += fields.all_invalid(path + ".key", full, content.qualified_name(full))
    else:
        wrong.append(fields.invalid(path + ".key", key, "requires metadata.name be non-empty"))
    if not expression:
        wrong.append(fields.required(path + ".valueExpression", "valueExpression is not specified"))
    elif len(expression) > _ANNOTATION_EXPRESSION_LIMIT:
        text = f"must not exceed {_ANNOTATION_EXPRESSION_LIMIT} bytes in length"
        wrong.append(fields.required(path + ".valueExpression", text))
    return wrong


_PATCHES = {"ApplyConfiguration": "applyConfiguration", "JSONPatch": "jsonPatch"}


def _mutation(mutation: Mapping[str, Any], path: str) -> list[FieldError]:
    kind = mutation.get("patchType") or ""
    if not kind:
        return [fields.required(path + ".patchType")]
    if kind not in _PATCHES:
        return [fields.not_supported(path + ".patchType", kind, tuple(_PATCHES))]
    wrong: list[FieldError] = []
    for other, field in _PATCHES.items():
        if other == kind and mutation.get(field) is None:
            text = f"must be specified when patchType is {kind}"
            wrong.append(fields.required(f"{path}.{field}", text))
        elif other == kind and not (mutation[field].get("expression") or "").strip():
            wrong.append(fields.required(f"{path}.{field}.expression"))
        elif other != kind and mutation.get(field) is not None:
            text = f"must not be specified when patchType is {kind}"
            wrong.append(fields.invalid(f"{path}.{field}", f"{{{field}}}", text))
    return wrong


def _not_deletions(found: Mapping[str, Any] | None, path: str) -> list[FieldError]:
    """There is nothing to mutate about those."""
    return [
        problem
        for rule in (found or {}).get("resourceRules") or ()
        for operation in rule.get("operations") or ()
        for problem in fields.one_of(f"{path}.resourceRules.operations", operation, _MUTATED)
    ]


def validating_binding(obj: objects.Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    wrong = _binding(obj)
    return wrong + _actions(spec.get("validationActions") or [], "spec.validationActions")


def mutating_binding(obj: objects.Object) -> list[FieldError]:
    chosen = objects.dig(obj, "spec", "matchResources")
    return _binding(obj) + _not_deletions(chosen, "spec.matchResources")


def _binding(obj: objects.Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    policy = spec.get("policyName") or ""
    wrong: list[FieldError] = []
    if not policy:
        wrong.append(fields.required("spec.policyName"))
    else:
        wrong += fields.all_invalid("spec.policyName", policy, content.dns_subdomain(policy))
    wrong += _param_ref(spec.get("paramRef"), "spec.paramRef")
    return wrong + admission_rules.match_resources(spec.get("matchResources"), "spec.matchResources")


def _param_ref(reference: Mapping[str, Any] | None, path: str) -> list[FieldError]:
    if reference is None:
        return []
    name, selector = reference.get("name") or "", reference.get("selector")
    both = name and selector is not None
    wrong = fields.all_invalid(path + ".name", name, content.path_segment(name)) if name else []
    if both:
        wrong.append(fields.forbidden(path + ".name", "name and selector are mutually exclusive"))
    if selector is not None:
        wrong += metadata.label_selector(selector, path + ".selector")
    if both:
        wrong.append(fields.forbidden(path + ".selector", "name and selector are mutually exclusive"))
    if not name and selector is None:
        wrong.append(fields.required(path, "one of name or selector must be specified"))
    action = reference.get("parameterNotFoundAction") or ""
    if not action:
        wrong.append(fields.required(path + ".parameterNotFoundAction"))
    else:
        wrong += fields.one_of(path + ".parameterNotFoundAction", action, ("Deny", "Allow"))
    return wrong


def _actions(found: Sequence[str], base: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    for index, action in enumerate(found):
        wrong += fields.one_of(f"{base}[{index}]", action, _ACTIONS)
        if action in found[:index]:
            wrong.append(fields.duplicate(f"{base}[{index}]", action))
    if "Deny" in found and "Warn" in found:
        text = (
            "must not contain both Deny and Warn (repeating the same validation failure information in the API "
            "response and headers serves no purpose)"
        )
        wrong.append(fields.invalid(base, list(found), text))
    if not found:
        wrong.append(fields.required(base, "at least one validation action is required"))
    return wrong


def validating_status(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    status = obj.get("status") or {}
    wrong: list[FieldError] = []
    for index, warning in enumerate(objects.dig(status, "typeChecking", "expressionWarnings", default=())):
        path = f"status.typeChecking.expressionWarnings[{index}]"
        wrong += [
            fields.required(f"{path}.{field}")
            for field in ("warning", "fieldRef")
            if not (warning.get(field) or "").strip()
        ]
    return wrong + conditions.validate(status.get("conditions"), "status.conditions")
