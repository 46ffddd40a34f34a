"""Host ports: a port of a protocol can be taken once per address, and ``0.0.0.0`` is all addresses."""

from collections.abc import Iterable

from kubeshim.control_plane.scheduler import framework, node_info, pod_info

ANY = ("0.0.0.0", "")
REASON = "node(s) didn't have free ports for the requested pod ports"


class NodePorts(framework.Plugin):
    name = "NodePorts"
    events = frozenset({"AssignedPod/Delete", "Node/Add"})

    def hint(self, pod: pod_info.PodInfo, event: framework.Event) -> bool:
        if event.kind != "AssignedPod/Delete" or event.old is None:
            return True
        return conflict(pod.ports, pod_info.of(event.old).ports)

    def filter(
        self, state: framework.CycleState, pod: pod_info.PodInfo, node: node_info.NodeInfo
    ) -> framework.Status | None:
        if pod.ports and conflict(pod.ports, node.ports):
            return framework.unschedulable(REASON)
        return None


def conflict(wanted: Iterable[tuple[str, str, int]], taken: Iterable[tuple[str, str, int]]) -> bool:
    """Whether two of them cannot both be had."""
    listed = list(taken)
    return any(
        protocol == other_protocol and port == other_port and (ip == other_ip or ip in ANY or other_ip in ANY)
        for ip, protocol, port in wanted
        for other_ip, other_protocol, other_port in listed
    )
