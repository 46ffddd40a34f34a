"""Spreading pods evenly over zones, nodes, or whatever a label says.

``DoNotSchedule`` filters: with this pod, a domain may have at most ``maxSkew`` pods more than the emptiest one.
``ScheduleAnyway`` scores, and where a pod asks for nothing, upstream's default does: pods of one Service or
controller spread over nodes and, less strictly, over zones.
"""

import collections
import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from kubeshim.client import kinds
from kubeshim.control_plane.scheduler import framework, node_info, pod_info
from kubeshim.machinery import node_selection, objects, selectors

SKEW = "node(s) didn't match pod topology spread constraints"
MISSING = "node(s) didn't match pod topology spread constraints (missing required label)"
OWNERS = {
    "ReplicaSet": kinds.REPLICA_SETS,
    "ReplicationController": kinds.REPLICATION_CONTROLLERS,
    "StatefulSet": kinds.STATEFUL_SETS,
}
"""Controllers whose pods spread by default."""
HOSTNAME, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"


@dataclasses.dataclass(frozen=True, slots=True)
class Constraint:
    max_skew: int
    key: str
    selector: selectors.LabelSelector
    min_domains: int
    honor_affinity: bool
    honor_taints: bool

    def counts_node(self, pod: pod_info.PodInfo, node: node_info.NodeInfo) -> bool:
        """Whether the node's pods and domain count at all."""
        if self.honor_affinity and (node.node is None or not node_selection.matches_required(pod.spec, node.node)):
            return False
        if not self.honor_taints:
            return True
        effects = ("NoSchedule", "NoExecute")
        return node_selection.first_untolerated(node.taints, pod.spec.get("tolerations") or (), effects) is None

    def counts_pod(self, pod: pod_info.PodInfo, other: pod_info.PodInfo) -> bool:
        return (
            other.namespace == pod.namespace
            and not objects.is_deleting(other.pod)
            and self.selector.matches(other.labels)
        )


def constraints(pod: pod_info.PodInfo, action: str) -> list[Constraint]:
    found = []
    for one in pod.spec.get("topologySpreadConstraints") or ():
        if one.get("whenUnsatisfiable") != action:
            continue
        selector: Mapping[str, Any] | None = one.get("labelSelector")
        keys = [key for key in one.get("matchLabelKeys") or () if key in pod.labels]
        if selector is not None and keys:
            extra = [{"key": key, "operator": "In", "values": [pod.labels[key]]} for key in keys]
            selector = {**selector, "matchExpressions": [*(selector.get("matchExpressions") or ()), *extra]}
        found.append(
            Constraint(
                int(one["maxSkew"]),
                str(one["topologyKey"]),
                selectors.from_label_selector(selector),
                int(one.get("minDomains") or 1),
                (one.get("nodeAffinityPolicy") or "Honor") == "Honor",
                one.get("nodeTaintsPolicy") == "Honor",
            )
        )
    return found


@dataclasses.dataclass(slots=True)
class _Hard:
    constraint: Constraint
    counts: dict[str, int]
    """Domain → matching pods."""

    def least(self) -> int:
        return min(self.counts.values(), default=0) if len(self.counts) >= self.constraint.min_domains else 0


SCORES = "PodTopologySpread/score"
"""Key of what PreScore counted."""


