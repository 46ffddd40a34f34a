"""What webhooks and admission policies say they are about: rules, match constraints, match conditions."""

from collections.abc import Mapping, Sequence
from typing import Any

from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import content, fields, metadata

_OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
_SCOPES = ("*", "Cluster", "Namespaced")
_CONDITIONS_LIMIT = 64
MATCH_POLICIES = ("Equivalent", "Exact")
FAILURE_POLICIES = ("Fail", "Ignore")
REINVOCATION_POLICIES = ("IfNeeded", "Never")


def rule(found: Mapping[str, Any], path: str) -> list[FieldError]:
    """A ``RuleWithOperations``."""
    wrong = _not_with_star(found, "operations", "operations", path)
    for index, operation in enumerate(found.get("operations") or ()):
        wrong += fields.one_of(f"{path}.operations[{index}]", operation, _OPERATIONS)
    wrong += _not_with_star(found, "apiGroups", "API groups", path)
    wrong += _not_with_star(found, "apiVersions", "API versions", path)
    for index, version in enumerate(found.get("apiVersions") or ()):
        if not version:
            wrong.append(fields.required(f"{path}.apiVersions[{index}]"))
    wrong += _resources(found.get("resources") or [], path + ".resources")
    if found.get("scope") is not None:
        wrong += fields.one_of(path + ".scope", found["scope"], _SCOPES)
    return wrong


def _not_with_star(found: Mapping[str, Any], field: str, what: str, path: str) -> list[FieldError]:
    values = found.get(field) or []
    if not values:
        return [fields.required(f"{path}.{field}")]
    if len(values) > 1 and "*" in values:
        return [fields.invalid(f"{path}.{field}", values, f"if '*' is present, must not specify other {what}")]
    return []


def _resources(found: Sequence[str], base: str) -> list[FieldError]:
    wrong = [] if found else [fields.required(base)]
    all_parts_of: set[str] = set()
    part_of_all: set[str] = set()
    plain_last = False
    for index, entry in enumerate(found):
        path = f"{base}[{index}]"
        if not entry:
            wrong.append(fields.required(path))
            continue
        resource, slash, part = entry.partition("/")
        if not slash:
            plain_last = entry != "*"
            continue
        if resource in all_parts_of:
            wrong.append(fields.invalid(path, entry, f"if '{resource}/*' is present, must not specify {entry}"))
        if part in part_of_all:
            wrong.append(fields.invalid(path, entry, f"if '*/{part}' is present, must not specify {entry}"))
        if part == "*":
            all_parts_of.add(resource)
        if resource == "*":
            part_of_all.add(part)
    if len(found) > 1 and "*/*" in found:
        wrong.append(fields.invalid(base, list(found), "if '*/*' is present, must not specify other resources"))
    if "*" in found and plain_last:
        text = "if '*' is present, must not specify other resources without subresources"
        wrong.append(fields.invalid(base, list(found), text))
    return wrong


def named_rule(found: Mapping[str, Any], path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    names = found.get("resourceNames") or ()
    for index, name in enumerate(names):
        place = f"{path}.resourceNames[{index}]"
        wrong += fields.all_invalid(place, name, content.path_segment(name))
        if name in names[:index]:
            wrong.append(fields.duplicate(place, name))
    return wrong + rule(found, path)


def match_resources(found: Mapping[str, Any] | None, path: str) -> list[FieldError]:
    if found is None:
        return []
    wrong: list[FieldError] = []
    if found.get("matchPolicy") is None:
        wrong.append(fields.required(path + ".matchPolicy"))
    else:
        wrong += fields.one_of(path + ".matchPolicy", found["matchPolicy"], MATCH_POLICIES)
    for field in ("namespaceSelector", "objectSelector"):
        if found.get(field) is None:
            wrong.append(fields.required(f"{path}.{field}"))
        else:
            wrong += metadata.label_selector(found[field], f"{path}.{field}")
    for field in ("resourceRules", "excludeResourceRules"):
        for index, entry in enumerate(found.get(field) or ()):
            wrong += named_rule(entry, f"{path}.{field}[{index}]")
    return wrong


def match_conditions(
    found: Sequence[Mapping[str, Any]] | None, base: str, *, known: frozenset[str] | None = None
) -> list[FieldError]:
    """Expressions must compile with a webhook's variables, but for those ``known`` from before.

    A policy's, with ``known`` None, are compiled with the rest of it.
    """
    wrong: list[FieldError] = []
    entries = found or ()
    if len(entries) > _CONDITIONS_LIMIT:
        wrong.append(fields.too_many(base, len(entries), _CONDITIONS_LIMIT))
    seen: set[str] = set()
    for index, condition in enumerate(entries):
        path, name = f"{base}[{index}]", condition.get("name") or ""
        source = condition.get("expression") or ""
        if not source.strip():
            wrong.append(fields.required(path + ".expression"))
        elif known is not None and source not in known:
            wrong += _uncompiled(source, path + ".expression")
        if not name:
            wrong.append(fields.required(path + ".name"))
            continue
        wrong += fields.all_invalid(path + ".name", name, content.qualified_name(name))
        if name in seen:
            wrong.append(fields.duplicate(path + ".name", name))
        seen.add(name)
    return wrong


def _uncompiled(source: str, path: str) -> list[FieldError]:
    from kubeshim.machinery.cel import admission, environment  # the engine is loaded with the first expression

    try:
        admission.compile_condition(source.strip())
    except environment.CompileError as problem:
        return [fields.invalid(path, source, str(problem))]
    return []
