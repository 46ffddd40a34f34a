"""Which nodes a DaemonSet's pods belong on, which pods go, and its status. Pure."""

import copy
import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from kubeshim.control_plane.controller_manager import history, pods, rollout
from kubeshim.machinery import node_selection, objects
from kubeshim.machinery.defaults import workloads
from kubeshim.machinery.objects import Object

_EVERYWHERE = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)
_HOST_NETWORK = ("node.kubernetes.io/network-unavailable", "NoSchedule")


def tolerations(spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The template's tolerations and those every daemon has."""
    found = [dict(one) for one in spec.get("tolerations") or ()]
    wanted = [*_EVERYWHERE, *([_HOST_NETWORK] if spec.get("hostNetwork") else [])]
    for key, effect in wanted:
        extra = {"key": key, "operator": "Exists", "effect": effect}
        if extra not in found:
            found.append(extra)
    return found


def should_run(daemon_set: Object, node: Object) -> tuple[bool, bool]:
    """Whether a pod should be started on the node, and whether one that is there may stay."""
    spec = daemon_set["spec"]["template"]["spec"]
    if spec.get("nodeName") and spec["nodeName"] != objects.name(node):
        return False, False
    if not node_selection.matches_required(spec, node):
        return False, False
    tolerated = tolerations(spec)
    taints = objects.dig(node, "spec", "taints", default=())
    start = node_selection.first_untolerated(taints, tolerated, ("NoSchedule", "NoExecute")) is None
    stay = node_selection.first_untolerated(taints, tolerated, ("NoExecute",)) is None
    return start, stay


def node_of(pod: Object) -> str:
    """The node the pod is on, or is meant for."""
    if pod["spec"].get("nodeName"):
        return str(pod["spec"]["nodeName"])
    terms = objects.dig(
        pod,
        "spec",
        "affinity",
        "nodeAffinity",
        "requiredDuringSchedulingIgnoredDuringExecution",
        "nodeSelectorTerms",
        default=(),
    )
    for term in terms:
        for field in term.get("matchFields") or ():
            if field.get("key") == "metadata.name" and field.get("operator") == "In" and len(field["values"]) == 1:
                return str(field["values"][0])
    return ""


def pod_for(daemon_set: Object, node: str, hash_text: str) -> Object:
    """The pod for one node: nailed to it by affinity, so that the scheduler still sees to resources."""
    made = pods.from_template(daemon_set["spec"]["template"], daemon_set)
    made["metadata"]["labels"][history.HASH_LABEL] = hash_text
    made["metadata"]["labels"]["pod-template-generation"] = str(generation(daemon_set))
    spec = made["spec"]
    spec["tolerations"] = tolerations(spec)
    affinity = spec.setdefault("affinity", {})
    node_affinity = affinity.setdefault("nodeAffinity", {})
    name = {"key": "metadata.name", "operator": "In", "values": [node]}
    required = copy.deepcopy(node_affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or {})
    # As upstream: the fields of each term become the node's name.
    terms = [{**term, "matchFields": [name]} for term in required.get("nodeSelectorTerms") or [{}]]
    node_affinity["requiredDuringSchedulingIgnoredDuringExecution"] = {"nodeSelectorTerms": terms}
    return made


def generation(daemon_set: Object) -> int:
    return workloads.template_generation(daemon_set) or int(daemon_set["metadata"].get("generation") or 1)


@dataclasses.dataclass(slots=True)
class Plan:
    create: list[str] = dataclasses.field(default_factory=list)
    """Nodes."""
    delete: list[Object] = dataclasses.field(default_factory=list)
    ended: list[Object] = dataclasses.field(default_factory=list)
    """Pods that ended by themselves and are deleted to be replaced."""


def plan(daemon_set: Object, nodes: Sequence[Object], mine: Sequence[Object], surge: int, hash_text: str) -> Plan:
    """What to make and delete so that each node has its pod; not yet about which template."""
    by_node = group(mine)
    result = Plan()
    known = set()
    for node in nodes:
        name = objects.name(node)
        known.add(name)
        here = by_node.get(name, [])
        start, stay = should_run(daemon_set, node)
        if start and not here:
            result.create.append(name)
        elif stay:
            alive = []
            for pod in here:
                if objects.is_deleting(pod):
                    continue
                if pods.is_finished(pod):
                    result.ended.append(pod)
                else:
                    alive.append(pod)
            result.delete += _surplus(alive, surge, hash_text)
        else:
            result.delete += [pod for pod in here if not objects.is_deleting(pod)]
    for name, here in by_node.items():
        if name and name not in known:
            result.delete += [pod for pod in here if not objects.is_deleting(pod)]
    return result


def _surplus(alive: list[Object], surge: int, hash_text: str) -> list[Object]:
    """All but the oldest; with a surge, all but the oldest of each of old and new."""
    oldest = sorted(alive, key=_created)
    if not surge:
        return oldest[1:]
    new = [pod for pod in oldest if objects.labels(pod).get(history.HASH_LABEL) == hash_text]
    old = [pod for pod in oldest if pod not in new]
    if new and pods.is_ready(new[0]):
        return [*new[1:], *old]
    return [*new[1:], *old[1:]]


def _created(pod: Object) -> tuple[str, str]:
    return str(objects.dig(pod, "metadata", "creationTimestamp", default="")), objects.name(pod)


def group(mine: Sequence[Object]) -> dict[str, list[Object]]:
    found: dict[str, list[Object]] = {}
    for pod in mine:
        found.setdefault(node_of(pod), []).append(pod)
    return found


def limits(daemon_set: Object, desired: int) -> rollout.Limits:
    parameters = objects.dig(daemon_set, "spec", "updateStrategy", "rollingUpdate", default={})
    surge = rollout.scaled(parameters.get("maxSurge", 0), desired, up=True)
    unavailable = rollout.scaled(parameters.get("maxUnavailable", 1), desired, up=True)
    if not surge and not unavailable:
        unavailable = 1
    return rollout.Limits(surge, unavailable)


def update(
    daemon_set: Object, nodes: Sequence[Object], mine: Sequence[Object], hash_text: str, now: datetime.datetime
) -> Plan:
    """One step of a rolling update: pods of an old template to delete (or, with a surge, to start beside)."""
    wanted = [node for node in nodes if should_run(daemon_set, node)[0]]
    bound = limits(daemon_set, len(wanted))
    by_node = group(mine)
    minimum = int(daemon_set["spec"].get("minReadySeconds") or 0)
    result = Plan()
    unavailable = surging = 0
    candidates: list[Object] = []
    waiting: list[str] = []
    for node in wanted:
        here = [pod for pod in by_node.get(objects.name(node), ()) if not objects.is_deleting(pod)]
        new = [pod for pod in here if objects.labels(pod).get(history.HASH_LABEL) == hash_text]
        old = [pod for pod in here if pod not in new]
        available = any(pods.is_available(pod, minimum, now) for pod in here)
        if bound.surge:
            if old and new:
                surging += 1
                if any(pods.is_available(pod, minimum, now) for pod in new):
                    result.delete += old
            elif old and any(pods.is_available(pod, minimum, now) for pod in old):
                waiting.append(objects.name(node))
            elif old:  # what does not work is replaced at once
                waiting.insert(0, objects.name(node))
            continue
        unavailable += not available
        if old and not available:
            result.delete += old  # costs nothing
        elif old:
            candidates += old
    result.create = waiting[: max(0, bound.surge - surging)] if bound.surge else []
    if not bound.surge:
        result.delete += candidates[: max(0, bound.unavailable - unavailable)]
    return result


def status(
    daemon_set: Object,
    nodes: Sequence[Object],
    mine: Sequence[Object],
    hash_text: str,
    collisions: int,
    now: datetime.datetime,
) -> Object:
    by_node = group(mine)
    minimum = int(daemon_set["spec"].get("minReadySeconds") or 0)
    desired = scheduled = misscheduled = ready = available = updated = 0
    for node in nodes:
        here = sorted(by_node.get(objects.name(node), ()), key=_created)
        if not should_run(daemon_set, node)[0]:
            misscheduled += bool(here)
            continue
        desired += 1
        if not here:
            continue
        scheduled += 1
        alive = [pod for pod in here if not objects.is_deleting(pod)] or here
        current = [pod for pod in alive if objects.labels(pod).get(history.HASH_LABEL) == hash_text]
        pod = (current or alive)[0]
        if any(pods.is_ready(one) for one in alive):
            ready += 1
            available += any(pods.is_available(one, minimum, now) for one in alive)
        updated += objects.labels(pod).get(history.HASH_LABEL) == hash_text
    result: Object = {
        "currentNumberScheduled": scheduled,
        "numberMisscheduled": misscheduled,
        "desiredNumberScheduled": desired,
        "numberReady": ready,
        "observedGeneration": int(daemon_set["metadata"].get("generation") or 0),
        "updatedNumberScheduled": updated,
        "numberAvailable": available,
        "numberUnavailable": desired - available,
    }
    for field in ("updatedNumberScheduled", "numberAvailable", "numberUnavailable"):
        if not result[field]:
            del result[field]
    if collisions:
        result["collisionCount"] = collisions
    if objects.dig(daemon_set, "status", "conditions"):
        result["conditions"] = daemon_set["status"]["conditions"]
    return result
