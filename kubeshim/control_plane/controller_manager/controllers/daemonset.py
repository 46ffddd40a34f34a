"""DaemonSets: a pod on every node that is fit for it.

The decisions are in ``daemons``. The pods are placed by the scheduler; each is nailed to its node by affinity.
A pod that keeps failing is replaced with a growing delay.
"""

import datetime
import logging

from kubeshim.client import kinds, workqueue
from kubeshim.control_plane.controller_manager import (
    adoption,
    controller,
    daemons,
    expectations,
    history,
    indexes,
    pod_control,
    pods,
)
from kubeshim.machinery import objects, selectors
from kubeshim.machinery.objects import Object
from kubeshim.machinery.resources import GroupVersionResource

_log = logging.getLogger(__name__)

BURST = 250
FORGIVEN = 1800.0
"""Seconds without a failure after which the next is a first one."""


class DaemonSetController(controller.Controller):
    name = "daemonset"

    def register(self) -> None:
        self._expected = expectations.Expectations(self.clock)
        self._control = pod_control.PodControl(self.client, self.recorder)
        self._history = history.History(self.client)
        self._failures = workqueue.ItemBackoff(1.0, 900.0)
        self._due: dict[str, float] = {}
        """Daemon set uid and node → when a failed pod there may be replaced again (monotonic)."""
        self._sets = indexes.by_namespace(self.watch(kinds.DAEMON_SETS))
        self._sets.add_handler(deleted=lambda gone: self._expected.forget(objects.uid(gone)))
        self._revisions = indexes.by_claim(self.informer(kinds.CONTROLLER_REVISIONS))
        self._revisions.add_handler(deleted=self._revision_deleted)
        self._nodes = self.informer(kinds.NODES)
        self._nodes.add_handler(added=self._node_changed, updated=self._node_updated, deleted=self._node_changed)
        self._pods = indexes.by_claim(self.informer(kinds.PODS))
        self._pods.add_handler(added=self._pod_added, updated=self._pod_updated, deleted=self._pod_deleted)

    def _node_changed(self, node: Object) -> None:
        for one in self._sets.list():
            if any(daemons.should_run(one, node)):
                self.enqueue(one)

    def _node_updated(self, old: Object, new: Object) -> None:
        if objects.labels(old) == objects.labels(new) and old["spec"].get("taints") == new["spec"].get("taints"):
            return
        for one in self._sets.list():
            if daemons.should_run(one, old) != daemons.should_run(one, new):
                self.enqueue(one)

    def _owner_of(self, pod: Object) -> Object | None:
        reference = objects.controller_of(pod)
        if reference is None or reference["kind"] != "DaemonSet":
            return None
        owner = self._sets.get(f"{objects.namespace(pod)}/{reference['name']}")
        return owner if owner is not None and objects.uid(owner) == reference["uid"] else None

    def _pod_added(self, pod: Object) -> None:
        owner = self._owner_of(pod)
        if owner is not None:
            self._expected.creation_observed(objects.uid(owner))
        self._pod_changed(pod)

    def _pod_updated(self, old: Object, new: Object) -> None:
        former = self._owner_of(old)
        if former is not None and objects.controller_of(old) != objects.controller_of(new):
            self.enqueue(former)
        self._pod_changed(new)

    def _pod_changed(self, pod: Object) -> None:
        owner = self._owner_of(pod)
        if owner is not None:
            self.enqueue(owner)
        elif objects.controller_of(pod) is None:
            for one in self._sets.by_index("namespace", objects.namespace(pod)):
                if _selector(one).matches(objects.labels(pod)):
                    self.enqueue(one)

    def _pod_deleted(self, pod: Object) -> None:
        owner = self._owner_of(pod)
        if owner is not None:
            self._expected.deletion_observed(objects.uid(owner), objects.uid(pod))
            self.enqueue(owner)

    def _revision_deleted(self, revision: Object) -> None:
        """It may have been a namesake's, whose template, and so whose revision's name, was the same."""
        reference = objects.controller_of(revision)
        if reference is not None and reference["kind"] == "DaemonSet":
            self.queue.add(f"{objects.namespace(revision)}/{reference['name']}")

    def sync(self, key: str) -> float | None:
        daemon_set = self._sets.get(key)
        if daemon_set is None or objects.is_deleting(daemon_set):
            return None
        selector = _selector(daemon_set)
        if selector.empty:
            text = "This daemon set is selecting all pods. A non-empty selector is required."
            self.recorder.event(daemon_set, "Warning", "SelectingAll", text)
            return None
        revision, every, collisions = self._history.current(
            daemon_set, self._claim(daemon_set, kinds.CONTROLLER_REVISIONS)
        )
        hash_text = history.hash_of(revision)
        every_pod = self._claim(daemon_set, kinds.PODS)
        mine = [pod for pod in every_pod if not (objects.is_deleting(pod) and pods.is_finished(pod))]
        again, uid = None, objects.uid(daemon_set)
        if self._expected.satisfied(uid):
            again = self._place(daemon_set, mine, hash_text)
        if self._expected.satisfied(uid) and _rolling(daemon_set):
            step = daemons.update(daemon_set, self._nodes.list(), mine, hash_text, self.clock.now())
            self._carry_out(daemon_set, step, hash_text)
        used = {objects.labels(pod).get(history.HASH_LABEL, "") for pod in every_pod} | {hash_text}
        names = {objects.name(one) for one in every if history.hash_of(one) in used}
        limit = daemon_set["spec"].get("revisionHistoryLimit")
        self._history.truncate(every, names, 10 if limit is None else int(limit))
        self._tell(daemon_set, mine, hash_text, collisions)
        waits = (again, _until_available(daemon_set, mine, self.clock.now()), self._expected.left(uid))
        return min((wait for wait in waits if wait is not None), default=None)

    def _claim(self, daemon_set: Object, gvr: GroupVersionResource) -> list[Object]:
        cache = self._pods if gvr == kinds.PODS else self._revisions
        claimer = adoption.Claimer(self.client, gvr, daemon_set, kinds.DAEMON_SETS, _selector(daemon_set))
        return claimer.claim(indexes.claimable(cache, daemon_set))

    def _place(self, daemon_set: Object, mine: list[Object], hash_text: str) -> float | None:
        nodes = self._nodes.list()
        surge = daemons.limits(daemon_set, len(nodes)).surge if _rolling(daemon_set) else 0
        step = daemons.plan(daemon_set, nodes, mine, surge, hash_text, self.clock.now())
        wait: float | None = None
        for pod in step.ended:
            node = daemons.node_of(pod)
            if pods.phase(pod) != "Failed":
                text = f"Found succeeded daemon pod {objects.key(pod)} on node {node}, will try to delete it"
                self.recorder.event(daemon_set, "Normal", "SucceededDaemonPod", text)
                step.delete.append(pod)
                continue
            where, now = f"{objects.uid(daemon_set)}/{node}", self.clock.monotonic()
            left = self._due.get(where, 0.0) - now
            if left > 0:
                wait = min(left, wait) if wait is not None else left
                continue
            if -left > FORGIVEN:
                self._failures.forget(where)
            self._due[where] = now + self._failures.when(where)
            text = f"Found failed daemon pod {objects.key(pod)} on node {node}, will try to kill it"
            self.recorder.event(daemon_set, "Warning", "FailedDaemonPod", text)
            step.delete.append(pod)
        self._carry_out(daemon_set, step, hash_text)
        return wait

    def _carry_out(self, daemon_set: Object, step: daemons.Plan, hash_text: str) -> None:
        create, delete = step.create[:BURST], step.delete[:BURST]
        if not create and not delete:
            return
        uid = objects.uid(daemon_set)
        self._expected.expect(uid, len(create), [objects.uid(pod) for pod in delete])

        def make(index: int) -> None:
            self._control.create(
                daemon_set["spec"]["template"], daemon_set, pod=daemons.pod_for(daemon_set, create[index], hash_text)
            )

        def remove(pod: Object) -> None:
            self._expected.deletion(uid, objects.uid(pod), lambda: self._control.delete(pod, daemon_set))

        done, failure = pod_control.slow_start(len(create), make)
        self._expected.creation_observed(uid, len(create) - done)
        failures = pod_control.run_all(remove, delete)
        failure = failure or (failures[0] if failures else None)
        if failure is not None and not pod_control.namespace_is_going(failure):
            raise failure

    def _tell(self, daemon_set: Object, mine: list[Object], hash_text: str, collisions: int) -> None:
        status = daemons.status(daemon_set, self._nodes.list(), mine, hash_text, collisions, self.clock.now())
        if status != (daemon_set.get("status") or {}):
            self.client.update(kinds.DAEMON_SETS, {**daemon_set, "status": status}, subresource="status")


def _selector(daemon_set: Object) -> selectors.LabelSelector:
    return selectors.from_label_selector(daemon_set["spec"].get("selector"))


def _rolling(daemon_set: Object) -> bool:
    return str(objects.dig(daemon_set, "spec", "updateStrategy", "type", default="RollingUpdate")) == "RollingUpdate"


def _until_available(daemon_set: Object, mine: list[Object], now: datetime.datetime) -> float | None:
    minimum = int(daemon_set["spec"].get("minReadySeconds") or 0)
    waits = [wait for pod in mine if (wait := pods.available_in(pod, minimum, now))]
    return min(waits) + 0.1 if waits else None
