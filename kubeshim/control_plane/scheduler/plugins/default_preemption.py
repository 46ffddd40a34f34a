"""Making room: evicting pods of lower priority from one node so that a pod fits there.

For every node that more room could help, all pods of lower priority are taken away in thought; if the pod fits then,
as many as possible are put back, the most important first, those whose disruption budget would be violated before
the others. The node where that costs least is chosen: fewest budget violations, then the lowest highest priority
of a victim, then the lowest sum of priorities, then fewest victims, then victims that started last.
"""

import dataclasses
import logging

from kubeshim import clock
from kubeshim.client import kinds
from kubeshim.control_plane.scheduler import framework, node_info, pod_info
from kubeshim.machinery import errors, objects, selectors
from kubeshim.machinery.objects import Object

_log = logging.getLogger(__name__)

OFFSET = 2**31


@dataclasses.dataclass(frozen=True, slots=True)
class Candidate:
    node: str
    victims: tuple[pod_info.PodInfo, ...]
    """The most important first."""
    violations: int

    def cost(self) -> tuple[int, int, int, int, str]:
        """Lower is better; of equals the one whose most important victims started last."""
        top = self.victims[0].priority
        started = min(
            str(objects.dig(one.pod, "status", "startTime", default="")) for one in self.victims if one.priority == top
        )
        return (
            self.violations,
            top,
            sum(one.priority + OFFSET for one in self.victims),
            len(self.victims),
            _inverted(started),
        )


def _inverted(text: str) -> str:
    """Sorts later times first."""
    return "".join(chr(0x10FFFF - ord(letter)) for letter in text)


class DefaultPreemption(framework.Plugin):
    name = "DefaultPreemption"

    def __init__(self, handle: framework.Handle) -> None:
        super().__init__(handle)
        self._budgets = handle.informer(kinds.POD_DISRUPTION_BUDGETS)

    def post_filter(
        self,
        state: framework.CycleState,
        pod: pod_info.PodInfo,
        statuses: dict[str, framework.Status],
        nodes: framework.Nodes,
    ) -> tuple[str, framework.Status | None]:
        refusal = self._ineligible(pod, nodes)
        if refusal:
            return "", framework.unschedulable(f"preemption: {refusal}")
        reasons: dict[str, int] = {}
        candidates = []
        for node in nodes:
            status = statuses.get(node.name)
            if status is None or status.code != framework.Code.UNSCHEDULABLE:
                _bump(reasons, "Preemption is not helpful for scheduling")
                continue
            candidate = self._try_node(pod, node, nodes)
            if candidate is None:
                _bump(reasons, "No preemption victims found for incoming pod")
            else:
                candidates.append(candidate)
        if not candidates:
            text = f"preemption: 0/{len(nodes)} nodes are available: {histogram(reasons)}."
            return "", framework.unschedulable(text)
        best = min(candidates, key=Candidate.cost)
        self._evict(pod, best)
        return best.node, None

    def _ineligible(self, pod: pod_info.PodInfo, nodes: framework.Nodes) -> str:
        if pod.spec.get("preemptionPolicy") == "Never":
            return "not eligible due to preemptionPolicy=Never."
        nominated = pod.nominated
        for node in nodes:
            if node.name == nominated and any(
                objects.is_deleting(other.pod) and other.priority < pod.priority for other in node.pods.values()
            ):
                return "not eligible due to a terminating pod on the nominated node."
        return ""

    def _try_node(self, pod: pod_info.PodInfo, node: node_info.NodeInfo, nodes: framework.Nodes) -> Candidate | None:
        lower = [other for other in node.pods.values() if other.priority < pod.priority]
        if not lower:
            return None
        trial = node.copy()
        for other in lower:
            trial.remove(other.uid)
        if not self._fits(pod, trial, nodes):
            return None
        lower.sort(key=lambda other: (-other.priority, str(objects.dig(other.pod, "status", "startTime", default=""))))
        violating, harmless = self._by_budget(lower)
        victims: list[pod_info.PodInfo] = []
        violations = 0
        for other in [*violating, *harmless]:
            trial.add(other)
            if not self._fits(pod, trial, nodes):
                trial.remove(other.uid)
                victims.append(other)
                violations += other in violating
        if not victims:
            return None
        victims.sort(key=lambda other: -other.priority)
        return Candidate(node.name, tuple(victims), violations)

    def _fits(self, pod: pod_info.PodInfo, trial: node_info.NodeInfo, nodes: framework.Nodes) -> bool:
        state: framework.CycleState = {}
        present = [trial if node.name == trial.name else node for node in nodes]
        if isinstance(self.handle.run_pre_filters(state, pod, present), framework.Status):
            return False
        return self.handle.run_filters(state, pod, trial) is None

    def _by_budget(self, victims: list[pod_info.PodInfo]) -> tuple[list[pod_info.PodInfo], list[pod_info.PodInfo]]:
        budgets = self._budgets.list()
        left = {objects.uid(one): int(objects.dig(one, "status", "disruptionsAllowed", default=0)) for one in budgets}
        violating: list[pod_info.PodInfo] = []
        harmless: list[pod_info.PodInfo] = []
        for victim in victims:
            over = False
            for budget in budgets:
                if not _covers(budget, victim):
                    continue
                left[objects.uid(budget)] -= 1
                over = over or left[objects.uid(budget)] < 0
            (violating if over else harmless).append(victim)
        return violating, harmless

    def _evict(self, pod: pod_info.PodInfo, chosen: Candidate) -> None:
        for victim in chosen.victims:
            if objects.is_deleting(victim.pod):
                continue
            name = objects.name(victim.pod)
            condition = {
                "type": "DisruptionTarget",
                "status": "True",
                "reason": "PreemptionByScheduler",
                "message": "default-scheduler: preempting to accommodate a higher priority pod",
                "lastTransitionTime": clock.rfc3339(clock.SYSTEM.now()),
            }
            patch = {"metadata": {"uid": victim.uid}, "status": {"conditions": [condition]}}
            options = {"preconditions": {"uid": victim.uid}}
            client = self.handle.client
            try:
                client.patch(kinds.PODS, name, patch, victim.namespace, kind="strategic", subresource="status")
                client.delete(kinds.PODS, name, victim.namespace, options=options)
            except errors.NotFound:
                _log.debug("victim %s is gone already", victim.key)
                continue
            text = f"Preempted by pod {pod.uid} on node {chosen.node}"
            self.handle.recorder.event(victim.pod, "Normal", "Preempted", text)


def _covers(budget: Object, victim: pod_info.PodInfo) -> bool:
    if objects.namespace(budget) != victim.namespace or not victim.labels:
        return False
    selector = selectors.from_label_selector(budget["spec"].get("selector"))
    disrupted = objects.dig(budget, "status", "disruptedPods", default={})
    return selector.matches(victim.labels) and objects.name(victim.pod) not in disrupted


def _bump(reasons: dict[str, int], text: str) -> None:
    reasons[text] = reasons.get(text, 0) + 1


def histogram(reasons: dict[str, int]) -> str:
    """``1 Insufficient cpu, 2 node(s) were unschedulable``, sorted as texts."""
    return ", ".join(sorted(f"{count} {text}" for text, count in reasons.items()))
