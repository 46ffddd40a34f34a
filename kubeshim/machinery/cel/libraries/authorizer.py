"""``authorizer``: questions about permissions inside of admission expressions.

    authorizer.group("apps").resource("deployments").namespace("x").check("create").allowed()

The values carry what has been said so far and how to ask (``Ask``); only ``check`` asks. Source: Kubernetes' CEL
authorizer library.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from kubeshim.machinery.cel import functions, types
from kubeshim.machinery.cel.types import BOOL, STRING

AUTHORIZER = types.opaque("kubernetes.authorization.Authorizer")
PATH_CHECK = types.opaque("kubernetes.authorization.PathCheck")
GROUP_CHECK = types.opaque("kubernetes.authorization.GroupCheck")
RESOURCE_CHECK = types.opaque("kubernetes.authorization.ResourceCheck")
DECISION = types.opaque("kubernetes.authorization.Decision")


@dataclasses.dataclass(frozen=True, slots=True)
class Decision:
    allowed: bool
    reason: str = ""
    error: str = ""
    cel_type = DECISION


Ask = Callable[[str, Mapping[str, str], tuple[str, str] | None], Decision]
"""``(verb, {"path"} or {"group", "resource", "subresource", "namespace", "name", …}, service account or None)``."""


@dataclasses.dataclass(frozen=True, slots=True)
class Authorizer:
    ask: Ask
    account: tuple[str, str] | None = None
    """(namespace, name) of the service account it asks for; otherwise it is who sent the request."""
    cel_type = AUTHORIZER

    def about(self, kind: type["_Check"], **said: str) -> "_Check":
        return kind(self, said)


@dataclasses.dataclass(frozen=True, slots=True)
class _Check:
    authorizer: Authorizer
    said: Mapping[str, str]

    def and_(self, **more: str) -> "_Check":
        return type(self)(self.authorizer, {**self.said, **more})

    def check(self, verb: str) -> Decision:
        return self.authorizer.ask(verb, self.said, self.authorizer.account)


class PathCheck(_Check):
    cel_type = PATH_CHECK


class GroupCheck(_Check):
    cel_type = GROUP_CHECK


class ResourceCheck(_Check):
    cel_type = RESOURCE_CHECK


def _saying(field: str) -> Callable[[_Check, str], _Check]:
    return lambda check, text: check.and_(**{field: text})


def _check(check: _Check, verb: str) -> Decision:
    return check.check(verb)


def _member(function: str, overload: str, target: types.Type, result: types.Type, run: Callable[..., Any]) -> Any:
    return functions.member(function, overload, (target, STRING), result, run)


def _decided(function: str, result: types.Type, run: Callable[[Decision], Any]) -> functions.Overload:
    return functions.member(function, f"decision_{function.lower()}", (DECISION,), result, run)


LIBRARY = (
    _member("path", "authorizer_path", AUTHORIZER, PATH_CHECK, lambda a, path: a.about(PathCheck, path=path)),
    _member("group", "authorizer_group", AUTHORIZER, GROUP_CHECK, lambda a, group: a.about(GroupCheck, group=group)),
    functions.member(
        "serviceAccount", "authorizer_serviceaccount", (AUTHORIZER, STRING, STRING), AUTHORIZER,
        lambda a, namespace, name: dataclasses.replace(a, account=(namespace, name)),
    ),
    _member(
        "resource", "groupcheck_resource", GROUP_CHECK, RESOURCE_CHECK,
        lambda check, resource: check.authorizer.about(ResourceCheck, group=check.said["group"], resource=resource),
    ),
    *(
        _member(name, f"resourcecheck_{name.lower()}", RESOURCE_CHECK, RESOURCE_CHECK, _saying(name))
        for name in ("subresource", "namespace", "name", "fieldSelector", "labelSelector")
    ),
    _member("check", "pathcheck_check", PATH_CHECK, DECISION, _check),
    _member("check", "resourcecheck_check", RESOURCE_CHECK, DECISION, _check),
    _decided("allowed", BOOL, lambda decision: decision.allowed),
    _decided("reason", STRING, lambda decision: decision.reason),
    _decided("errored", BOOL, lambda decision: bool(decision.error)),
    _decided("error", STRING, lambda decision: decision.error),
)  # fmt: skip
