"""A pod that names its node fits no other."""

from kubeshim.control_plane.scheduler import framework, node_info, pod_info


class NodeName(framework.Plugin):
    name = "NodeName"
    events = frozenset({"Node/Add"})

    def filter(
        self, state: framework.CycleState, pod: pod_info.PodInfo, node: node_info.NodeInfo
    ) -> framework.Status | None:
        wanted = pod.spec.get("nodeName")
        if wanted and wanted != node.name:
            return framework.unresolvable("node(s) didn't match the requested node name")
        return None
