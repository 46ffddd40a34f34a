"""Jobs: counting ended pods, deciding on success and failure, and what to start next. Pure."""

import dataclasses
import datetime
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kubeshim import clock
from kubeshim.control_plane.controller_manager import conditions, pods
from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object

FINALIZER = "batch.kubernetes.io/job-tracking"
INDEX = "batch.kubernetes.io/job-completion-index"
INDEX_FAILURES = "batch.kubernetes.io/job-index-failure-count"
INDEX_IGNORED_FAILURES = "batch.kubernetes.io/job-index-ignored-failure-count"


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """How the job ends: a condition type (``Complete`` or ``Failed``), reason and message."""

    kind: str
    reason: str
    message: str

    @property
    def announced_as(self) -> str:
        """The condition that says so before the last pod has gone."""
        return "SuccessCriteriaMet" if self.kind == "Complete" else "FailureTarget"


@dataclasses.dataclass(slots=True)
class Tally:
    """The job's pods, counted. Uids of ``uncounted_*`` are noted but may still hold their finalizer."""

    active: list[Object]
    terminating: int
    ready: int
    succeeded: int
    failed: int
    uncounted_succeeded: list[str]
    uncounted_failed: list[str]
    completed: set[int]
    failed_indexes: set[int]
    delayed: list[str] = dataclasses.field(default_factory=list)
    """Uids of failed pods that are noted only once their index has another, which must know how often it failed."""
    kept: set[str] = dataclasses.field(default_factory=set)
    """Those, and failed pods that do not count, but are kept for the same reason."""
    fail_job: Verdict | None = None
    """A pod failure policy's word."""

    @property
    def all_succeeded(self) -> int:
        return self.succeeded + len(self.uncounted_succeeded)

    @property
    def all_failed(self) -> int:
        return self.failed + len(self.uncounted_failed) + len(self.delayed)

    def settle(self) -> None:
        """No index gets another pod: nothing is delayed any more."""
        self.uncounted_failed += self.delayed
        self.delayed, self.kept = [], set()


def is_indexed(job: Object) -> bool:
    return str(job["spec"].get("completionMode") or "NonIndexed") == "Indexed"


def is_finished(job: Object) -> bool:
    return any(conditions.is_true(job.get("status") or {}, kind) for kind in ("Complete", "Failed"))


def announced(job: Object) -> Verdict | None:
    """A verdict that was written already but not carried to the end."""
    for kind, condition in (("Failed", "FailureTarget"), ("Complete", "SuccessCriteriaMet")):
        found = objects.condition(job, condition)
        if found is not None and found.get("status") == "True":
            return Verdict(kind, str(found.get("reason") or ""), str(found.get("message") or ""))
    return None


def index_of(pod: Object) -> int | None:
    text = objects.annotations(pod).get(INDEX, "")
    return int(text) if text.isdigit() else None


def is_valid(job: Object, pod: Object) -> bool:
    """Whether the pod counts: one of an indexed job must have one of its indexes."""
    index = index_of(pod)
    return not is_indexed(job) or (index is not None and index < int(job["spec"].get("completions") or 0))


def has_finalizer(pod: Object) -> bool:
    return FINALIZER in (pod["metadata"].get("finalizers") or ())


def replaces_only_failed(job: Object) -> bool:
    return str(job["spec"].get("podReplacementPolicy") or "") == "Failed" or bool(job["spec"].get("podFailurePolicy"))


def has_failed(job: Object, pod: Object) -> bool:
    if pods.phase(pod) == "Failed":
        return True
    if not objects.is_deleting(pod) or pods.phase(pod) == "Succeeded":
        return False
    return not replaces_only_failed(job)


