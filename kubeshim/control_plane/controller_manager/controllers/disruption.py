"""PodDisruptionBudgets: how many of the chosen pods may be evicted now.

The eviction subresource trusts ``status.disruptionsAllowed`` and notes each pod it evicts in ``disruptedPods``; such
a pod counts as gone from then on, for two minutes at most, by when it must have been deleted. After as long the
condition ``DisruptionTarget`` of a pod that is not being deleted is taken back: whoever wrote it gave up.
"""

import datetime
import logging

from kubeshim import clock
from kubeshim.client import kinds
from kubeshim.control_plane.controller_manager import conditions, controller, indexes, pods, rollout, scale_targets
from kubeshim.machinery import errors, objects, selectors
from kubeshim.machinery.objects import Object
from kubeshim.machinery.resources import GroupVersionResource

_log = logging.getLogger(__name__)

DELETION_TIMEOUT = STALE_DISRUPTION = 120.0
STALE = "stale/"
BY_KUBELET = "TerminationByKubelet"
OWNERS: dict[str, GroupVersionResource] = {
    "ReplicaSet": kinds.REPLICA_SETS,
    "ReplicationController": kinds.REPLICATION_CONTROLLERS,
    "StatefulSet": kinds.STATEFUL_SETS,
    "Deployment": kinds.DEPLOYMENTS,
}


UNMANAGED = (
    "Pods selected by this PodDisruptionBudget (selector: {}) were found to be unmanaged. As a result, the status of "
    "the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods please "
    'set ".spec.minAvailable" field of the PDB to an integer value.'
)


class CannotCount(Exception):
    """The expected number of pods is unknown; the message says why."""


