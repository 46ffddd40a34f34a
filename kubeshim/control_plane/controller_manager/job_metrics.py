"""What is counted of jobs and their pods, under upstream's names."""

from collections.abc import Iterator

from kubeshim.control_plane.component_metrics import doubling
from kubeshim.control_plane.controller_manager import conditions, jobs, pods
from kubeshim.machinery.objects import Object
from kubeshim.wire import exposition

_SYNC = ("completion_mode", "result", "action")


class Jobs:
    def __init__(self) -> None:
        def counter(name: str, about: str, *labels: str) -> exposition.Counter:
            return exposition.Counter(f"job_controller_{name}", about, labels)

        self._syncs = counter("job_syncs_total", "Times a job was looked at.", *_SYNC)
        self._seconds = exposition.Histogram(
            "job_controller_job_sync_duration_seconds", "Seconds that looking at a job took.", doubling(0.004, 15),
            _SYNC,
        )  # fmt: skip
        self._finished = counter("jobs_finished_total", "Jobs that have ended.", "completion_mode", "result", "reason")
        self._pods_finished = counter(
            "job_pods_finished_total", "Ended pods that are counted in their job.", "completion_mode", "result"
        )
        self._indexes = counter("job_finished_indexes_total", "Indexes that have ended.", "status", "backoffLimit")
        self._created = counter("job_pods_creation_total", "Pods made, by what for.", "reason", "status")
        self._handled = counter(
            "pod_failures_handled_by_failure_policy_total",
            "Failed pods that a rule matched, by what it does.",
            "action",
        )
        self._held = counter(
            "terminated_pods_tracking_finalizer_total", "Ended pods with the finalizer, that came or went.", "event"
        )
        self._external = counter(
            "jobs_by_external_controller_total", "Jobs that another controller looks after.", "controller_name"
        )

    def looked_at(self, job: Object, ok: bool, action: str, seconds: float) -> None:
        labels = _mode(job), "success" if ok else "error", action
        self._syncs.add(*labels)
        self._seconds.observe(seconds, *labels)

    def written(self, job: Object, before: Object) -> None:
        """What has come to an end with a status that was written."""
        status, mode = job.get("status") or {}, _mode(job)
        for result in ("succeeded", "failed"):
            more = int(status.get(result) or 0) - int(before.get(result) or 0)
            if more > 0:
                self._pods_finished.add(mode, result, amount=more)
        if jobs.is_indexed(job):
            limit = "global" if job["spec"].get("backoffLimitPerIndex") is None else "perIndex"
            for result, field in (("succeeded", "completedIndexes"), ("failed", "failedIndexes")):
                more = len(jobs.parse_indexes(status.get(field) or "")) - len(
                    jobs.parse_indexes(before.get(field) or "")
                )
                if more > 0:
                    self._indexes.add(result, limit, amount=more)
        for kind, result in (("Complete", "succeeded"), ("Failed", "failed")):
            if conditions.is_true(status, kind) and not conditions.is_true(before, kind):
                reason = next(one.get("reason") or "" for one in status["conditions"] if one["type"] == kind)
                self._finished.add(mode, result, reason)

    def created(self, job: Object, found: jobs.Tally, done: int, failed: int) -> None:
        reason = "new"
        if found.all_failed and jobs.replaces_only_failed(job):
            reason = "recreate_failed"
        elif found.all_failed or found.terminating:
            reason = "recreate_terminating_or_failed"
        for status, amount in (("succeeded", done), ("failed", failed)):
            if amount:
                self._created.add(reason, status, amount=amount)

    def released(self, job: Object, pod: Object) -> None:
        """A pod is done with."""
        action = jobs.matched_action(job, pod) if jobs.has_failed(job, pod) else ""
        if action:
            self._handled.add(action)

    def seen(self, old: Object | None, new: Object | None) -> None:
        """A pod came, changed or went."""
        before, now = _is_held(old), _is_held(new)
        if before != now:
            self._held.add("add" if now else "delete")

    def left_to(self, controller: str) -> None:
        self._external.add(controller)

    def lines(self) -> Iterator[str]:
        for one in (
            self._syncs, self._seconds, self._finished, self._pods_finished, self._indexes, self._created,
            self._handled, self._held, self._external,
        ):  # fmt: skip
            yield from one.lines()


def _mode(job: Object) -> str:
    return str(job["spec"].get("completionMode") or "NonIndexed")


def _is_held(pod: Object | None) -> bool:
    return pod is not None and jobs.has_finalizer(pod) and pods.phase(pod) in ("Succeeded", "Failed")