def tally(job: Object, mine: Sequence[Object]) -> Tally:
    """Counts ``mine``, taking over what the status counted before."""
    status = job.get("status") or {}
    uncounted = status.get("uncountedTerminatedPods") or {}
    holding = {objects.uid(pod) for pod in mine if has_finalizer(pod)}
    succeeded, failed = int(status.get("succeeded") or 0), int(status.get("failed") or 0)
    left: dict[str, list[str]] = {"succeeded": [], "failed": []}
    for kind, kept in left.items():
        for uid in uncounted.get(kind) or ():
            if uid in holding:
                kept.append(uid)
            elif kind == "succeeded":
                succeeded += 1
            else:
                failed += 1
    found = Tally(
        active=[pod for pod in mine if pods.is_active(pod)],
        terminating=sum(pods.is_terminating(pod) for pod in mine),
        ready=sum(pods.is_active(pod) and pods.is_ready(pod) for pod in mine),
        succeeded=succeeded,
        failed=failed,
        uncounted_succeeded=left["succeeded"],
        uncounted_failed=left["failed"],
        completed=_still_wanted(job, str(status.get("completedIndexes") or "")),
        failed_indexes=_still_wanted(job, str(status.get("failedIndexes") or "")),
    )
    known = {*found.uncounted_succeeded, *found.uncounted_failed}
    for pod in mine:
        if has_finalizer(pod) and objects.uid(pod) not in known:
            _count(job, pod, found)
    if job["spec"].get("backoffLimitPerIndex") is not None and is_indexed(job):
        _delay(job, mine, known, found)
    return found


def _delay(job: Object, mine: Sequence[Object], known: set[str], found: Tally) -> None:
    """Keeps the last failed pod of each index that waits for another."""
    done = found.completed | found.failed_indexes | {index_of(pod) for pod in found.active}
    for index in {index_of(pod) for pod in mine} - done - {None}:
        last = last_failed(job, mine, index) if index is not None else None
        if last is None or not has_finalizer(last) or objects.uid(last) in known or not is_valid(job, last):
            continue
        found.kept.add(objects.uid(last))
        if objects.uid(last) in found.uncounted_failed:
            found.uncounted_failed.remove(objects.uid(last))
            found.delayed.append(objects.uid(last))


def _still_wanted(job: Object, text: str) -> set[int]:
    """The indexes without those that are beyond a number of completions that was made smaller."""
    most = int(job["spec"].get("completions") or 0)
    return {index for index in parse_indexes(text) if index < most}


def _count(job: Object, pod: Object, found: Tally) -> None:
    if not is_valid(job, pod):
        return
    index = index_of(pod)
    if pods.phase(pod) == "Succeeded":
        if index is not None:
            if index in found.completed:
                return
            found.completed.add(index)
        found.uncounted_succeeded.append(objects.uid(pod))
    elif has_failed(job, pod):
        action, verdict = failure_action(job, pod)
        if action == "Ignore":
            return
        if verdict is not None and found.fail_job is None:
            found.fail_job = verdict
        found.uncounted_failed.append(objects.uid(pod))
        limit = job["spec"].get("backoffLimitPerIndex")
        if index is not None and limit is not None:
            before = objects.annotations(pod).get(INDEX_FAILURES, "0")
            if action == "FailIndex" or int(before or 0) >= int(limit):
                found.failed_indexes.add(index)


def count_unended(job: Object, found: Tally, mine: Sequence[Object]) -> None:
    """A failed job has failed with all its pods: those it stopped before they ended count too."""
    known = {*found.uncounted_succeeded, *found.uncounted_failed}
    for pod in mine:
        held = has_finalizer(pod) and objects.uid(pod) not in known and is_valid(job, pod)
        if held and pods.phase(pod) != "Succeeded" and failure_action(job, pod)[0] != "Ignore":
            found.uncounted_failed.append(objects.uid(pod))


def failure_action(job: Object, pod: Object) -> tuple[str, Verdict | None]:
    """What the pod failure policy says of a failed pod: the action, and the verdict of ``FailJob``."""
    number, action, why = _matching_rule(job, pod)
    if action != "FailJob":
        return action or "Count", None
    return action, Verdict("Failed", "PodFailurePolicy", f"{why} matching {action} rule at index {number}")


def matched_action(job: Object, pod: Object) -> str:
    """What the first rule that matches does; empty where none does."""
    return _matching_rule(job, pod)[1]


def _matching_rule(job: Object, pod: Object) -> tuple[int, str, str]:
    for number, rule in enumerate(objects.dig(job, "spec", "podFailurePolicy", "rules", default=())):
        why = _matches_exit(rule.get("onExitCodes"), pod) or _matches_condition(rule.get("onPodConditions"), pod)
        if why is not None:
            return number, str(rule["action"]), why
    return -1, "", ""


