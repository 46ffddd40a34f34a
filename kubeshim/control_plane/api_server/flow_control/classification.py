"""Which FlowSchema a request belongs to. Pure.

Schemas are asked by rising ``matchingPrecedence``, then by name; the first whose rules match wins. Subjects are matched
as RBAC's, resources, verbs and paths as far as ``*`` alone means everything. Source: apiserver
``pkg/util/flowcontrol/rule.go``.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kubeshim.control_plane.api_server import request
from kubeshim.machinery import objects

_ALL = "*"
_ACCOUNT = "system:serviceaccount:"


@dataclasses.dataclass(frozen=True, slots=True)
class Schema:
    """A FlowSchema as far as requests are concerned."""

    name: str
    uid: str
    level: str
    precedence: int
    distinguisher: str
    """``ByUser``, ``ByNamespace``, or nothing: what tells the flows of a schema apart."""
    rules: Sequence[Mapping[str, Any]]

    def matches(self, info: request.RequestInfo, user: request.UserInfo) -> bool:
        return any(_rule_matches(rule, info, user) for rule in self.rules)

    def flow(self, info: request.RequestInfo, user: request.UserInfo) -> str:
        if self.distinguisher == "ByUser":
            return user.name
        return info.namespace if self.distinguisher == "ByNamespace" else ""


def of(obj: objects.Object) -> Schema:
    spec = obj["spec"]
    return Schema(
        objects.name(obj), objects.uid(obj), spec["priorityLevelConfiguration"]["name"],
        spec.get("matchingPrecedence", 1000), (spec.get("distinguisherMethod") or {}).get("type", ""),
        spec.get("rules") or (),
    )  # fmt: skip


def order(schema: Schema) -> tuple[int, str]:
    return schema.precedence, schema.name


def _rule_matches(rule: Mapping[str, Any], info: request.RequestInfo, user: request.UserInfo) -> bool:
    if not any(_SUBJECTS[one["kind"]](one, user) for one in rule.get("subjects") or ()):
        return False
    if info.is_resource:
        return any(_resource_matches(one, info) for one in rule.get("resourceRules") or ())
    return any(
        _holds(one["verbs"], info.verb) and any(_path_matches(url, info.path) for url in one["nonResourceURLs"])
        for one in rule.get("nonResourceRules") or ()
    )


def _user(subject: Mapping[str, Any], user: request.UserInfo) -> bool:
    return (subject.get("user") or {}).get("name") in (_ALL, user.name)


def _group(subject: Mapping[str, Any], user: request.UserInfo) -> bool:
    name = (subject.get("group") or {}).get("name")
    return name == _ALL or name in user.groups


def _account(subject: Mapping[str, Any], user: request.UserInfo) -> bool:
    wanted = subject.get("serviceAccount") or {}
    if not user.name.startswith(_ACCOUNT):
        return False
    namespace, _, name = user.name.removeprefix(_ACCOUNT).partition(":")
    return namespace == wanted.get("namespace") and wanted.get("name") in (_ALL, name)


_SUBJECTS: dict[str, Callable[[Mapping[str, Any], request.UserInfo], bool]] = {
    "User": _user,
    "Group": _group,
    "ServiceAccount": _account,
}


def _resource_matches(rule: Mapping[str, Any], info: request.RequestInfo) -> bool:
    resource = f"{info.resource}/{info.subresource}" if info.subresource else info.resource
    if not (
        _holds(rule["verbs"], info.verb)
        and _holds(rule["resources"], resource)
        and _holds(rule["apiGroups"], info.group)
    ):
        return False
    if not info.namespace:
        return bool(rule.get("clusterScope"))
    return _holds(rule.get("namespaces") or (), info.namespace)


def _holds(listed: Sequence[str], value: str) -> bool:
    return value in listed or _ALL in listed


def _path_matches(pattern: str, path: str) -> bool:
    """``/healthz`` is also everything below it."""
    return pattern in (_ALL, path) or path.startswith(pattern.removesuffix(_ALL).removesuffix("/") + "/")
