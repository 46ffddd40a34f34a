"""Claims to devices: none can be allocated here, so all there is to say is that no claim can be given back either.

A pod without claims is let through. Preemption is asked only where PreFilter came as far as this plugin, as upstream.
"""

from kubeshim.control_plane.scheduler import framework, pod_info


class DynamicResources(framework.Plugin):
    name = "DynamicResources"

    def pre_filter(
        self, state: framework.CycleState, pod: pod_info.PodInfo, nodes: framework.Nodes
    ) -> framework.Status | framework.PreFilterResult | None:
        state[self.name] = True
        return None

    def post_filter(
        self,
        state: framework.CycleState,
        pod: pod_info.PodInfo,
        statuses: dict[str, framework.Status],
        nodes: framework.Nodes,
    ) -> tuple[str | None, framework.Status | None]:
        if self.name not in state:
            return None, framework.error("not found")
        return None, framework.unschedulable("no new claims to deallocate")
