"""``nodeSelector`` and node affinity: required terms filter, preferred ones score by their weight."""

from collections.abc import Sequence

from kubeshim.control_plane.scheduler import framework, node_info, pod_info
from kubeshim.machinery import node_selection, objects

REASON = "node(s) didn't match Pod's node affinity/selector"


class NodeAffinity(framework.Plugin):
    name = "NodeAffinity"
    weight = 2
    events = frozenset({"Node/Add", "Node/Label", "Pod/Update"})

    def hint(self, pod: pod_info.PodInfo, event: framework.Event) -> bool:
        return event.new is None or node_selection.matches_required(pod.spec, event.new)

    def pre_filter(
        self, state: framework.CycleState, pod: pod_info.PodInfo, nodes: framework.Nodes
    ) -> framework.Status | framework.PreFilterResult | None:
        """Terms that name their nodes leave only those: a DaemonSet's pod looks at one node, not at all."""
        terms = objects.dig(
            pod.spec,
            "affinity",
            "nodeAffinity",
            "requiredDuringSchedulingIgnoredDuringExecution",
            "nodeSelectorTerms",
            default=(),
        )
        named: set[str] = set()
        for term in terms:
            names: set[str] | None = None
            for field in term.get("matchFields") or ():
                if field.get("key") == "metadata.name" and field.get("operator") == "In":
                    values = set(field.get("values") or ())
                    names = values if names is None else names & values
            if names is None:
                return None
            named |= names
        if not terms:
            return None
        if not named:
            return framework.unresolvable("pod affinity terms conflict")
        return framework.PreFilterResult(frozenset(named))

    def filter(
        self, state: framework.CycleState, pod: pod_info.PodInfo, node: node_info.NodeInfo
    ) -> framework.Status | None:
        if node.node is not None and node_selection.matches_required(pod.spec, node.node):
            return None
        return framework.unresolvable(REASON)

    def pre_score(self, state: framework.CycleState, pod: pod_info.PodInfo, nodes: framework.Nodes) -> bool:
        return bool(_preferred(pod))

    def score(self, state: framework.CycleState, pod: pod_info.PodInfo, node: node_info.NodeInfo) -> float:
        return sum(
            _weight(term)
            for term in _preferred(pod)
            if node.node is not None and _matches(term.get("preference") or {}, node)
        )

    def normalize(self, state: framework.CycleState, pod: pod_info.PodInfo, scores: dict[str, float]) -> None:
        framework.default_normalize(scores)


def _preferred(pod: pod_info.PodInfo) -> Sequence[dict[str, object]]:
    found: Sequence[dict[str, object]] = objects.dig(
        pod.spec, "affinity", "nodeAffinity", "preferredDuringSchedulingIgnoredDuringExecution", default=()
    )
    return found


def _matches(preference: object, node: node_info.NodeInfo) -> bool:
    assert isinstance(preference, dict) and node.node is not None
    return node_selection.matches_term(preference, node.node)


def _weight(term: dict[str, object]) -> int:
    weight = term.get("weight")
    return weight if isinstance(weight, int) else 0
