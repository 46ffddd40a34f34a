"""Pods with ``spec.schedulingGates`` are not tried before the last gate is gone."""

from kubeshim.control_plane.scheduler import framework, pod_info


class SchedulingGates(framework.Plugin):
    name = "SchedulingGates"

    def pre_enqueue(self, pod: pod_info.PodInfo) -> framework.Status | None:
        gates = [gate["name"] for gate in pod.spec.get("schedulingGates") or ()]
        if not gates:
            return None
        return framework.unresolvable(f"waiting for scheduling gates: [{' '.join(gates)}]")
