"""Which nodes a DaemonSet's pods belong on, which pods go, and its status. Pure."""

import copy
import dataclasses
import datetime
from collections.abc import Callable, Mapping, Sequence
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


def plan(
    daemon_set: Object,
    nodes: Sequence[Object],
    mine: Sequence[Object],
    surge: int,
    hash_text: str,
    now: datetime.datetime,
) -> Plan:
    """What to make and delete so that each node has its pod; not yet about which template."""
    minimum = int(daemon_set["spec"].get("minReadySeconds") or 0)
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
            oldest = sorted(alive, key=_age)
            if surge:
                result.delete += _beside(oldest, hash_text, lambda pod: pods.is_available(pod, minimum, now))
            else:
                result.delete += oldest[1:]
        else:
            result.delete += [pod for pod in here if not objects.is_deleting(pod)]
    for name, here in by_node.items():
        if name and name not in known:
            result.delete += [pod for pod in here if not objects.is_deleting(pod)]
    return result


def _beside(oldest: list[Object], hash_text: str, available: Callable[[Object], bool]) -> list[Object]:
    """Those that go where there may be two: the oldest of each of old and new, while only the old one works."""
    new = [pod for pod in oldest if objects.labels(pod).get(history.HASH_LABEL) == hash_text]
    old = [pod for pod in oldest if pod not in new]
    if new and old and (available(new[0]) or not pods.is_ready(old[0])):
        return [*new[1:], *old]
    return [*new[1:], *old[1:]]


def _age(pod: Object) -> tuple[bool, str, str]:
    """Sorts placed pods before others, then by age."""
    return (not pod["spec"].get("nodeName"), *_created(pod))


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


@dataclasses.dataclass(slots=True)
class _Here:
    """A node's pods that are not on their way out, at most one of each template."""

    node: str
    wanted: bool
    new: Object | None = None
    old: Object | None = None
    crowded: bool = False


def _look(daemon_set: Object, nodes: Sequence[Object], mine: Sequence[Object], hash_text: str) -> list[_Here]:
    """Nodes that should have a pod, and those that only still have one."""
    by_node = group(mine)
    found = []
    for node in nodes:
        here = _Here(objects.name(node), should_run(daemon_set, node)[0])
        if not here.wanted and here.node not in by_node:
            continue
        for pod in by_node.get(here.node, ()):
            if objects.is_deleting(pod):
                continue
            if objects.labels(pod).get(history.HASH_LABEL) == hash_text:
                here.crowded, here.new = here.crowded or here.new is not None, pod
            else:
                here.crowded, here.old = here.crowded or here.old is not None, pod
        found.append(here)
    return found


def update(
    daemon_set: Object, nodes: Sequence[Object], mine: Sequence[Object], hash_text: str, now: datetime.datetime
) -> Plan:
    """One step of a rolling update: pods of an old template to delete (or, with a surge, to start beside).

    A node with several pods of one template is left to ``plan`` first, and so is one that has no pod.
    """
    found = _look(daemon_set, nodes, mine, hash_text)
    bound = limits(daemon_set, sum(here.wanted for here in found))
    minimum = int(daemon_set["spec"].get("minReadySeconds") or 0)

    def available(pod: Object | None) -> bool:
        return pod is not None and pods.is_available(pod, minimum, now)

    return (_surge if bound.surge else _replace)(found, bound, available)


def _replace(found: Sequence[_Here], bound: rollout.Limits, available: Callable[[Object | None], bool]) -> Plan:
    """What does not work is replaced at once; of the others as many as may be unavailable."""
    result = Plan()
    candidates: list[Object] = []
    unavailable = 0
    for here in found:
        if here.crowded or (here.old is None) == (here.new is None):
            unavailable += 1
        elif here.old is None:
            unavailable += not available(here.new)
        elif available(here.old):
            candidates.append(here.old)
        else:
            result.delete.append(here.old)
            unavailable += 1
    result.delete += candidates[: max(0, bound.unavailable - unavailable)]
    return result


def _surge(found: Sequence[_Here], bound: rollout.Limits, available: Callable[[Object | None], bool]) -> Plan:
    """New pods start beside old ones, which go when theirs is available.

    A pod on a node that should have none any more goes once there are as many available ones as should be.
    """
    result = Plan()
    candidates: list[str] = []
    leaving: list[Object] = []
    surging = 0
    for here in found:
        if here.crowded:
            surging += 1
        elif here.old is None:
            continue
        elif here.new is not None:
            if available(here.new):
                result.delete.append(here.old)
            else:
                surging += 1
        elif available(here.old):
            if here.wanted:
                candidates.append(here.node)
            else:
                leaving.append(here.old)
        elif here.wanted:
            result.create.append(here.node)
        else:
            result.delete.append(here.old)
    working = sum(available(here.old if here.old is not None else here.new) for here in found if not here.crowded)
    result.delete += leaving[: max(0, working - sum(here.wanted for here in found))]
    result.create += candidates[: max(0, bound.surge - surging)]
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
        here = sorted(by_node.get(objects.name(node), ()), key=_age)
        if not should_run(daemon_set, node)[0]:
            misscheduled += bool(here)
            continue
        desired += 1
        if not here:
            continue
        scheduled += 1
        oldest = here[0]
        ready += pods.is_ready(oldest)
        available += pods.is_available(oldest, minimum, now)
        updated += objects.labels(oldest).get(history.HASH_LABEL) == hash_text
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