class DisruptionController(controller.Controller):
    """Queue keys are ``NS/NAME`` of a budget, and ``stale/NS/NAME`` of a pod that was to be disrupted."""

    name = "disruption"
    component = "controllermanager"

    def register(self) -> None:
        self._targets = scale_targets.Targets(self.client, self.clock)
        self._budgets = indexes.by_namespace(self.watch(kinds.POD_DISRUPTION_BUDGETS))
        self._pods = indexes.by_namespace(self.informer(kinds.PODS))
        self._pods.add_handler(
            added=self._pod_changed, updated=lambda old, new: self._pod_changed(new, old), deleted=self._pod_changed
        )
        self._owners = {kind: self.informer(gvr) for kind, gvr in OWNERS.items()}
        for cache in self._owners.values():
            cache.add_handler(updated=self._owner_updated)

    def _pod_changed(self, *versions: Object) -> None:
        for budget in self._budgets.by_index("namespace", objects.namespace(versions[0])):
            if any(_selector(budget).matches(objects.labels(pod)) for pod in versions):
                self.enqueue(budget)
        if disrupted_since(versions[0]) is not None:
            self.queue.add(STALE + objects.key(versions[0]))

    def _owner_updated(self, old: Object, new: Object) -> None:
        if old["spec"].get("replicas") != new["spec"].get("replicas"):
            for budget in self._budgets.by_index("namespace", objects.namespace(new)):
                self.enqueue(budget)

    def sync(self, key: str) -> float | None:
        if key.startswith(STALE):
            return self._take_back(key.removeprefix(STALE))
        budget = self._budgets.get(key)
        if budget is None:
            return None
        now = self.clock.now()
        chosen = [
            pod
            for pod in self._pods.by_index("namespace", objects.namespace(budget))
            if _selector(budget).matches(objects.labels(pod))
        ]
        if not chosen:
            self.recorder.event(budget, "Normal", "NoPods", "No matching pods found")
        try:
            expected, desired = self._expected(budget, chosen)
        except CannotCount as error:
            text = f"Failed to calculate the number of expected pods: {error}"
            self.recorder.event(budget, "Warning", "CalculateExpectedPodCountFailed", text)
            self._write(budget, _failed(budget, str(error), now))
            return None
        disrupted, again = still_disrupted(budget, chosen, now)
        for pod in not_deleted(budget, chosen, disrupted):
            text = f"Pod was expected by PDB {key} to be deleted but it wasn't"
            self.recorder.event(pod, "Warning", "NotDeleted", text)
        healthy = sum(
            pods.is_ready(pod) and not objects.is_deleting(pod) and objects.name(pod) not in disrupted for pod in chosen
        )
        self._write(budget, status(budget, healthy, desired, expected, disrupted, now))
        return again

    def _take_back(self, key: str) -> float | None:
        """Ends a disruption that did not come."""
        pod = self._pods.get(key)
        since = disrupted_since(pod) if pod is not None else None
        if pod is None or since is None:
            return None
        now = self.clock.now()
        left = STALE_DISRUPTION - (now - since).total_seconds()
        if left > 0:
            return left
        condition = {
            "type": "DisruptionTarget",
            "status": "False",
            "reason": None,
            "message": None,
            "lastTransitionTime": clock.rfc3339(now),
            **objects.observed_generation(pod),
        }
        patch = {"metadata": {"uid": objects.uid(pod)}, "status": {"conditions": [condition]}}
        name, namespace = objects.name(pod), objects.namespace(pod)
        try:
            self.client.patch(kinds.PODS, name, patch, namespace, kind="strategic", subresource="status")
        except errors.NotFound:
            _log.debug("pod %s is gone", key)
        return None

    def _expected(self, budget: Object, chosen: list[Object]) -> tuple[int, int]:
        """How many pods there should be, and how many of them healthy."""
        spec = budget["spec"]
        if spec.get("maxUnavailable") is not None:
            expected = self._scale(budget, chosen)
            return expected, max(0, expected - rollout.scaled(spec["maxUnavailable"], expected, up=True))
        least = spec.get("minAvailable")
        if least is None:
            return len(chosen), 1 if chosen else 0
        if isinstance(least, int):
            return len(chosen), least
        expected = self._scale(budget, chosen)
        return expected, rollout.scaled(least, expected, up=True)

    def _scale(self, budget: Object, chosen: list[Object]) -> int:
        """The sum of the sizes of the pods' controllers; pods without one do not count, which is told."""
        sizes: dict[str, int] = {}
        seen: set[str] = set()
        unmanaged = False
        for pod in chosen:
            reference = objects.controller_of(pod)
            if reference is None:
                unmanaged = True
            elif reference["uid"] not in seen:
                seen.add(reference["uid"])
                uid, size = self._size(pod, reference)
                sizes[uid] = size
        if unmanaged:
            shown = selectors.as_go_text(budget["spec"].get("selector"))
            self.recorder.event(budget, "Warning", "UnmanagedPods", UNMANAGED.format(shown))
        return sum(sizes.values())

    def _size(self, pod: Object, reference: Object) -> tuple[str, int]:
        """The uid and the size of what controls the pod, or controls that. Raises ``CannotCount``."""
        owner = self._find(pod, reference)
        if owner is not None:
            parent = objects.controller_of(owner)
            if parent is not None and parent["kind"] == "Deployment":
                owner = self._find(owner, parent) or owner
            return objects.uid(owner), rollout.replicas(owner)
        try:
            types = self._targets.types(scale_targets.group_of(reference["apiVersion"]), reference["kind"])
            _, scale = self._targets.scale(types, objects.namespace(pod), reference["name"])
        except errors.NotFound as error:
            if any(objects.dig(error.details, "kind") == gvr.resource for gvr in types):
                text = f'found no controllers for pod "{objects.name(pod)}"'
                raise CannotCount(text) from error
            plural = f"{types[0].resource}.{types[0].group}" if types[0].group else types[0].resource
            raise CannotCount(f"{plural} does not implement the scale subresource") from error
        except scale_targets.NotUnderstood as error:
            raise CannotCount(str(error)) from error
        if objects.uid(scale) != reference["uid"]:
            raise CannotCount(f'found no controllers for pod "{objects.name(pod)}"')
        return objects.uid(scale), int(objects.dig(scale, "spec", "replicas", default=0))

    def _find(self, obj: Object, reference: Object) -> Object | None:
        cache = self._owners.get(reference["kind"])
        owner = cache.get(f"{objects.namespace(obj)}/{reference['name']}") if cache else None
        return owner if owner is not None and objects.uid(owner) == reference["uid"] else None

    def _write(self, budget: Object, wanted: Object) -> None:
        if wanted == (budget.get("status") or {}):
            return
        try:
            self.client.update(kinds.POD_DISRUPTION_BUDGETS, {**budget, "status": wanted}, subresource="status")
        except errors.NotFound:
            _log.debug("budget %s is gone", objects.key(budget))


