"""Expressions of admission: match conditions of webhooks and policies, and what policies compute.

They read ``object``, ``oldObject``, ``request``, ``namespaceObject`` and ``authorizer``; policies more (``params``,
``variables``). Of ``request`` and ``namespaceObject`` the fields are known when an expression is compiled; the objects
may be of any type.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kubeshim.machinery.cel import declarations, environment, functions, types
from kubeshim.machinery.cel.libraries import authorizer, json_pointers, table

_TEXT: dict[str, Any] = {"type": "string"}


def _object(type_name: str, *texts: str, **properties: Any) -> dict[str, Any]:
    fields = {**dict.fromkeys(texts, _TEXT), **properties}
    return {"type": "object", declarations.TYPE_NAME: f"kubernetes.{type_name}", "properties": fields}


def _map(values: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": values}


_ANYTHING: dict[str, Any] = {"x-kubernetes-int-or-string": True}
"""The schema of what may be of several types, which expressions take for dynamic."""
_KIND = _object("GroupVersionKind", "group", "version", "kind")
_RESOURCE = _object("GroupVersionResource", "group", "version", "resource")
_LISTED = {"type": "array", "items": _TEXT}
_TIME, _NUMBER = {"type": "string", "format": "date-time"}, {"type": "integer"}
_REQUEST = _object(
    "AdmissionRequest", "requestSubResource", "subResource", "name", "namespace", "operation",
    options=_ANYTHING, dryRun={"type": "boolean"},
    kind=_KIND, resource=_RESOURCE, requestKind=_KIND, requestResource=_RESOURCE,
    userInfo=_object("UserInfo", "username", "uid", groups=_LISTED, extra=_map(_LISTED)),
)  # fmt: skip
_NAMESPACE = _object(
    "Namespace",
    metadata=_object(
        "NamespaceMetadata", "name", "generateName", "namespace", "UID", "resourceVersion",
        labels=_map(_TEXT), annotations=_map(_TEXT), finalizers=_LISTED,
        creationTimestamp=_TIME, deletionTimestamp=_TIME, deletionGracePeriodSeconds=_NUMBER, generation=_NUMBER,
    ),
    spec=_object("NamespaceSpec", finalizers=_LISTED),
    status=_object(
        "NamespaceStatus", "phase",
        conditions={
            "type": "array",
            "items": _object("NamespaceCondition", "status", "type", "message", "reason", lastTransitionTime=_TIME),
        },
    ),
)  # fmt: skip


_DECLARED = declarations.declare(_REQUEST)
_DECLARED_NAMESPACE = declarations.declare(_NAMESPACE)
assert _DECLARED is not None and _DECLARED_NAMESPACE is not None
VARIABLES: dict[str, types.Type] = {
    "object": types.DYN,
    "oldObject": types.DYN,
    "request": _DECLARED.type,
    "namespaceObject": _DECLARED_NAMESPACE.type,
    "authorizer": authorizer.AUTHORIZER,
    "authorizer.requestResource": authorizer.RESOURCE_CHECK,
}
FUNCTIONS: functions.Table = table.joined(authorizer.LIBRARY)
PATCH_FUNCTIONS: functions.Table = table.joined(authorizer.LIBRARY, json_pointers.LIBRARY)
"""For mutations."""


def request(data: Mapping[str, Any]) -> Any:
    """An AdmissionRequest as the value of the variable."""
    assert _DECLARED is not None
    return _DECLARED.value(dict(data))


def compile_condition(source: str) -> environment.Expression:
    """A webhook's match condition. Raises ``environment.CompileError``."""
    return environment.compile_expression(source, VARIABLES, result=types.BOOL, functions_table=FUNCTIONS)


class Unmatched(Exception):
    """Conditions have failed; ``str()`` says which and why."""


def match(
    conditions: Sequence[tuple[str, environment.Expression]], variables: Mapping[str, Any], budget: int
) -> tuple[bool, str]:
    """Whether all hold, and the name of the first that does not.

    One that is false decides, whatever others say; without such a one, failures are raised as ``Unmatched``.
    """
    problems: list[str] = []
    for name, expression in conditions:
        try:
            outcome = expression.evaluate(variables, limit=min(environment.PER_CALL_LIMIT, budget))
        except environment.Failed as failure:
            budget -= failure.cost
            problems.append(f"expression '{expression.source}' resulted in error: {failure}")
            if budget <= 0:
                break
            continue
        budget -= outcome.cost
        if not outcome.value:
            return False, name
    if problems:
        raise Unmatched(joined(problems))
    return True, ""


def joined(texts: Iterable[str]) -> str:
    """As upstream shows several errors at once."""
    found = list(dict.fromkeys(texts))
    return found[0] if len(found) == 1 else f"[{', '.join(found)}]"
