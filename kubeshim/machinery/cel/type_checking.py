"""What a validating policy's expressions get wrong about the types they will be asked about: its status' warnings.

Unlike when a policy is written, ``object``, ``oldObject`` and ``params`` have the types that the cluster's OpenAPI
documents say. A warning never keeps a policy from being asked.
"""

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from kubeshim.machinery import objects, resources
from kubeshim.machinery.cel import admission, declarations, environment, policies, types

MAX_TYPES = 10
SchemaOf = Callable[[resources.GroupVersionKind], Mapping[str, Any] | None]
"""The schema of a type, without references; None where there is none."""
KindsFor = Callable[[str, str, str], Iterable[resources.GroupVersionKind]]
"""``(group, version, resource)``: what the cluster serves under that name."""

_WILD = re.compile(r"[*/]").search


@dataclasses.dataclass(frozen=True, slots=True)
class _Known:
    """One type to check against, as the variables it makes."""

    shown: str
    variables: Mapping[str, types.Type]


def warnings(spec: Mapping[str, Any], kinds_for: KindsFor, schema_of: SchemaOf) -> list[dict[str, str]]:
    """``status.typeChecking.expressionWarnings``."""
    params = _params_type(spec, schema_of)
    known = [
        _Known(_shown(kind), _variables(_type(schema, kind), params))
        for kind in types_to_check(spec, kinds_for)
        if (schema := schema_of(kind)) is not None
    ]
    made = []
    for index, validation in enumerate(spec.get("validations") or ()):
        for field in ("expression", "messageExpression"):
            source = validation.get(field) or ""
            if field == "messageExpression" and not source:
                continue
            complaints = _complaints(source, spec.get("variables") or (), known)
            if complaints:
                path = f"spec.validations[{index}].{field}"
                made.append({"fieldRef": path, "warning": "\n".join(complaints)})
    return made


def types_to_check(spec: Mapping[str, Any], kinds_for: KindsFor) -> list[resources.GroupVersionKind]:
    """The types a policy names without wildcards, in order, at most ``MAX_TYPES``."""
    found: set[resources.GroupVersionKind] = set()
    for rule in objects.dig(spec, "matchConstraints", "resourceRules", default=()):
        groups, versions = rule.get("apiGroups") or (), rule.get("apiVersions") or ()
        if any("*" in name for name in (*groups, *versions)):
            continue
        plain = sorted(name for name in rule.get("resources") or () if not _WILD(name))
        seen = 0
        for group in sorted(groups):
            for version in sorted(versions):
                for resource in plain:
                    for kind in kinds_for(group, version, resource):
                        found.add(kind)
                        seen += 1
                        if seen == MAX_TYPES:
                            return _sorted(found)
    return _sorted(found)


def _sorted(found: set[resources.GroupVersionKind]) -> list[resources.GroupVersionKind]:
    return sorted(found, key=lambda kind: (kind.group, kind.version, kind.kind))


def _shown(kind: resources.GroupVersionKind) -> str:
    return f"{kind.group}/{kind.version}, Kind={kind.kind}"


def _params_type(spec: Mapping[str, Any], schema_of: SchemaOf) -> types.Type | None:
    reference = spec.get("paramKind")
    if reference is None:
        return None
    group, version = resources.split_api_version(reference.get("apiVersion") or "")
    kind = resources.GroupVersionKind(group, version, reference.get("kind") or "")
    schema = schema_of(kind)
    return None if schema is None else _type(schema, kind)


def _type(schema: Mapping[str, Any], kind: resources.GroupVersionKind) -> types.Type:
    declared = declarations.declare(schema, kind.kind, root=True) if schema.get("type") else None
    return types.DYN if declared is None else declared.type


def _variables(about: types.Type, params: types.Type | None) -> dict[str, types.Type]:
    known = {name: admission.VARIABLES[name] for name in ("request", "namespaceObject", "authorizer")}
    known |= {"object": about, "oldObject": about}
    return known | ({} if params is None else {"params": params})


def _complaints(source: str, variables: Sequence[Mapping[str, Any]], known: Sequence[_Known]) -> list[str]:
    found = []
    for one in known:
        fields: dict[str, policies.Field] = {}
        names = {**one.variables, "variables": types.object_type("kubernetes.variables", fields)}
        for entry in variables:
            fields[entry.get("name") or ""] = policies.Field(policies.variable_type(_result(entry, names)))
        try:
            environment.type_of(source, names, admission.FUNCTIONS)
        except environment.CompileError as problem:
            found.append(f"{one.shown}: {problem}\n")
    return found


def _result(variable: Mapping[str, Any], names: Mapping[str, types.Type]) -> types.Type | None:
    try:
        return environment.type_of(variable.get("expression") or "", names, admission.FUNCTIONS)
    except environment.CompileError:
        return None  # what does not compile is told where it is used, if at all
