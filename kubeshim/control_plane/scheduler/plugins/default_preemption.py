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
_GONE = errors.NotFound, errors.Conflict
"""What is answered about a pod of some uid that is not there any more; Conflict, where there is another of its name."""


@dataclasses.dataclass(frozen=True, slots=True)
class Candidate:
    node: str
    victims: tuple[pod_info.PodInfo, ...]
    """The most important first."""
    violations: int

    def cost(self) -> tuple[int, int, int, int, str]:
        """Lower is better; of equals the one whose most important victims started last."""
        top = self.victims[0].priority
        started = min(_started(one) for one in self.victims if one.priority == top)
        return (
            self.violations,
            top,
            sum(one.priority + OFFSET for one in self.victims),
            len(self.victims),
            _inverted(started),
        )


def _started(pod: pod_info.PodInfo) -> str:
    """When the pod started; one that has not yet comes after all that have."""
    return str(objects.dig(pod.pod, "status", "startTime", default="") or "9")


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
    ) -> tuple[str | None, framework.Status | None]:
        self.handle.metrics.preemptions.add()
        refusal = self._ineligible(pod, statuses, nodes)
        if refusal:
            return None, framework.unschedulable(f"preemption: {refusal}")
        reasons: dict[str, int] = {}
        candidates = []
        for node in nodes:
            status = statuses.get(node.name)
            if status is None or status.code != framework.Code.UNSCHEDULABLE:
                _bump(reasons, "Preemption is not helpful for scheduling")
                continue
            candidate = self._try_node(pod, node, nodes)
            if isinstance(candidate, Candidate):
                candidates.append(candidate)
                continue
            for reason in candidate:
                _bump(reasons, reason)
        if not candidates:
            text = f"preemption: 0/{len(nodes)} nodes are available: {histogram(reasons)}."
            return "", framework.unschedulable(text)
        best = min(candidates, key=Candidate.cost)
        self._take_back_nominations(pod, best.node)
        self.handle.metrics.victims.observe(len(best.victims))
        self._evict(pod, best)
        return best.node, None

    def _ineligible(self, pod: pod_info.PodInfo, statuses: dict[str, framework.Status], nodes: framework.Nodes) -> str:
        if pod.spec.get("preemptionPolicy") == "Never":
            return "not eligible due to preemptionPolicy=Never."
        nominated = self.handle.cache.nominations.node_of(pod.uid) or pod.nominated
        status = statuses.get(nominated)
        if status is not None and status.code == framework.Code.UNRESOLVABLE:
            return ""  # that node is lost, whoever goes
        for node in nodes:
            if node.name == nominated and any(
                _is_going_for_us(other.pod) and other.priority < pod.priority for other in node.pods.values()
            ):
                return "not eligible due to a terminating pod on the nominated node."
        return ""

    def _try_node(
        self, pod: pod_info.PodInfo, node: node_info.NodeInfo, nodes: framework.Nodes
    ) -> Candidate | tuple[str, ...]:
        """Whom the node would lose, or why that would not help."""
        lower = [other for other in node.pods.values() if other.priority < pod.priority]
        if not lower:
            return ("No preemption victims found for incoming pod",)
        trial = node.copy()
        for other in lower:
            trial.remove(other.uid)
        if (status := self._refusal(pod, trial, nodes)) is not None:
            return status.reasons
        lower.sort(key=lambda other: (-other.priority, _started(other)))
        violating, harmless = self._by_budget(lower)
        victims: list[pod_info.PodInfo] = []
        violations = 0
        for other in [*violating, *harmless]:
            trial.add(other)
            if self._refusal(pod, trial, nodes) is not None:
                trial.remove(other.uid)
                victims.append(other)
                violations += other in violating
        if not victims:
            return (f'expected at least one victim pod on node "{node.name}"',)
        victims.sort(key=lambda other: (-other.priority, _started(other)))
        return Candidate(node.name, tuple(victims), violations)

    def _refusal(
        self, pod: pod_info.PodInfo, trial: node_info.NodeInfo, nodes: framework.Nodes
    ) -> framework.Status | None:
        state: framework.CycleState = {}
        present = [trial if node.name == trial.name else node for node in nodes]
        found = self.handle.run_pre_filters(state, pod, present)
        if isinstance(found, framework.Status):
            return found
        return self.handle.run_filters(state, pod, trial, present)

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

    def _take_back_nominations(self, pod: pod_info.PodInfo, node: str) -> None:
        """Pods of less importance that the node was kept for may not fit there any more."""
        nominations = self.handle.cache.nominations
        for other in nominations.on(node):
            if other.priority >= pod.priority:
                continue
            nominations.forget(other.uid)
            patch = {"metadata": {"uid": other.uid}, "status": {"nominatedNodeName": None}}
            name = objects.name(other.pod)
            try:
                self.handle.client.patch(
                    kinds.PODS, name, patch, other.namespace, kind="strategic", subresource="status"
                )
            except _GONE:
                _log.debug("%s is gone already", other.key)

    def _evict(self, pod: pod_info.PodInfo, chosen: Candidate) -> None:
        for victim in chosen.victims:
            if objects.is_deleting(victim.pod):
                continue
            name = objects.name(victim.pod)
            condition = {
                "type": "DisruptionTarget",
                "status": "True",
                "reason": "PreemptionByScheduler",
                "message": f"{pod.spec.get('schedulerName')}: preempting to accommodate a higher priority pod",
                "lastTransitionTime": clock.rfc3339(clock.SYSTEM.now()),
                **objects.observed_generation(victim.pod),
            }
            patch = {"metadata": {"uid": victim.uid}, "status": {"conditions": [condition]}}
            options = {"preconditions": {"uid": victim.uid}}
            client = self.handle.client
            try:
                client.patch(kinds.PODS, name, patch, victim.namespace, kind="strategic", subresource="status")
                client.delete(kinds.PODS, name, victim.namespace, options=options)
            except _GONE:
                _log.debug("victim %s is gone already", victim.key)
                continue
            text = f"Preempted by pod {pod.uid} on node {chosen.node}"
            self.handle.recorder.event(victim.pod, "Normal", "Preempted", "Preempting", text, related=pod.pod)


def _covers(budget: Object, victim: pod_info.PodInfo) -> bool:
    if objects.namespace(budget) != victim.namespace or not victim.labels:
        return False
    wanted = budget["spec"].get("selector") or {}
    if not wanted.get("matchLabels") and not wanted.get("matchExpressions"):
        return False
    selector = selectors.from_label_selector(wanted)
    disrupted = objects.dig(budget, "status", "disruptedPods", default={})
    return selector.matches(victim.labels) and objects.name(victim.pod) not in disrupted


def _is_going_for_us(pod: Object) -> bool:
    """Whether it is ending because it was preempted."""
    condition = objects.condition(pod, "DisruptionTarget") or {}
    preempted = condition.get("status") == "True" and condition.get("reason") == "PreemptionByScheduler"
    return objects.is_deleting(pod) and preempted


def _bump(reasons: dict[str, int], text: str) -> None:
    reasons[text] = reasons.get(text, 0) + 1


def histogram(reasons: dict[str, int]) -> str:
    """``1 Insufficient cpu, 2 node(s) were unschedulable``, sorted as texts."""
    return ", ".join(sorted(f"{count} {text}" for text, count in reasons.items()))
