"""Jobs: pods that run to their end.

No ended pod may be lost from the count, nor counted twice, whenever we crash: each carries a finalizer; its uid is
first noted in the status (``uncountedTerminatedPods``), then the finalizer is taken off, and only when that is seen
the uid becomes part of the number. ``jobs`` has the decisions.
"""

import logging
import time
from collections.abc import Iterable, Sequence

from kubeshim import clock
from kubeshim.client import kinds
from kubeshim.control_plane.controller_manager import (
    adoption,
    conditions,
    controller,
    expectations,
    indexes,
    job_backoff,
    jobs,
    pod_control,
    pods,
)
from kubeshim.machinery import errors, objects, selectors
from kubeshim.machinery.objects import Object

_log = logging.getLogger(__name__)

BURST = 500
ORPHAN = "orphan/"
MANAGER = "kubernetes.io/job-controller"


class JobController(controller.Controller):
    """Queue keys are ``NS/NAME`` of a job, and ``orphan/NS/NAME`` of a pod whose job is gone."""

    name = "job"
    workers = 5

    def register(self) -> None:
        self._expected = expectations.Expectations(self.clock)
        self._written: dict[str, int] = {}
        """Resource version of the status last written, by key: see ``_is_stale``."""
        self._backoff: dict[str, job_backoff.Record] = {}
        """By the job's uid."""
        self._control = pod_control.PodControl(self.client, self.recorder)
        self._jobs = indexes.by_namespace(self.watch(kinds.JOBS))
        self._jobs.add_handler(added=self._job_added, deleted=self._job_deleted)
        self._pods = indexes.by_claim(self.informer(kinds.PODS))
        self._pods.add_handler(added=self._pod_added, updated=self._pod_updated, deleted=self._pod_deleted)

    def _job_added(self, job: Object) -> None:
        controller_name = str(job["spec"].get("managedBy") or MANAGER)
        if controller_name != MANAGER:
            self.metrics.jobs.left_to(controller_name)

    def _job_deleted(self, job: Object) -> None:
        self._backoff.pop(objects.uid(job), None)
        self._expected.forget(objects.uid(job))
        for pod in self._pods.by_index("claim", objects.uid(job)):
            if jobs.has_finalizer(pod):
                self.queue.add(ORPHAN + objects.key(pod))

    def _owner_of(self, pod: Object) -> Object | None:
        reference = objects.controller_of(pod)
        if reference is None or reference["kind"] != "Job":
            return None
        job = self._jobs.get(f"{objects.namespace(pod)}/{reference['name']}")
        return job if job is not None and objects.uid(job) == reference["uid"] else None

    def _pod_added(self, pod: Object) -> None:
        self.metrics.jobs.seen(None, pod)
        job = self._owner_of(pod)
        if job is not None:
            self._expected.creation_observed(objects.uid(job))
        self._pod_changed(pod)

    def _pod_updated(self, old: Object, new: Object) -> None:
        self.metrics.jobs.seen(old, new)
        former = self._owner_of(old)
        if former is not None and objects.controller_of(old) != objects.controller_of(new):
            self.enqueue(former)
        self._pod_changed(new)

    def _pod_changed(self, pod: Object) -> None:
        job = self._owner_of(pod)
        if job is not None:
            if objects.is_deleting(pod):
                self._expected.deletion_observed(objects.uid(job), objects.uid(pod))
            self.enqueue(job)
        elif jobs.has_finalizer(pod):
            self.queue.add(ORPHAN + objects.key(pod))
        elif objects.controller_of(pod) is None:
            for one in self._jobs.by_index("namespace", objects.namespace(pod)):
                if _selector(one).matches(objects.labels(pod)):
                    self.enqueue(one)

    def _pod_deleted(self, pod: Object) -> None:
        self.metrics.jobs.seen(pod, None)
        job = self._owner_of(pod)
        if job is not None:
            self._expected.deletion_observed(objects.uid(job), objects.uid(pod))
            self.enqueue(job)

    def sync(self, key: str) -> float | None:
        if key.startswith(ORPHAN):
            self._release_orphan(key.removeprefix(ORPHAN))
            return None
        job = self._jobs.get(key)
        if job is None:
            self._written.pop(key, None)
            return None
        if self._is_stale(key, job):
            return self._expected.left(objects.uid(job))
        if job["spec"].get("managedBy") not in (None, "", MANAGER):
            return None
        claimer = adoption.Claimer(
            self.client, kinds.PODS, job, kinds.JOBS, _selector(job), finalizers=(jobs.FINALIZER,)
        )
        mine = claimer.claim(indexes.claimable(self._pods, job))
        if jobs.is_finished(job):
            self._backoff.pop(objects.uid(job), None)
            self._release(pod for pod in mine if jobs.has_finalizer(pod))
            return None
        started, action, ok = time.monotonic(), ["reconciling"], False
        try:
            again = self._run_job(key, job, mine, action)
            ok = True
        finally:
            self.metrics.jobs.looked_at(job, ok, action[-1], time.monotonic() - started)
        return again

    def _is_stale(self, key: str, job: Object) -> bool:
        """Whether the cache has not yet seen what we wrote; the event that brings it brings us back too.

        Pods come by a watch of their own, so one whose finalizer we took off may be seen before the status that counts
        it: by the old status it would be missing, and be replaced. And of pods that go together some are seen going
        before the others: the status would tell of active ones that nobody wants any more.
        """
        if int(objects.resource_version(job) or 0) < self._written.get(key, 0):
            return True
        return not objects.is_deleting(job) and not self._expected.satisfied(objects.uid(job))

    def _run_job(self, key: str, job: Object, mine: Sequence[Object], action: list[str]) -> float | None:
        """``action`` is told what was done, for the metrics."""
        now = self.clock.now()
        moment = clock.rfc3339(now)
        status = dict(job.get("status") or {})
        suspended = bool(job["spec"].get("suspend"))
        if not suspended and not status.get("startTime"):
            status["startTime"] = moment
            job = {**job, "status": status}
        found = jobs.tally(job, mine)
        verdict = jobs.verdict(job, found, mine, now)
        if verdict is not None or objects.is_deleting(job):
            found.settle()
        self._backoff[objects.uid(job)] = job_backoff.following(self._backoff.get(objects.uid(job)), job, mine)
        may_act = self._expected.satisfied(objects.uid(job)) and not objects.is_deleting(job)
        again: float | None = None
        failure: Exception | None = None
        active = len(found.active)
        if verdict is not None or suspended:
            # Pods that a complete job can do without have not failed.
            counted = verdict is not None and verdict.kind == "Failed"
            failure = self._delete(job, found.active, counted=counted) if may_act else None
            if may_act and failure is None:
                found.terminating += len(found.active)
                active = 0
                if counted:
                    jobs.count_unended(job, found, mine)
        elif may_act:
            active, again, failure = self._scale(job, found, mine)
        if may_act:
            before = len(found.active)
            action.append("tracking" if active == before else f"pods_{'created' if active > before else 'deleted'}")
        self._describe(job, status, found, active, moment)
        if may_act and suspended != conditions.is_true(status, "Suspended") and verdict is None:
            self._note_suspension(job, status, suspended, moment)
        if verdict is not None:
            self._announce(job, status, found, verdict, active, moment)
        if status != (self._jobs.get(key) or {}).get("status"):
            before_write = (self._jobs.get(key) or {}).get("status") or {}
            job = self.client.update(kinds.JOBS, {**job, "status": status}, subresource="status")
            self.metrics.jobs.written(job, before_write)
            self._written[key] = int(objects.resource_version(job) or 0)
        noted = {*found.uncounted_succeeded, *found.uncounted_failed}
        over = objects.is_deleting(job) or (verdict is not None and may_act and failure is None)
        released = [
            pod
            for pod in mine
            if jobs.has_finalizer(pod)
            and objects.uid(pod) not in found.kept
            and (over or self._may_release(job, pod, noted))
        ]
        self._release(released)
        for pod in released:
            self.metrics.jobs.released(job, pod)
        if failure is not None and not pod_control.namespace_is_going(failure):
            raise failure
        left = jobs.deadline_in(job, now) if verdict is None else None
        times = [time for time in (again, left, self._expected.left(objects.uid(job))) if time is not None]
        return max(0.05, min(times)) if times else None

    def _may_release(self, job: Object, pod: Object, counted: set[str]) -> bool:
        if objects.uid(pod) in counted:
            return True
        ignored = jobs.has_failed(job, pod) and (
            not jobs.is_valid(job, pod) or jobs.failure_action(job, pod)[0] == "Ignore"
        )
        repeated = pods.phase(pod) == "Succeeded" and jobs.is_indexed(job)
        return ignored or repeated or jobs.is_finished(job)

    def _describe(self, job: Object, status: Object, found: jobs.Tally, active: int, moment: str) -> None:
        succeeded = len(found.completed) if jobs.is_indexed(job) else found.succeeded
        numbers = {"active": active, "succeeded": succeeded, "failed": found.failed}
        for field, number in numbers.items():
            if number:
                status[field] = number
            else:
                status.pop(field, None)
        status["ready"] = min(found.ready, active)
        status["terminating"] = found.terminating
        uncounted = {"succeeded": found.uncounted_succeeded, "failed": found.uncounted_failed}
        status["uncountedTerminatedPods"] = {kind: uids for kind, uids in uncounted.items() if uids}
        if jobs.is_indexed(job):
            status.pop("completedIndexes", None)
            if found.completed:
                status["completedIndexes"] = jobs.format_indexes(found.completed)
            if job["spec"].get("backoffLimitPerIndex") is not None:
                status["failedIndexes"] = jobs.format_indexes(found.failed_indexes)

    def _note_suspension(self, job: Object, status: Object, suspended: bool, moment: str) -> None:
        reason, text = ("JobSuspended", "Job suspended") if suspended else ("JobResumed", "Job resumed")
        _put(status, "Suspended", "True" if suspended else "False", reason, text, moment)
        if not suspended:
            status["startTime"] = moment
        self.recorder.event(job, "Normal", "Suspended" if suspended else "Resumed", text)

    def _announce(
        self, job: Object, status: Object, found: jobs.Tally, verdict: jobs.Verdict, active: int, moment: str
    ) -> None:
        """Says how the job ends; says that it has ended once all its pods have, and are counted."""
        _put(status, verdict.announced_as, "True", verdict.reason, verdict.message, moment)
        if active or found.terminating or found.uncounted_succeeded or found.uncounted_failed:
            return
        _put(status, verdict.kind, "True", verdict.reason, verdict.message, moment)
        if verdict.kind == "Complete":
            status["completionTime"] = moment
            completions = job["spec"].get("completions")
            if completions is not None and int(status.get("succeeded") or 0) > int(completions):
                text = "Too many succeeded pods running after completion count reached"
                self.recorder.event(job, "Warning", "TooManySucceededPods", text)
            self.recorder.event(job, "Normal", "Completed", "Job completed")
        else:
            self.recorder.event(job, "Warning", verdict.reason, verdict.message)

    def _scale(
        self, job: Object, found: jobs.Tally, mine: Sequence[Object]
    ) -> tuple[int, float | None, Exception | None]:
        """Starts or stops pods: how many are active then, when to come back, and what went wrong."""
        wanted, active, now = jobs.wanted_active(job, found), len(found.active), self.clock.now()
        surplus = jobs.surplus(job, found.active, active - wanted, now)
        if surplus:
            failure = self._delete(job, surplus, counted=False)
            return (active if failure else active - len(surplus)), None, failure
        missing = wanted - active - (found.terminating if jobs.replaces_only_failed(job) else 0)
        if missing <= 0:
            return active, None, None
        by_index = job["spec"].get("backoffLimitPerIndex") is not None
        left = 0.0 if by_index else job_backoff.left(self._backoff.get(objects.uid(job), job_backoff.Record()), now)
        if left > 0:
            return active, left, None
        again: float | None = None
        chosen: list[int | None] = [None] * min(missing, BURST)
        if jobs.is_indexed(job):
            waits = {
                index: job_backoff.index_left(job, mine, index, now) if by_index else 0.0
                for index in jobs.missing_indexes(job, found, mine, min(missing, BURST))
            }
            chosen = [index for index, wait in waits.items() if wait <= 0]
            again = min((wait for wait in waits.values() if wait > 0), default=None)
        uid = objects.uid(job)
        self._expected.expect_creations(uid, len(chosen))
        lost: list[int] = []

        def create(number: int) -> None:
            index = chosen[number]
            failed = jobs.last_failed(job, mine, index) if index is not None else None
            failures = jobs.next_index_failures(job, failed)
            try:
                self._control.create(job["spec"]["template"], job, pod=jobs.pod_for(job, index, failures))
            except Exception:
                lost.append(number)
                raise

        done, failure = pod_control.slow_start(len(chosen), create)
        self.metrics.jobs.created(job, found, done, len(lost))
        self._expected.creation_observed(uid, len(chosen) - done)
        return active + done, again, failure

    def _delete(self, job: Object, unwanted: Sequence[Object], *, counted: bool) -> Exception | None:
        """Pods that the job can do without are let go first, so that they are not counted as failed."""
        if not unwanted:
            return None
        uid = objects.uid(job)
        self._expected.expect_deletions(uid, [objects.uid(pod) for pod in unwanted])

        def release_and_delete(pod: Object) -> bool:
            if not counted and jobs.has_finalizer(pod):
                self._release_one(pod)
            return self._control.delete(pod, job)

        def delete(pod: Object) -> None:
            self._expected.deletion(uid, objects.uid(pod), lambda: release_and_delete(pod))

        failures = pod_control.run_all(delete, unwanted)
        return failures[0] if failures else None

    def _release(self, held: Iterable[Object]) -> None:
        failures = pod_control.run_all(self._release_one, list(held))
        if failures:
            raise failures[0]

    def _release_one(self, pod: Object, version: str = "") -> None:
        metadata: Object = {"uid": objects.uid(pod), "$deleteFromPrimitiveList/finalizers": [jobs.FINALIZER]}
        if version:
            metadata["resourceVersion"] = version
        patch = {"metadata": metadata}
        try:
            self.client.patch(kinds.PODS, objects.name(pod), patch, objects.namespace(pod), kind="strategic")
        except errors.NotFound:
            _log.debug("pod %s is gone", objects.key(pod))

    def _release_orphan(self, key: str) -> None:
        pod = self._pods.get(key)
        if pod is not None and jobs.has_finalizer(pod) and self._owner_of(pod) is None:
            # Just as the cache has it: a job may have adopted it meanwhile, and would never count it without finalizer.
            self._release_one(pod, version=objects.resource_version(pod))


def _put(status: Object, kind: str, value: str, reason: str, message: str, moment: str) -> None:
    new = {
        "type": kind,
        "status": value,
        "lastProbeTime": moment,
        "lastTransitionTime": moment,
        "reason": reason,
        "message": message,
    }
    status["conditions"] = conditions.put(status.get("conditions"), new)


def _selector(job: Object) -> selectors.LabelSelector:
    return selectors.from_label_selector(job["spec"].get("selector"))
