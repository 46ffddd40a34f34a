"""Changing a running container's resources in place, as ``pods/resize`` asks for it.

What a container was made with is in its label; what it was changed to, in the worker's memory. After a restart of the
kubelet the change is simply made once more. Whatever is asked for is done in the same round, so a condition only
remains where the engine refused.
"""

import dataclasses
from collections.abc import MutableMapping

from kubeshim.machinery.objects import Object
from kubeshim.node.container_runtime import runtime
from kubeshim.node.kubelet import actions, labels, observation, parts, pod_spec, quality


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


def conditions(problem: str) -> list[Object]:
    if not problem:
        return []
    return [{"type": "PodResizeInProgress", "status": "True", "reason": "Error", "message": problem}]
