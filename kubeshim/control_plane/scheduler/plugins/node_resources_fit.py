"""What a pod requests must be free; nodes with more left after it score higher (least allocated)."""

from kubeshim.control_plane.scheduler import framework, node_info, pod_info

SCORED = ("cpu", "memory")


class NodeResourcesFit(framework.Plugin):
    name = "NodeResourcesFit"
    weight = 1
    events = frozenset({"AssignedPod/Delete", "AssignedPod/Update", "Node/Add", "Node/Allocatable", "Pod/Update"})

    def hint(self, pod: pod_info.PodInfo, event: framework.Event) -> bool:
        """A node helps only if it could hold the pod when empty."""
        if not event.kind.startswith("Node/") or event.new is None:
            return True
        status = event.new.get("status") or {}
        offered = pod_info.amounts(status.get("allocatable") or status.get("capacity"))
        return all(offered.get(name, 0) >= number for name, number in pod.requests.items() if number)

    def filter(
        self, state: framework.CycleState, pod: pod_info.PodInfo, node: node_info.NodeInfo
    ) -> framework.Status | None:
        short = insufficient(pod, node)
        if not short:
            return None
        # More than the whole node has: no preemption can make room for it.
        never = any(number > node.allocatable.get(name, 0) for name, number in pod.requests.items())
        return framework.unresolvable(*short) if never else framework.unschedulable(*short)

    def score(self, state: framework.CycleState, pod: pod_info.PodInfo, node: node_info.NodeInfo) -> float:
        total = count = 0
        for name in SCORED:
            capacity = node.allocatable.get(name, 0)
            if not capacity:
                continue
            used = node.scored.get(name, 0) + pod.scored.get(name, 0)
            total += (capacity - used) * framework.MAX_SCORE // capacity if used <= capacity else 0
            count += 1
        return total // count if count else 0


def insufficient(pod: pod_info.PodInfo, node: node_info.NodeInfo) -> list[str]:
    """Reasons why the pod does not fit, in upstream's order: pods, the three native ones, extended ones."""
    reasons = []
    if len(node.pods) + 1 > node.allocatable.get("pods", 0):
        reasons.append("Too many pods")
    native = [name for name in ("cpu", "memory", "ephemeral-storage") if name in pod.requests]
    others = sorted(name for name in pod.requests if name not in native)
    for name in [*native, *others]:
        wanted = pod.requests[name]
        if wanted and wanted > node.allocatable.get(name, 0) - node.requested.get(name, 0):
            reasons.append(f"Insufficient {name}")
    return reasons
