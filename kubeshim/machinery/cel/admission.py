"""Expressions of admission: match conditions of webhooks and policies, and what policies compute.

They read ``object``, ``oldObject``, ``request`` and ``authorizer``; policies more (``params``, ``namespaceObject``,
``variables``). Of ``request`` the fields are known when an expression is compiled; the objects may be of any type.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kubeshim.machinery.cel import declarations, environment, functions, types
from kubeshim.machinery.cel.libraries import authorizer, json_pointers, table

_TEXT: dict[str, Any] = {"type": "string"}


def _object(*texts: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {**dict.fromkeys(texts, _TEXT), **properties}}


_ANYTHING: dict[str, Any] = {"x-kubernetes-int-or-string": True}
"""The schema of what may be of several types, which expressions take for dynamic."""
_KIND, _RESOURCE = _object("group", "version", "kind"), _object("group", "version", "resource")
_LISTED = {"type": "array", "items": _TEXT}
_REQUEST = _object(
    "requestSubResource", "subResource", "name", "namespace", "operation",
    options=_ANYTHING, dryRun={"type": "boolean"},
    kind=_KIND, resource=_RESOURCE, requestKind=_KIND, requestResource=_RESOURCE,
    userInfo=_object(
        "username", "uid", groups=_LISTED, extra={"type": "object", "additionalProperties": _LISTED},
    ),
)  # fmt: skip


_DECLARED = declarations.declare(_REQUEST, "kubernetes.AdmissionRequest")
assert _DECLARED is not None
VARIABLES: dict[str, types.Type] = {
    "object": types.DYN,
    "oldObject": types.DYN,
    "request": _DECLARED.type,
    "authorizer": authorizer.AUTHORIZER,
    "authorizer.requestResource": authorizer.RESOURCE_CHECK,
}
FUNCTIONS: functions.Table = table.joined(authorizer.LIBRARY, json_pointers.LIBRARY)


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
