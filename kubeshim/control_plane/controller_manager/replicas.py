"""Keeping a number of pods: what ReplicaSet and ReplicationController share.

The two differ in name, selector form and events' source only. Each turn: claim pods, then either make or delete
the difference (never both), then tell the status. ``expectations`` keeps a turn from acting on a cache that has
not shown the last one's work.
"""

import copy
import datetime
import logging
from collections.abc import Sequence
from typing import ClassVar

from kubeshim import clock
from kubeshim.client import kinds
from kubeshim.control_plane.controller_manager import (
    adoption,
    conditions,
    controller,
    expectations,
    indexes,
    pod_control,
    pods,
)
from kubeshim.machinery import errors, objects, selectors
from kubeshim.machinery.objects import Object
from kubeshim.machinery.resources import GroupVersionResource

_log = logging.getLogger(__name__)

BURST = 500
"""Most pods made or deleted in one turn."""


def next_status(
    owner: Object,
    active: Sequence[Object],
    terminating: int,
    failure: Exception | None,
    now: datetime.datetime,
    *,
    tell_terminating: bool = False,
) -> Object:
    """The status that ``active`` pods and this turn's ``failure`` amount to. Pure."""
    spec, status = owner["spec"], copy.deepcopy(owner.get("status") or {})
    wanted_labels = objects.dig(spec, "template", "metadata", "labels", default={})
    minimum = int(spec.get("minReadySeconds") or 0)
    counts = {
        "replicas": len(active),
        "fullyLabeledReplicas": sum(
            all(objects.labels(pod).get(key) == value for key, value in wanted_labels.items()) for pod in active
        ),
        "readyReplicas": sum(pods.is_ready(pod) for pod in active),
        "availableReplicas": sum(pods.is_available(pod, minimum, now) for pod in active),
    }
    for field, number in counts.items():
        if number or field == "replicas":
            status[field] = number
        else:
            status.pop(field, None)
    if tell_terminating:
        status["terminatingReplicas"] = terminating
    status["observedGeneration"] = owner["metadata"].get("generation", 0)
    failed = conditions.find(status.get("conditions"), "ReplicaFailure")
    if failure is not None and failed is None:
        difference = len(active) - wanted(owner)
        if difference:
            new = {
                "type": "ReplicaFailure",
                "status": "True",
                "reason": "FailedCreate" if difference < 0 else "FailedDelete",
                "message": str(failure),
                "lastTransitionTime": clock.rfc3339(now),
            }
            status["conditions"] = conditions.put(status.get("conditions"), new)
    elif failure is None and failed is not None:
        status["conditions"] = conditions.without(status.get("conditions"), "ReplicaFailure")
    if not status.get("conditions"):
        status.pop("conditions", None)
    return status


def wanted(owner: Object) -> int:
    replicas = owner["spec"].get("replicas")
    return 1 if replicas is None else int(replicas)


