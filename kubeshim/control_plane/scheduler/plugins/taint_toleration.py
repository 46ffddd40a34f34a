"""Taints: ``NoSchedule`` and ``NoExecute`` forbid, ``PreferNoSchedule`` counts against a node."""

from kubeshim.control_plane.scheduler import framework, node_info, pod_info
from kubeshim.machinery import node_selection, objects

FORBIDDING = ("NoSchedule", "NoExecute")
REASON = "node(s) had untolerated taint(s)"


class TaintToleration(framework.Plugin):
    name = "TaintToleration"
    weight = 3
    events = frozenset({"Node/Add", "Node/Taint", "Pod/Update"})

    def hint(self, pod: pod_info.PodInfo, event: framework.Event) -> bool:
        taints = objects.dig(event.new, "spec", "taints", default=())
        return node_selection.first_untolerated(taints, pod.spec.get("tolerations") or (), FORBIDDING) is None

    def filter(
        self, state: framework.CycleState, pod: pod_info.PodInfo, node: node_info.NodeInfo
    ) -> framework.Status | None:
        taints = node.taints
        if taints and node_selection.first_untolerated(taints, pod.spec.get("tolerations") or (), FORBIDDING):
            return framework.unresolvable(REASON)
        return None

    def score(self, state: framework.CycleState, pod: pod_info.PodInfo, node: node_info.NodeInfo) -> float:
        """How many soft taints are not tolerated."""
        tolerations = [
            toleration
            for toleration in pod.spec.get("tolerations") or ()
            if (toleration.get("effect") or "PreferNoSchedule") == "PreferNoSchedule"
        ]
        soft = [taint for taint in node.taints if taint.get("effect") == "PreferNoSchedule"]
        return sum(not node_selection.tolerated(taint, tolerations) for taint in soft)

    def normalize(self, state: framework.CycleState, pod: pod_info.PodInfo, scores: dict[str, float]) -> None:
        framework.default_normalize(scores, reverse=True)
