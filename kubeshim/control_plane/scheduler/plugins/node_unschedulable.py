"""Cordoned nodes take only pods that tolerate being unschedulable."""

from kubeshim.control_plane.scheduler import framework, node_info, pod_info
from kubeshim.machinery import node_selection, objects

TAINT = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


class NodeUnschedulable(framework.Plugin):
    name = "NodeUnschedulable"
    events = frozenset({"Node/Add", "Node/Taint", "Pod/Update"})

    def hint(self, pod: pod_info.PodInfo, event: framework.Event) -> bool:
        return not objects.dig(event.new, "spec", "unschedulable", default=False)

    def filter(
        self, state: framework.CycleState, pod: pod_info.PodInfo, node: node_info.NodeInfo
    ) -> framework.Status | None:
        if not objects.dig(node.node, "spec", "unschedulable", default=False):
            return None
        if node_selection.tolerated(TAINT, pod.spec.get("tolerations") or ()):
            return None
        return framework.unresolvable("node(s) were unschedulable")
