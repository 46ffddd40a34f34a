"""Which pods a shutdown of the machine ends first, and how long each may take. Pure.

Upstream's options: ``shutdownGracePeriod`` is for all pods, of which the last ``shutdownGracePeriodCriticalPods`` is
for critical ones alone; or ``shutdownGracePeriodByPodPriority`` names any number of classes. Each class has its time
after the one below it. A pod belongs to the highest class that is not above its priority, one below all of them to
the lowest. Source: Kubernetes documentation, "Node Shutdowns"; KEP-2000, KEP-2712.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from kubeshim.machinery.objects import Object
from kubeshim.node.kubelet import pod_spec

DEFAULT_PRIORITY = 0
SYSTEM_CRITICAL_PRIORITY = 2_000_000_000

REASON = "Terminated"
MESSAGE = "Pod was terminated in response to imminent node shutdown."
REFUSAL = ("NodeShutdown", "Pod was rejected as the node is shutting down.")
PROBLEM = "node is shutting down"
"""What the Ready condition says."""
EVENT = ("NodeShutdown", "Shutdown manager detected shutdown event")


@dataclasses.dataclass(frozen=True, slots=True)
class Group:
    """Pods of ``priority`` and above, up to the next group's."""

    priority: int
    seconds: int


def groups(total: float, critical: float, by_priority: Sequence[Mapping[str, Any]]) -> list[Group]:
    """Lowest first; none where nothing is configured. Raises ``ValueError`` for options that make no sense."""
    if by_priority:
        if total or critical:
            raise ValueError(
                "shutdownGracePeriodByPodPriority cannot be given together with shutdownGracePeriod or "
                "shutdownGracePeriodCriticalPods"
            )
        found = [Group(int(entry["priority"]), int(entry["shutdownGracePeriodSeconds"])) for entry in by_priority]
        if len({group.priority for group in found}) < len(found):
            raise ValueError("shutdownGracePeriodByPodPriority names a priority twice")
        return sorted(found, key=lambda group: group.priority)
    for name, value in (("shutdownGracePeriod", total), ("shutdownGracePeriodCriticalPods", critical)):
        if 0 < value < 1:
            raise ValueError(f"{name} must be either zero or otherwise >= 1 sec")
    if critical > total:
        raise ValueError("shutdownGracePeriodCriticalPods must be <= shutdownGracePeriod")
    if not total:
        return []
    return [Group(DEFAULT_PRIORITY, int(total - critical)), Group(SYSTEM_CRITICAL_PRIORITY, int(critical))]


def order(found: Sequence[Group], pods: Sequence[Object]) -> list[tuple[Group, list[Object]]]:
    """Groups that have pods, lowest first, with them."""
    members: dict[Group, list[Object]] = {group: [] for group in found}
    for pod in pods:
        priority = int(pod_spec.spec(pod).get("priority") or 0)
        own = max((group for group in found if group.priority <= priority), key=lambda group: group.priority,
                  default=found[0])  # fmt: skip
        members[own].append(pod)
    return [(group, chosen) for group, chosen in members.items() if chosen]


def grace(pod: Object, group: Group) -> float:
    """Seconds for this pod: its own, or the group's where that is less."""
    return min(float(pod_spec.grace_period(pod)), float(group.seconds))