def _matches_exit(wanted: Mapping[str, Any] | None, pod: Object) -> str | None:
    if not wanted:
        return None
    status = pod.get("status") or {}
    for container in [*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())]:
        if wanted.get("containerName") not in (None, container["name"]):
            continue
        code = objects.dig(container, "state", "terminated", "exitCode")
        if code and (code in wanted["values"]) == (wanted["operator"] == "In"):
            return f"Container {container['name']} for pod {objects.key(pod)} failed with exit code {code}"
    return None


def _matches_condition(wanted: Iterable[Mapping[str, Any]] | None, pod: Object) -> str | None:
    for pattern in wanted or ():
        found = objects.condition(pod, str(pattern["type"]))
        if found is not None and found.get("status") == (pattern.get("status") or "True"):
            return f"Pod {objects.key(pod)} has condition {pattern['type']}"
    return None


def verdict(job: Object, found: Tally, mine: Sequence[Object], now: datetime.datetime) -> Verdict | None:
    """Whether, and how, the job is over."""
    if (said := announced(job)) is not None:
        return said
    if found.fail_job is not None:
        return found.fail_job
    spec = job["spec"]
    limit = int(6 if spec.get("backoffLimit") is None else spec["backoffLimit"])
    if found.all_failed > limit or _restarted_too_often(job, mine, limit):
        return Verdict("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
    left = deadline_in(job, now)
    if left is not None and left <= 0:
        return Verdict("Failed", "DeadlineExceeded", "Job was active longer than specified deadline")
    if is_indexed(job):
        most = spec.get("maxFailedIndexes")
        if most is not None and len(found.failed_indexes) > int(most):
            text = "Job has exceeded the specified maximal number of failed indexes"
            return Verdict("Failed", "MaxFailedIndexesExceeded", text)
        completions = int(spec.get("completions") or 0)
        if found.failed_indexes and len(found.completed | found.failed_indexes) >= completions:
            return Verdict("Failed", "FailedIndexes", "Job has failed indexes")
        if (said := _success_policy(job, found)) is not None:
            return said
        return _reached() if len(found.completed) >= completions else None
    if spec.get("completions") is None:
        done = found.all_succeeded > 0 and not found.active
    else:
        done = found.all_succeeded >= int(spec["completions"])
    return _reached() if done else None


def _reached() -> Verdict:
    return Verdict("Complete", "CompletionsReached", "Reached expected number of succeeded pods")


def _success_policy(job: Object, found: Tally) -> Verdict | None:
    for number, rule in enumerate(objects.dig(job, "spec", "successPolicy", "rules", default=())):
        wanted = parse_indexes(str(rule.get("succeededIndexes") or "")) if rule.get("succeededIndexes") else None
        done = found.completed if wanted is None else found.completed & wanted
        needed = rule.get("succeededCount")
        if len(done) >= (int(needed) if needed is not None else len(wanted or ())) and done:
            return Verdict("Complete", "SuccessPolicy", f"Matched rules at index {number}")
    return None


def _restarted_too_often(job: Object, mine: Sequence[Object], limit: int) -> bool:
    if objects.dig(job, "spec", "template", "spec", "restartPolicy") != "OnFailure":
        return False
    total = 0
    for pod in mine:
        if pods.phase(pod) in ("Running", "Pending"):
            status = pod.get("status") or {}
            for one in [*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())]:
                total += int(one.get("restartCount") or 0)
    return total > 0 if limit == 0 else total >= limit


def deadline_in(job: Object, now: datetime.datetime) -> float | None:
    seconds, start = job["spec"].get("activeDeadlineSeconds"), objects.dig(job, "status", "startTime")
    if seconds is None or start is None or job["spec"].get("suspend"):
        return None
    return float(seconds) - (now - clock.parse_rfc3339(start)).total_seconds()


def wanted_active(job: Object, found: Tally) -> int:
    """How many pods should run now."""
    spec = job["spec"]
    parallel = int(1 if spec.get("parallelism") is None else spec["parallelism"])
    if spec.get("completions") is None:
        return len(found.active) if found.all_succeeded else parallel
    done = len(found.completed | found.failed_indexes) if is_indexed(job) else found.all_succeeded
    return max(0, min(parallel, int(spec["completions"]) - done))


