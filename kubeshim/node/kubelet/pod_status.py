"""From a pod's spec and what runs to ``status``: phase, conditions, addresses. Pure.

A phase never goes back from ``Succeeded`` or ``Failed``. Conditions that others own are kept.
Source: Kubernetes documentation, "Pod Lifecycle"; wording of reasons and messages is that of the genuine kubelet.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object
from kubeshim.node.kubelet import container_status, observation, pod_spec, quality

READY_TO_START = "PodReadyToStartContainers"
OWNED = (READY_TO_START, "Initialized", "Ready", "ContainersReady", "PodScheduled", "PodResizePending",
         "PodResizeInProgress")  # fmt: skip
"""Types of conditions that nobody but the kubelet writes once a pod is bound."""
SHARED = ("DisruptionTarget",)
"""Types that the kubelet writes as others do, and never takes away."""


@dataclasses.dataclass(frozen=True, slots=True)
class Situation:
    """What the whole pod is in. ``now`` is RFC 3339."""

    now: str
    host_ips: Sequence[str]
    pod_ips: Sequence[str]
    terminated: bool = False
    """Every container has stopped and none will start again."""
    reason: str = ""
    message: str = ""
    failed: bool = False
    """Ended by the node (admission, deadline, eviction): the phase is ``Failed`` whatever ran."""
    conditions: Sequence[Object] = ()
    """Further conditions: PodResizePending and the like."""


def status(
    pod: Object, found: observation.Observation, known: container_status.Circumstances, situation: Situation
) -> Object:
    """The whole ``status`` this kubelet wants the pod to have."""
    old: Object = pod.get("status") or {}
    made: Object = {}
    for field, containers, init in (
        ("initContainerStatuses", pod_spec.init_containers(pod), True),
        ("containerStatuses", pod_spec.containers(pod), False),
        ("ephemeralContainerStatuses", pod_spec.ephemeral_containers(pod), False),
    ):
        if containers and not (situation.failed and not found.containers and field not in old):
            made[field] = container_status.statuses(pod, containers, old.get(field) or (), found, known, init=init)
    if situation.terminated:
        made = _all_stopped(pod, made)
    made["phase"] = "Failed" if situation.failed else _lasting_phase(pod, made, situation)
    reason, message = situation.reason, situation.message
    if made["phase"] in ("Failed", "Succeeded") and not reason and old.get("phase") == made["phase"]:
        reason, message = old.get("reason", ""), old.get("message", "")
    if reason:
        made["reason"] = reason
    if message:
        made["message"] = message
    made |= _places(pod, old, situation)
    made["qosClass"] = old.get("qosClass") or quality.qos_class(pod)
    generation = objects.dig(pod, "metadata", "generation")
    if generation:
        made["observedGeneration"] = generation
    made["conditions"] = conditions(pod, made, found, situation)
    if old.get("resize"):
        made["resize"] = old["resize"]
    whole = pod_spec.spec(pod).get("resources") or {}
    if whole:
        made["resources"] = whole
    if whole.get("requests"):
        made["allocatedResources"] = whole["requests"]
    return made


def newest(pod: Object, latest: Object) -> Object:
    """Our own last status, with the conditions others have written to the API since."""
    others = [entry for entry in objects.dig(pod, "status", "conditions", default=()) if entry["type"] not in OWNED]
    names = {entry["type"] for entry in others}
    own = [entry for entry in latest.get("conditions") or () if entry["type"] not in names]
    return {**latest, "conditions": [*own, *others]}


def only_status(old: Object, new: Object) -> bool:
    """Whether from one state of a pod to the next nothing needs a sync: it is our own status coming back."""
    return (
        old.get("spec") == new.get("spec")
        and _significant(old["metadata"]) == _significant(new["metadata"])
        and _others_conditions(old) == _others_conditions(new)
        and not pod_spec.is_terminal(new)
    )


def _significant(metadata: Object) -> Object:
    return {key: value for key, value in metadata.items() if key not in ("resourceVersion", "managedFields")}


def _others_conditions(pod: Object) -> list[Object]:
    conditions: list[Object] = objects.dig(pod, "status", "conditions", default=[])
    return [entry for entry in conditions if entry["type"] not in OWNED]


def _places(pod: Object, old: Object, situation: Situation) -> Object:
    ips = list(situation.pod_ips) or [entry["ip"] for entry in old.get("podIPs") or ()]
    made: Object = {"startTime": old.get("startTime") or situation.now}
    if situation.host_ips and not (situation.failed and not old.get("hostIP")):
        made["hostIP"] = situation.host_ips[0]
        made["hostIPs"] = [{"ip": address} for address in situation.host_ips]
    if ips:
        made["podIP"] = ips[0]
        made["podIPs"] = [{"ip": address} for address in ips]
    return made


def _all_stopped(pod: Object, made: Mapping[str, list[Object]]) -> Object:
    """At the end nothing may show as running; what never began because initialization did not get there, waits."""
    done = {entry["name"]: _completed(entry) for entry in made.get("initContainerStatuses") or ()}
    ordinary = [each for each in pod_spec.init_containers(pod) if not pod_spec.is_sidecar(each)]
    initialized = all(done.get(container["name"]) for container in ordinary)
    result: Object = {}
    for field, entries in made.items():
        may_wait = not initialized or field == "initContainerStatuses"
        result[field] = [_stopped(entry, may_wait=may_wait) for entry in entries]
    return result


def _completed(entry: Object) -> bool:
    return bool(objects.dig(entry, "state", "terminated", "exitCode") == 0)


def _stopped(entry: Object, *, may_wait: bool) -> Object:
    if "terminated" in entry["state"]:
        return entry
    entry = {**entry, "ready": False, "started": False}
    last = objects.dig(entry, "lastState", "terminated")
    if last is not None:
        return {**entry, "state": {"terminated": last}, "lastState": {}}
    if may_wait and not entry.get("containerID"):
        return entry
    return {**entry, "state": {"terminated": container_status.lost("terminated")}}


def held_back(made: Object, pod: Object) -> Object:
    """The status while containers still run: the phase that ends a pod is told when all of them have stopped."""
    before = objects.dig(pod, "status", "phase", default="Pending")
    if made["phase"] not in ("Failed", "Succeeded") or before in ("Failed", "Succeeded"):
        return made
    kept = {field: value for field, value in made.items() if field not in ("reason", "message")}
    return {**kept, "phase": before}


def is_over(pod: Object, made: Object) -> bool:
    """Whether nothing is left to do but to stop what still runs (sidecars)."""
    return phase(pod, made, terminated=False) in ("Failed", "Succeeded") or made["phase"] in ("Failed", "Succeeded")


# --- phase


def _lasting_phase(pod: Object, made: Object, situation: Situation) -> str:
    before = objects.dig(pod, "status", "phase")
    if before in ("Failed", "Succeeded"):
        return str(before)
    return phase(pod, made, terminated=situation.terminated)


def phase(pod: Object, made: Object, *, terminated: bool) -> str:
    """From container statuses alone."""
    pending, failed, final = _initialization(pod, made)
    if final:
        return "Failed"
    counts = _count(pod, made)
    if pending and not terminated:
        return "Pending"
    if counts.waiting:
        return "Pending"
    if counts.running and not counts.unknown:
        return "Running"
    if counts.stopped and not counts.unknown:
        if counts.restarting and not terminated:
            return "Running"
        return "Succeeded" if counts.stopped == counts.succeeded and not failed else "Failed"
    return "Pending"


@dataclasses.dataclass(slots=True)
class _Counts:
    unknown: int = 0
    running: int = 0
    waiting: int = 0
    stopped: int = 0
    succeeded: int = 0
    restarting: int = 0
    """Of those that stopped, by the container's own rules or the pod's policy."""


def _count(pod: Object, made: Object) -> _Counts:
    counts = _Counts()
    by_name = {entry["name"]: entry for entry in made.get("containerStatuses") or ()}
    for container in pod_spec.containers(pod):
        entry = by_name.get(container["name"])
        if entry is None:
            counts.unknown += 1
        elif "running" in entry["state"]:
            counts.running += 1
        elif "terminated" in entry["state"]:
            code = entry["state"]["terminated"].get("exitCode", 0)
            counts.stopped += 1
            counts.succeeded += code == 0
            counts.restarting += container_status.restarts_after_exit(pod, container, code)
        elif objects.dig(entry, "lastState", "terminated") is not None:
            counts.stopped += 1
            counts.restarting += 1
        else:
            counts.waiting += 1
    return counts


def _initialization(pod: Object, made: Object) -> tuple[int, int, int]:
    """How many init containers are still to be done, how many have failed, and of those how many for good."""
    pending = failed = final = 0
    by_name = {entry["name"]: entry for entry in made.get("initContainerStatuses") or ()}
    for container in pod_spec.init_containers(pod):
        entry = by_name.get(container["name"])
        if entry is None:
            pending += 1
        elif pod_spec.is_sidecar(container):
            began = entry.get("started") or objects.dig(entry, "lastState", "terminated") is not None
            pending += not (began or "terminated" in entry["state"])
        elif "terminated" in entry["state"]:
            code = entry["state"]["terminated"].get("exitCode", 0)
            again = code != 0 and container_status.restarts_after_exit(pod, container, code)
            failed += code != 0
            pending += again
            final += code != 0 and not again
        elif "waiting" in entry["state"] and objects.dig(entry, "lastState", "terminated") is not None:
            code = entry["lastState"]["terminated"].get("exitCode")
            failed += code != 0
            pending += 1
        else:
            pending += 1
    return pending, failed, final


# --- conditions


def conditions(pod: Object, made: Object, found: observation.Observation, situation: Situation) -> list[Object]:
    """Ours first, then those others wrote; the time of transition is kept where the status is the same."""
    statuses = [*_sidecar_statuses(pod, made), *(made.get("containerStatuses") or ())]
    containers_ready = _containers_ready(pod, statuses, made["phase"])
    networked = pod_spec.host_network(pod) or bool(made.get("podIP"))
    sandbox = found.sandbox_ready and networked and not situation.terminated
    wanted: list[Object] = [
        {"type": READY_TO_START, "status": "True" if sandbox else "False"},
        _initialized(pod, made),
        _ready(pod, containers_ready),
        containers_ready,
        {"type": "PodScheduled", "status": "True"},
        *situation.conditions,
    ]
    old = {entry["type"]: entry for entry in objects.dig(pod, "status", "conditions", default=())}
    generation = objects.dig(pod, "metadata", "generation")
    result = [_with_times(entry, old.get(entry["type"]), situation.now, generation) for entry in wanted]
    names = {entry["type"] for entry in wanted}
    return result + [entry for entry in old.values() if entry["type"] not in names and entry["type"] not in OWNED]


def _with_times(entry: Object, old: Object | None, now: str, generation: int | None) -> Object:
    same = old is not None and old.get("status") == entry["status"]
    moment = old.get("lastTransitionTime") if same and old else None
    made: Object = {"lastProbeTime": None, "lastTransitionTime": moment or now, **entry}
    if generation:
        made["observedGeneration"] = generation
    return made


def _sidecar_statuses(pod: Object, made: Object) -> list[Object]:
    names = {container["name"] for container in pod_spec.init_containers(pod) if pod_spec.is_sidecar(container)}
    return [entry for entry in made.get("initContainerStatuses") or () if entry["name"] in names]


def _initialized(pod: Object, made: Object) -> Object:
    found: Object = {"type": "Initialized", "status": "True"}
    if made["phase"] == "Succeeded":
        return {**found, "reason": "PodCompleted"}
    if not pod_spec.init_containers(pod):
        return found
    by_name = {entry["name"]: entry for entry in made.get("initContainerStatuses") or ()}
    unknown = [each["name"] for each in pod_spec.init_containers(pod) if each["name"] not in by_name]
    incomplete = [
        each["name"]
        for each in pod_spec.init_containers(pod)
        if each["name"] in by_name and not _init_done(each, by_name[each["name"]])
    ]
    if not unknown and not incomplete:
        return found
    parts = []
    if unknown:
        parts.append(f"containers with unknown status: [{' '.join(unknown)}]")
    if incomplete:
        parts.append(f"containers with incomplete status: [{' '.join(incomplete)}]")
    return {**found, "status": "False", "reason": "ContainersNotInitialized", "message": ", ".join(parts)}


def _init_done(container: Object, entry: Object) -> bool:
    return bool(entry.get("started") if pod_spec.is_sidecar(container) else entry.get("ready"))


def _containers_ready(pod: Object, statuses: Sequence[Object], phase_now: str) -> Object:
    found: Object = {"type": "ContainersReady", "status": "True"}
    by_name = {entry["name"]: entry for entry in statuses}
    wanted = [each for each in pod_spec.init_containers(pod) if pod_spec.is_sidecar(each)] + pod_spec.containers(pod)
    unknown = [each["name"] for each in wanted if each["name"] not in by_name]
    unready = [each["name"] for each in wanted if each["name"] in by_name and not by_name[each["name"]].get("ready")]
    if not statuses and phase_now not in ("Failed", "Succeeded"):
        return {**found, "status": "False", "reason": "UnknownContainerStatuses"}
    if phase_now == "Succeeded" and not unknown:
        return {**found, "status": "False", "reason": "PodCompleted"}
    if phase_now == "Failed":
        return {**found, "status": "False", "reason": "PodFailed"}
    parts = []
    if unknown:
        parts.append(f"containers with unknown status: [{' '.join(unknown)}]")
    if unready:
        parts.append(f"containers with unready status: [{' '.join(unready)}]")
    if parts:
        return {**found, "status": "False", "reason": "ContainersNotReady", "message": ", ".join(parts)}
    return found


def _ready(pod: Object, containers_ready: Object) -> Object:
    if containers_ready["status"] != "True":
        return {**containers_ready, "type": "Ready"}
    known = {entry["type"]: entry for entry in objects.dig(pod, "status", "conditions", default=())}
    problems = []
    for gate in pod_spec.spec(pod).get("readinessGates") or ():
        kind = gate["conditionType"]
        if kind not in known:
            problems.append(f'corresponding condition of pod readiness gate "{kind}" does not exist.')
        elif known[kind].get("status") != "True":
            status_now = known[kind].get("status")
            problems.append(f'the status of pod readiness gate "{kind}" is not "True", but {status_now}')
    if problems:
        message = ", ".join(problems)
        return {"type": "Ready", "status": "False", "reason": "ReadinessGatesNotReady", "message": message}
    return {"type": "Ready", "status": "True"}
