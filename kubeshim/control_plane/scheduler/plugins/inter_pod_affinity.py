"""Pods near pods, and pods away from pods, by topology.

Three rules filter: existing pods' anti-affinity against this pod, this pod's anti-affinity, this pod's affinity.
Counts by ``(topology key, value)`` are made once a cycle. Preferred terms, of this pod and of existing ones
(their required affinity counts too, with weight 1), score.
"""

import collections
import dataclasses

from kubeshim.control_plane.scheduler import framework, node_info, pod_info

AFFINITY = "node(s) didn't match pod affinity rules"
ANTI_AFFINITY = "node(s) didn't match pod anti-affinity rules"
EXISTING_ANTI_AFFINITY = "node(s) didn't satisfy existing pods anti-affinity rules"
HARD_WEIGHT = 1

Counts = collections.Counter[tuple[str, str]]


@dataclasses.dataclass(slots=True)
class _State:
    existing: Counts
    affinity: Counts
    anti_affinity: Counts


SCORES = "InterPodAffinity/score"
"""Key of what PreScore counted."""


class InterPodAffinity(framework.Plugin):
    name = "InterPodAffinity"
    weight = 2
    events = frozenset(
        {"AssignedPod/Add", "AssignedPod/Delete", "AssignedPod/Update", "Node/Add", "Node/Label", "Pod/Update"}
    )

    def pre_filter(
        self, state: framework.CycleState, pod: pod_info.PodInfo, nodes: framework.Nodes
    ) -> framework.Status | framework.PreFilterResult | None:
        spaces = self.handle.cache.namespace_labels
        found = _State(collections.Counter(), collections.Counter(), collections.Counter())
        for node in nodes:
            for other in node.with_anti_affinity.values():
                for term in other.anti_affinity:
                    value = node.labels.get(term.topology_key)
                    if value is not None and term.matches(pod, spaces):
                        found.existing[term.topology_key, value] += 1
            if not pod.affinity and not pod.anti_affinity:
                continue
            for other in node.pods.values():
                if pod.affinity and all(term.matches(other, spaces) for term in pod.affinity):
                    _count(found.affinity, pod.affinity, node)
                for term in pod.anti_affinity:
                    if term.matches(other, spaces):
                        _count(found.anti_affinity, (term,), node)
        state[self.name] = found
        return None

    def filter(
        self, state: framework.CycleState, pod: pod_info.PodInfo, node: node_info.NodeInfo
    ) -> framework.Status | None:
        found: _State = state[self.name]
        if not self._affinity_holds(found, pod, node):
            return framework.unresolvable(AFFINITY)
        for term in pod.anti_affinity:
            value = node.labels.get(term.topology_key)
            if value is not None and found.anti_affinity[term.topology_key, value]:
                return framework.unschedulable(ANTI_AFFINITY)
        if found.existing and any(found.existing.get(pair) for pair in node.labels.items()):
            return framework.unschedulable(EXISTING_ANTI_AFFINITY)
        return None

    def _affinity_holds(self, found: _State, pod: pod_info.PodInfo, node: node_info.NodeInfo) -> bool:
        if not pod.affinity:
            return True
        for term in pod.affinity:
            if term.topology_key not in node.labels:
                return False
        if all(found.affinity[term.topology_key, node.labels[term.topology_key]] for term in pod.affinity):
            return True
        # The first of a group that wants to be together has nobody to be near: it may go anywhere.
        spaces = self.handle.cache.namespace_labels
        return not found.affinity and all(term.matches(pod, spaces) for term in pod.affinity)

    def pre_score(self, state: framework.CycleState, pod: pod_info.PodInfo, nodes: framework.Nodes) -> bool:
        wants = bool(pod.preferred_affinity or pod.preferred_anti_affinity)
        spaces = self.handle.cache.namespace_labels
        scores: Counts = collections.Counter()
        for node in self.handle.cache.nodes():
            for other in (node.pods if wants else node.with_affinity).values():
                for term in pod.preferred_affinity:
                    if term.matches(other, spaces):
                        _count(scores, (term,), node, term.weight)
                for term in pod.preferred_anti_affinity:
                    if term.matches(other, spaces):
                        _count(scores, (term,), node, -term.weight)
                for term in other.affinity:
                    if term.matches(pod, spaces):
                        _count(scores, (term,), node, HARD_WEIGHT)
                for term in other.preferred_affinity:
                    if term.matches(pod, spaces):
                        _count(scores, (term,), node, term.weight)
                for term in other.preferred_anti_affinity:
                    if term.matches(pod, spaces):
                        _count(scores, (term,), node, -term.weight)
        state[SCORES] = scores
        return bool(scores)

    def score(self, state: framework.CycleState, pod: pod_info.PodInfo, node: node_info.NodeInfo) -> float:
        scores: Counts = state[SCORES]
        return sum(scores.get(pair, 0) for pair in node.labels.items())

    def normalize(self, state: framework.CycleState, pod: pod_info.PodInfo, scores: dict[str, float]) -> None:
        least, most = min(scores.values()), max(scores.values())
        for name, value in scores.items():
            scores[name] = framework.MAX_SCORE * (value - least) // (most - least) if most > least else 0


def _count(counts: Counts, terms: tuple[pod_info.Term, ...], node: node_info.NodeInfo, weight: int = 1) -> None:
    for term in terms:
        value = node.labels.get(term.topology_key)
        if value is not None:
            counts[term.topology_key, value] += weight