def missing_indexes(job: Object, found: Tally, mine: Sequence[Object], count: int) -> list[int]:
    """The lowest indexes that need a pod."""
    busy = {index_of(pod) for pod in mine if pods.is_active(pod)}
    if replaces_only_failed(job):
        busy |= {index_of(pod) for pod in mine if pods.is_terminating(pod)}
    free = (
        index
        for index in range(int(job["spec"].get("completions") or 0))
        if index not in busy and index not in found.completed and index not in found.failed_indexes
    )
    return [index for index, _ in zip(free, range(count), strict=False)]


def surplus(job: Object, active: Sequence[Object], least: int, now: datetime.datetime) -> list[Object]:
    """The pods to stop, ``least`` of them at least: first those of an index that is not wanted, or that others have."""
    if not is_indexed(job):
        return pods.deletion_order(active, (), now)[: max(0, least)]
    most = int(job["spec"].get("completions") or 0)
    of_index: dict[int, list[Object]] = {}
    unwanted = []
    for pod in active:
        index = index_of(pod)
        if index is None or index >= most:
            unwanted.append(pod)
        else:
            of_index.setdefault(index, []).append(pod)
    left = []
    for same in of_index.values():
        *others, best = pods.deletion_order(same, (), now)
        unwanted += others
        left.append(best)
    return [*unwanted, *pods.deletion_order(left, (), now)[: max(0, least - len(unwanted))]]


def last_failed(job: Object, mine: Sequence[Object], index: int) -> Object | None:
    """The pod whose failure the next one of that index replaces."""
    failed = [
        pod
        for pod in mine
        if index_of(pod) == index and (pods.phase(pod) == "Failed" or (has_finalizer(pod) and has_failed(job, pod)))
    ]
    return max(failed, key=lambda pod: (sum(index_failures(pod)), str(pods.ended(pod))), default=None)


def index_failures(pod: Object) -> tuple[int, int]:
    """How often its index failed before it; and how often the failure policy said to ignore that."""
    counted, ignored = (
        int(text) if (text := objects.annotations(pod).get(key, "")).isdigit() else 0
        for key in (INDEX_FAILURES, INDEX_IGNORED_FAILURES)
    )
    return counted, ignored


def next_index_failures(job: Object, failed: Object | None) -> tuple[int, int]:
    """The same of the pod that takes the place of ``failed``."""
    if failed is None:
        return 0, 0
    counted, ignored = index_failures(failed)
    if failure_action(job, failed)[0] == "Ignore":
        return counted, ignored + 1
    return counted + 1, ignored


def pod_for(job: Object, index: int | None, failures: tuple[int, int] = (0, 0)) -> Object:
    """A pod of the job's template, held by the finalizer until it was counted."""
    made = pods.from_template(job["spec"]["template"], job)
    made["metadata"]["finalizers"] = [*(made["metadata"].get("finalizers") or ()), FINALIZER]
    if index is None:
        return made
    made["metadata"]["annotations"][INDEX] = made["metadata"]["labels"][INDEX] = str(index)
    if job["spec"].get("backoffLimitPerIndex") is not None:
        made["metadata"]["annotations"][INDEX_FAILURES] = str(failures[0])
        if failures[1]:
            made["metadata"]["annotations"][INDEX_IGNORED_FAILURES] = str(failures[1])
    made["metadata"]["generateName"] = f"{objects.name(job)}-{index}-"
    made["spec"]["hostname"] = f"{objects.name(job)}-{index}"
    source = {"fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.labels['{INDEX}']"}}
    variable = {"name": "JOB_COMPLETION_INDEX", "valueFrom": source}
    for container in [*(made["spec"].get("initContainers") or ()), *made["spec"]["containers"]]:
        if all(one["name"] != variable["name"] for one in container.get("env") or ()):
            container["env"] = [*(container.get("env") or ()), variable]
    return made


def parse_indexes(text: str) -> set[int]:
    """``0,3-5`` → {0, 3, 4, 5}."""
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        low, _, high = part.partition("-")
        found.update(range(int(low), int(high or low) + 1))
    return found


def format_indexes(indexes: Iterable[int]) -> str:
    """{0, 3, 4, 5} → ``0,3-5``."""
    runs: list[list[int]] = []
    for index in sorted(indexes):
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ",".join(f"{low}" if low == high else f"{low}{',' if high == low + 1 else '-'}{high}" for low, high in runs)