class ReplicaController(controller.Controller):
    """Base of the two controllers."""

    gvr: ClassVar[GroupVersionResource]
    kind: ClassVar[str]
    tells_terminating: ClassVar[bool] = False
    workers = 5

    def selector_of(self, owner: Object) -> selectors.LabelSelector:
        raise NotImplementedError

    def register(self) -> None:
        self._expected = expectations.Expectations(self.clock)
        self._control = pod_control.PodControl(self.client, self.recorder)
        self._pods = indexes.by_claim(self.informer(kinds.PODS))
        self._owners = indexes.by_namespace(indexes.by_controller(self.informer(self.gvr)))
        self._owners.add_handler(
            added=self.enqueue, updated=lambda _, new: self.enqueue(new), deleted=self._owner_deleted
        )
        self._pods.add_handler(added=self._pod_added, updated=self._pod_updated, deleted=self._pod_deleted)

    def _owner_deleted(self, owner: Object) -> None:
        self._expected.forget(objects.uid(owner))
        self.enqueue(owner)

    def _pod_added(self, pod: Object) -> None:
        if objects.is_deleting(pod):
            self._pod_deleted(pod)
            return
        owner = self._owner_of(pod)
        if owner is not None:
            self._expected.creation_observed(objects.uid(owner))
            self.enqueue(owner)
        elif objects.controller_of(pod) is None:
            self._enqueue_matching(pod)

    def _pod_updated(self, old: Object, new: Object) -> None:
        if objects.is_deleting(new):
            # Told when it starts to end, not when it is gone: its replacement must not wait for the grace period.
            self._pod_deleted(new)
            if objects.labels(old) != objects.labels(new):
                self._pod_deleted(old)
            return
        before, now = objects.controller_of(old), objects.controller_of(new)
        if before != now and (former := self._owner_of(old)) is not None:
            self.enqueue(former)
        owner = self._owner_of(new)
        if owner is not None:
            self.enqueue(owner)
            minimum = int(owner["spec"].get("minReadySeconds") or 0)
            if minimum and pods.is_ready(new) and not pods.is_ready(old):
                # A second more, because the API's times are whole seconds.
                self.queue.add_after(objects.key(owner), minimum + 1)
        elif now is None and (objects.labels(old) != objects.labels(new) or before != now):
            self._enqueue_matching(new)

    def _pod_deleted(self, pod: Object) -> None:
        owner = self._owner_of(pod)
        if owner is not None:
            self._expected.deletion_observed(objects.uid(owner), objects.uid(pod))
            self.enqueue(owner)

    def _owner_of(self, pod: Object) -> Object | None:
        reference = objects.controller_of(pod)
        if reference is None or reference["kind"] != self.kind:
            return None
        owner = self._owners.get(f"{objects.namespace(pod)}/{reference['name']}")
        return owner if owner is not None and objects.uid(owner) == reference["uid"] else None

    def _enqueue_matching(self, pod: Object) -> None:
        for owner in self._owners.by_index("namespace", objects.namespace(pod)):
            if self.selector_of(owner).matches(objects.labels(pod)):
                self.enqueue(owner)

    def sync(self, key: str) -> float | None:
        owner = self._owners.get(key)
        if owner is None:
            return None
        may_act = self._expected.satisfied(objects.uid(owner))
        selector = self.selector_of(owner)
        claimer = adoption.Claimer(self.client, kinds.PODS, owner, self.gvr, selector)
        mine = claimer.claim(indexes.claimable(self._pods, owner))
        active = [pod for pod in mine if pods.is_active(pod)]
        terminating = sum(pods.is_terminating(pod) for pod in mine)
        failure = self._manage(owner, active) if may_act and not objects.is_deleting(owner) else None
        now = self.clock.now()
        status = next_status(owner, active, terminating, failure, now, tell_terminating=self.tells_terminating)
        self._write_status(owner, status)
        if failure is not None:
            raise failure
        waits = (_until_next_available(owner, active, now), self._expected.left(objects.uid(owner)))
        return min((wait for wait in waits if wait is not None), default=None)

    def _manage(self, owner: Object, active: Sequence[Object]) -> Exception | None:
        difference = len(active) - wanted(owner)
        if difference < 0:
            return self._create(owner, min(-difference, BURST))
        if difference > 0:
            return self._delete(owner, active, min(difference, BURST))
        return None

    def _create(self, owner: Object, count: int) -> Exception | None:
        uid = objects.uid(owner)
        self._expected.expect_creations(uid, count)
        template = owner["spec"]["template"]
        done, failure = pod_control.slow_start(count, lambda _: self._control.create(template, owner))
        if done < count:
            self._expected.creation_observed(uid, count - done)
        if failure is not None and pod_control.namespace_is_going(failure):
            return None
        return failure

    def _delete(self, owner: Object, active: Sequence[Object], count: int) -> Exception | None:
        chosen = pods.deletion_order(active, self._related(owner), self.clock.now())[:count]
        uid = objects.uid(owner)
        self._expected.expect_deletions(uid, [objects.uid(pod) for pod in chosen])

        def delete(pod: Object) -> None:
            self._expected.deletion(uid, objects.uid(pod), lambda: self._control.delete(pod, owner))

        failures = pod_control.run_all(delete, chosen)
        return failures[0] if failures else None

    def _related(self, owner: Object) -> list[Object]:
        """Pods of all owners that have the same controller: when a rollout shrinks one, crowded nodes go first."""
        parent = objects.controller_of(owner)
        family = self._owners.by_index("controller", parent["uid"]) if parent else [owner]
        return [pod for member in family for pod in self._pods.by_index("claim", objects.uid(member))]

    def _write_status(self, owner: Object, status: Object) -> None:
        if status == (owner.get("status") or {}):
            return
        try:
            self.client.update(self.gvr, {**owner, "status": status}, subresource="status")
        except errors.NotFound:
            _log.debug("%s is gone, its status needs no update", objects.key(owner))


def _until_next_available(owner: Object, active: Sequence[Object], now: datetime.datetime) -> float | None:
    minimum = int(owner["spec"].get("minReadySeconds") or 0)
    waits = [pods.available_in(pod, minimum, now) for pod in active] if minimum else []
    pending = [wait for wait in waits if wait]
    return min(pending) + 0.1 if pending else None