def disrupted_since(pod: Object) -> datetime.datetime | None:
    """When the pod was said to be disrupted, if it is neither ended nor being deleted yet."""
    condition = objects.condition(pod, "DisruptionTarget")
    if condition is None or condition.get("status") != "True" or objects.is_deleting(pod) or pods.is_finished(pod):
        return None
    if condition.get("reason") == BY_KUBELET:
        return None  # may take as long as it takes
    text = condition.get("lastTransitionTime")
    return clock.parse_rfc3339(text) if text else None


def still_disrupted(
    budget: Object, chosen: list[Object], now: datetime.datetime
) -> tuple[dict[str, str], float | None]:
    """``disruptedPods`` without those that are deleted by now or will not be; and when the next one expires."""
    kept, waits = {}, []
    by_name = {objects.name(pod): pod for pod in chosen}
    for name, since in objects.dig(budget, "status", "disruptedPods", default={}).items():
        pod = by_name.get(name)
        if pod is None or objects.is_deleting(pod) or not _was_there(pod, since):
            continue
        left = DELETION_TIMEOUT - (now - clock.parse_rfc3339(since)).total_seconds()
        if left > 0:
            kept[name] = since
            waits.append(left)
    return kept, min(waits) if waits else None


def not_deleted(budget: Object, chosen: list[Object], kept: dict[str, str]) -> list[Object]:
    """The pods that were to be disrupted and, after all that time, are there as before."""
    told = objects.dig(budget, "status", "disruptedPods", default={})
    there = [pod for pod in chosen if objects.name(pod) in told.keys() - kept and not objects.is_deleting(pod)]
    return [pod for pod in there if _was_there(pod, told[objects.name(pod)])]


def _was_there(pod: Object, since: str) -> bool:
    """Whether it can be the very pod that was evicted, and is no later one of its name."""
    created = objects.dig(pod, "metadata", "creationTimestamp")
    return not created or clock.parse_rfc3339(created) <= clock.parse_rfc3339(since)


def status(
    budget: Object, healthy: int, desired: int, expected: int, disrupted: dict[str, str], now: datetime.datetime
) -> Object:
    allowed = max(0, healthy - desired) if expected > 0 else 0
    result: Object = {
        "observedGeneration": int(budget["metadata"].get("generation") or 0),
        "disruptionsAllowed": allowed,
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "expectedPods": expected,
    }
    if disrupted:
        result["disruptedPods"] = disrupted
    reason = "SufficientPods" if allowed else "InsufficientPods"
    result["conditions"] = _conditions(budget, "True" if allowed else "False", reason, "", now)
    return result


def _failed(budget: Object, message: str, now: datetime.datetime) -> Object:
    """When nothing is known, nothing may be disrupted."""
    result = {**(budget.get("status") or {}), "disruptionsAllowed": 0}
    result["observedGeneration"] = int(budget["metadata"].get("generation") or 0)
    result["conditions"] = _conditions(budget, "False", "SyncFailed", message, now)
    for field in ("currentHealthy", "desiredHealthy", "expectedPods"):
        result.setdefault(field, 0)
    return result


def _conditions(
    budget: Object, value: str, reason: str, message: str, now: datetime.datetime
) -> list[conditions.Condition]:
    old = objects.condition(budget, "DisruptionAllowed")
    new = {
        "type": "DisruptionAllowed",
        "status": value,
        "observedGeneration": int(budget["metadata"].get("generation") or 0),
        "lastTransitionTime": clock.rfc3339(now),
        "reason": reason,
        "message": message,
    }
    if old is not None and old.get("status") == value:
        new["lastTransitionTime"] = old.get("lastTransitionTime", new["lastTransitionTime"])
    return [*conditions.without(objects.dig(budget, "status", "conditions", default=()), "DisruptionAllowed"), new]


def _selector(budget: Object) -> selectors.LabelSelector:
    return selectors.from_label_selector(budget["spec"].get("selector"))