class PodTopologySpread(framework.Plugin):
    name = "PodTopologySpread"
    weight = 2
    events = frozenset(
        {
            "AssignedPod/Add", "AssignedPod/Delete", "AssignedPod/Update", "Node/Add", "Node/Delete", "Node/Label",
            "Node/Taint", "Pod/Update",
        }
    )  # fmt: skip

    def __init__(self, handle: framework.Handle) -> None:
        super().__init__(handle)
        self._services = handle.informer(kinds.SERVICES)
        self._owners = {kind: handle.informer(gvr) for kind, gvr in OWNERS.items()}

    def pre_filter(
        self, state: framework.CycleState, pod: pod_info.PodInfo, nodes: framework.Nodes
    ) -> framework.Status | framework.PreFilterResult | None:
        hard = [_Hard(constraint, {}) for constraint in constraints(pod, "DoNotSchedule")]
        keys = [one.constraint.key for one in hard]
        for node in nodes if hard else ():
            if any(key not in node.labels for key in keys):
                continue
            for one in hard:
                if not one.constraint.counts_node(pod, node):
                    continue
                number = sum(one.constraint.counts_pod(pod, other) for other in node.pods.values())
                domain = node.labels[one.constraint.key]
                one.counts[domain] = one.counts.get(domain, 0) + number
        state[self.name] = hard
        return None

    def filter(
        self, state: framework.CycleState, pod: pod_info.PodInfo, node: node_info.NodeInfo
    ) -> framework.Status | None:
        for one in state[self.name]:
            constraint = one.constraint
            domain = node.labels.get(constraint.key)
            if domain is None:
                return framework.unresolvable(MISSING)
            itself = 1 if constraint.selector.matches(pod.labels) else 0
            if one.counts.get(domain, 0) + itself - one.least() > constraint.max_skew:
                return framework.unschedulable(SKEW)
        return None

    def pre_score(self, state: framework.CycleState, pod: pod_info.PodInfo, nodes: framework.Nodes) -> bool:
        soft = constraints(pod, "ScheduleAnyway")
        strict = bool(soft)
        if not pod.spec.get("topologySpreadConstraints"):
            soft = self._defaults(pod)
        if not soft:
            return False
        keys = [one.key for one in soft]
        ignored = {node.name for node in nodes if strict and any(key not in node.labels for key in keys)}
        counts: list[collections.Counter[str]] = [collections.Counter() for _ in soft]
        for node in self.handle.cache.nodes():
            if strict and any(key not in node.labels for key in keys):
                continue
            for index, one in enumerate(soft):
                domain = node.labels.get(one.key)
                if domain is not None and one.counts_node(pod, node):
                    counts[index][domain] += sum(one.counts_pod(pod, other) for other in node.pods.values())
        sizes = [_domains(one.key, nodes, ignored) for one in soft]
        state[SCORES] = soft, counts, [math.log(size + 2) for size in sizes], ignored
        return True

    def _defaults(self, pod: pod_info.PodInfo) -> list[Constraint]:
        """Upstream's system defaults, over what selects the pod; none for a pod that nothing selects."""
        labels: dict[str, str] = {}
        for service in self._services.list(namespace=pod.namespace):
            selector = service["spec"].get("selector") or {}
            if selector and all(pod.labels.get(key) == value for key, value in selector.items()):
                labels |= selector
        expressions: list[Any] = []
        reference = objects.controller_of(pod.pod) or {}
        owners = self._owners.get(str(reference.get("kind")))
        owner = owners.get(f"{pod.namespace}/{reference['name']}") if owners is not None else None
        if owner is not None:
            wanted = owner["spec"].get("selector") or {}
            if reference["kind"] == "ReplicationController":
                wanted = {"matchLabels": wanted}
            labels |= wanted.get("matchLabels") or {}
            expressions += wanted.get("matchExpressions") or ()
        if not labels and not expressions:
            return []
        selector = selectors.from_label_selector({"matchLabels": labels, "matchExpressions": expressions})
        return [Constraint(3, HOSTNAME, selector, 1, True, False), Constraint(5, ZONE, selector, 1, True, False)]

    def score(self, state: framework.CycleState, pod: pod_info.PodInfo, node: node_info.NodeInfo) -> float:
        soft, counts, weights, ignored = state[SCORES]
        if node.name in ignored:
            return 0
        total = 0.0
        for one, count, weight in zip(soft, counts, weights, strict=True):
            domain = node.labels.get(one.key)
            if domain is not None:
                total += count[domain] * weight + (one.max_skew - 1)
        return float(round(total))

    def normalize(self, state: framework.CycleState, pod: pod_info.PodInfo, scores: dict[str, float]) -> None:
        ignored = state[SCORES][3]
        counted = [value for name, value in scores.items() if name not in ignored]
        least, most = min(counted, default=0), max(counted, default=0)
        for name, value in scores.items():
            if name in ignored:
                scores[name] = 0
            elif most == 0:
                scores[name] = framework.MAX_SCORE
            else:
                scores[name] = framework.MAX_SCORE * (most + least - value) // most


def _domains(key: str, nodes: Sequence[node_info.NodeInfo], ignored: set[str]) -> int:
    kept = [node for node in nodes if node.name not in ignored]
    if key == HOSTNAME:
        return len(kept)
    return len({node.labels[key] for node in kept if key in node.labels})
