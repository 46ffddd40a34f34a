"""The priority levels and flow schemas every cluster starts with.

Their spec is kept as it should be unless somebody took it over by setting
``apf.kubernetes.io/autoupdate-spec`` to ``"false"``.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from kubeshim.control_plane.api_server import bootstrap_data
from kubeshim.control_plane.api_server.background import reconcile
from kubeshim.control_plane.api_server.flow_control import controller
from kubeshim.machinery import objects

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

_API_VERSION = "flowcontrol.apiserver.k8s.io/v1"
_AUTO_UPDATE = "apf.kubernetes.io/autoupdate-spec"


def ensure(server: "servers.Server") -> None:
    for level in levels():
        reconcile.ensure(server, controller.LEVELS, level, _merged)
    for schema in schemas():
        reconcile.ensure(server, controller.SCHEMAS, schema, _merged)


def _merged(held: objects.Object, wanted: objects.Object) -> objects.Object | None:
    if objects.annotations(held).get(_AUTO_UPDATE) == "false" or _covers(held.get("spec"), wanted["spec"]):
        return None
    return {**held, "spec": wanted["spec"]}


def _covers(held: Any, wanted: Any) -> bool:
    """Whether ``held`` says what ``wanted`` says; defaults may have been added to it."""
    if isinstance(held, dict) and isinstance(wanted, dict):
        return all(key in held and _covers(held[key], value) for key, value in wanted.items())
    if isinstance(held, list) and isinstance(wanted, list):
        return len(held) == len(wanted) and all(map(_covers, held, wanted))
    return bool(held == wanted)


def levels() -> Iterator[objects.Object]:
    for name, entry in bootstrap_data.read("flow-control")["priority-levels"].items():
        if entry.get("exempt"):
            spec: dict[str, Any] = {"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}}
        else:
            response: dict[str, Any] = {"type": "Reject"}
            if "queuing" in entry:
                queues, hand, length = entry["queuing"]
                response = {
                    "type": "Queue", "queuing": {"queues": queues, "handSize": hand, "queueLengthLimit": length}
                }  # fmt: skip
            spec = {
                "type": "Limited",
                "limited": {
                    "nominalConcurrencyShares": entry["shares"],
                    "lendablePercent": entry["lendable"],
                    "limitResponse": response,
                },
            }
        yield _object("PriorityLevelConfiguration", name, spec)


def schemas() -> Iterator[objects.Object]:
    for name, entry in bootstrap_data.read("flow-control")["flow-schemas"].items():
        rule: dict[str, Any] = {"subjects": [_subject(text) for text in entry["subjects"]]}
        for text in entry.get("rules") or ("* | * | * | all", "* | url | *"):
            field, made = _rule(text)
            rule.setdefault(field, []).append(made)
        spec: dict[str, Any] = {
            "priorityLevelConfiguration": {"name": entry["level"]},
            "matchingPrecedence": entry["precedence"],
            "rules": [rule],
        }
        if "by" in entry:
            spec["distinguisherMethod"] = {"type": entry["by"]}
        yield _object("FlowSchema", name, spec)


def _object(kind: str, name: str, spec: dict[str, Any]) -> objects.Object:
    metadata = {"name": name, "annotations": {_AUTO_UPDATE: "true"}}
    return {"apiVersion": _API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


def _subject(text: str) -> dict[str, Any]:
    kind, _, name = text.partition(" ")
    if kind == "ServiceAccount":
        space, _, account = name.partition("/")
        return {"kind": kind, "serviceAccount": {"namespace": space, "name": account}}
    return {"kind": kind, kind.lower(): {"name": name}}


def _rule(text: str) -> tuple[str, dict[str, Any]]:
    """(field, rule); the fourth part says ``cluster`` (scope), ``all`` (both), or nothing (any namespace)."""
    verbs, groups, things, *scope = (part.split() for part in text.split("|"))
    if groups == ["url"]:
        return "nonResourceRules", {"verbs": verbs, "nonResourceURLs": things}
    made: dict[str, Any] = {
        "verbs": verbs,
        "apiGroups": ["" if group == "core" else group for group in groups],
        "resources": things,
    }
    where = scope[0][0] if scope else ""
    if where in ("cluster", "all"):
        made["clusterScope"] = True
    if where != "cluster":
        made["namespaces"] = ["*"]
    return "resourceRules", made
