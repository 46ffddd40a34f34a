"""Nodes whose CPU and memory would be used to the same degree score higher."""

import math

from kubeshim.control_plane.scheduler import framework, node_info, pod_info

BALANCED = ("cpu", "memory")


class NodeResourcesBalancedAllocation(framework.Plugin):
    name = "NodeResourcesBalancedAllocation"
    weight = 1

    def pre_score(self, state: framework.CycleState, pod: pod_info.PodInfo, nodes: framework.Nodes) -> bool:
        # A pod that requests nothing changes no balance.
        return any(pod.requests.get(name) for name in BALANCED)

    def score(self, state: framework.CycleState, pod: pod_info.PodInfo, node: node_info.NodeInfo) -> float:
        """How much the balance is, where perfect is 100 (deviation of the used fractions)."""
        fractions = []
        for name in BALANCED:
            capacity = node.allocatable.get(name, 0)
            if capacity:
                fractions.append(min(1.0, (node.requested.get(name, 0) + pod.requests.get(name, 0)) / capacity))
        if len(fractions) < 2:
            return framework.MAX_SCORE
        mean = sum(fractions) / len(fractions)
        deviation = math.sqrt(sum((fraction - mean) ** 2 for fraction in fractions) / len(fractions))
        return float(int((1 - deviation) * framework.MAX_SCORE))
