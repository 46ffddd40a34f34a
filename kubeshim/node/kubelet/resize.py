"""Changing a running container's resources in place, as ``pods/resize`` asks for it.

The node grants what a pod asks for once it has room for it; until then the pod goes on with what it was granted
before (``Granted``, in the worker's memory, and the status for the next kubelet process). What a container was made
with is in its label; what it was changed to, in the worker's memory. After a restart of the kubelet the change is
simply made once more. Whatever is granted is done in the same round unless a container must restart for it or the
engine refuses.
"""

import dataclasses
import json
from collections.abc import Mapping, MutableMapping

from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object
from kubeshim.node.container_runtime import runtime
from kubeshim.node.kubelet import actions, labels, observation, parts, pod_spec, quality

Granted = Mapping[str, Object]
"""``resources`` by container name, and of the pod itself under the empty name."""


@dataclasses.dataclass(frozen=True, slots=True)
class Pending:
    """A resize that is not granted: ``Deferred`` or ``Infeasible``, and why."""

    reason: str
    message: str
    generation: int


def asked(pod: Object) -> Granted:
    spec = pod_spec.spec(pod)
    found = {container["name"]: container.get("resources") or {} for container in _containers(pod)}
    return {**found, "": spec.get("resources") or {}}


def told(pod: Object) -> Granted:
    """What an earlier kubelet process granted, as far as the status says."""
    entries = [
        entry
        for field in ("initContainerStatuses", "containerStatuses")
        for entry in objects.dig(pod, "status", field, default=())
    ]
    known = {
        entry["name"]: entry["resources"] for entry in entries if "resources" in entry and entry.get("containerID")
    }
    whole = objects.dig(pod, "status", "resources")
    if whole is not None:
        known[""] = whole
    return {name: known.get(name, resources) for name, resources in asked(pod).items()}


def told_pending(pod: Object) -> Pending | None:
    for entry in objects.dig(pod, "status", "conditions", default=()):
        if entry["type"] == "PodResizePending":
            seen = int(entry.get("observedGeneration") or 0)
            return Pending(entry.get("reason", ""), entry.get("message", ""), seen)
    return None


def with_resources(pod: Object, granted: Granted) -> Object:
    """The pod as it would be had it asked for no more than that; itself where it does not."""
    if asked(pod) == granted:
        return pod
    spec = dict(pod_spec.spec(pod))
    for field in ("initContainers", "containers"):
        if spec.get(field):
            spec[field] = [
                {**each, "resources": granted.get(each["name"], each.get("resources"))} for each in spec[field]
            ]
    if granted[""] or spec.get("resources"):
        spec["resources"] = granted[""]
    return {**pod, "spec": spec}


def report(pod: Object, error: str = "") -> str:
    """What events say of the resources a pod asks for."""
    sidecars = [each for each in pod_spec.init_containers(pod) if pod_spec.is_sidecar(each)]
    parts = {
        field: [
            {"name": each["name"], "resources": dict(sorted((each.get("resources") or {}).items()))} for each in some
        ]
        for field, some in (("initContainers", sidecars), ("containers", pod_spec.containers(pod)))
        if some
    }
    said = {**parts, "generation": generation(pod), **({"error": error} if error else {})}
    return json.dumps(said, separators=(",", ":"))


def generation(pod: Object) -> int:
    return int(objects.dig(pod, "metadata", "generation", default=0))


def _containers(pod: Object) -> list[Object]:
    return [*pod_spec.init_containers(pod), *pod_spec.containers(pod)]


def as_text(resources: runtime.Resources) -> str:
    """What of the resources can be changed in place; the label's value."""
    return f"{resources.cpu_shares}/{resources.cpu_quota}/{resources.memory}"


def restart_needed(container: Object, before: str, after: str) -> bool:
    """Whether a changed resource's ``resizePolicy`` wants a new container."""
    policies = {entry["resourceName"]: entry["restartPolicy"] for entry in container.get("resizePolicy") or ()}
    old, new = before.split("/"), after.split("/")
    changed = set()
    if old[:2] != new[:2]:
        changed.add("cpu")
    if old[2:] != new[2:]:
        changed.add("memory")
    return any(policies.get(name) == "RestartContainer" for name in changed)


def apply(
    shared: parts.Parts, pod: Object, found: observation.Observation, applied: MutableMapping[str, str]
) -> tuple[list[actions.Kill], str]:
    """Updates the engine. Returns containers to restart for it, and what the engine refused, in words."""
    kills: list[actions.Kill] = []
    problem = _limit_pod(shared, pod, applied)
    for container in pod_spec.every(pod):
        latest = found.latest(container["name"])
        if latest is None or latest.state is not runtime.State.RUNNING:
            continue
        wanted = quality.container_resources(pod, container, shared.memory_capacity)
        after = as_text(wanted)
        before = applied.get(latest.id, latest.labels.get(labels.RESOURCES, after))
        if before == after:
            continue
        if restart_needed(container, before, after):
            kills.append(actions.Kill(latest, f"Container {container['name']} resize requires restart"))
            continue
        try:
            shared.engine.update_resources(latest.id, wanted)
            applied[latest.id] = after
        except runtime.RuntimeFailure as failure:
            problem = str(failure)
    return kills, problem or _settle(shared, pod, applied)


def _limit_pod(shared: parts.Parts, pod: Object, applied: MutableMapping[str, str]) -> str:
    """The pod's own cgroup, as its containers are to be; what has shrunk waits until they have."""
    wanted = quality.pod_resources(pod, shared.config.pod_pids_limit)
    after, parent = as_text(wanted), quality.cgroup_parent(shared.cgroup_root, pod)
    before = applied.get(parent)
    if before == after:
        return ""
    # An earlier kubelet may have been asked for more than it got to do.
    shares, quota, memory = (int(part) for part in (before or after).split("/"))
    larger = dataclasses.replace(
        wanted,
        cpu_shares=max(shares, wanted.cpu_shares),
        cpu_quota=max(quota, wanted.cpu_quota) if quota and wanted.cpu_quota else 0,
        memory=max(memory, wanted.memory) if memory and wanted.memory else 0,
    )
    try:
        shared.engine.limit_cgroup(parent, larger)
    except runtime.RuntimeFailure as failure:
        return str(failure)
    applied[parent] = as_text(larger)
    return ""


def _settle(shared: parts.Parts, pod: Object, applied: MutableMapping[str, str]) -> str:
    """After the containers: the pod's cgroup exactly as wanted. What the engine refused, in words."""
    wanted = quality.pod_resources(pod, shared.config.pod_pids_limit)
    parent = quality.cgroup_parent(shared.cgroup_root, pod)
    if applied.get(parent, as_text(wanted)) == as_text(wanted):
        return ""
    try:
        shared.engine.limit_cgroup(parent, wanted)
    except runtime.RuntimeFailure as failure:
        return str(failure)
    applied[parent] = as_text(wanted)
    return ""


def conditions(pending: Pending | None, problem: str, *, under_way: bool = False) -> list[Object]:
    """``under_way``: what was granted last is not in force everywhere yet."""
    found: list[Object] = []
    if pending is not None:
        said = {"reason": pending.reason, "message": pending.message}
        found.append({"type": "PodResizePending", "status": "True", **said})
    if problem:
        found.append({"type": "PodResizeInProgress", "status": "True", "reason": "Error", "message": problem})
    elif under_way:
        found.append({"type": "PodResizeInProgress", "status": "True"})
    return found
