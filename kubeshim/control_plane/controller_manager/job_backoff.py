"""How long a job waits before it makes a pod in the place of one that failed. Pure.

Ten seconds after the first failure, then twice as long with each that follows, at most ten minutes; a success begins
anew. A failed pod may be gone before its replacement is due, so what was seen is remembered, in a ``Record`` for
each job.
"""

import dataclasses
import datetime
from collections.abc import Sequence

from kubeshim.control_plane.controller_manager import jobs, pods
from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object

FIRST_DELAY, LAST_DELAY = 10.0, 600.0


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """Failures since the last success, when the last of them was, and whose ends were counted."""

    failures: int = 0
    last: datetime.datetime | None = None
    known: frozenset[str] = frozenset()


def following(record: Record | None, job: Object, mine: Sequence[Object]) -> Record:
    """The record with what ended since. Without one (a first look) all pods that ended are new."""
    known = record.known if record is not None else frozenset()
    new = [
        pod
        for pod in mine
        if objects.uid(pod) not in known and jobs.is_valid(job, pod) and _counts(pod, first=record is None)
    ]
    succeeded = [pods.ended(pod) for pod in new if pods.phase(pod) == "Succeeded"]
    failed = [pod for pod in new if jobs.has_failed(job, pod)]
    record = record or Record()
    there = {objects.uid(pod) for pod in mine}
    known = (known & there) | {objects.uid(pod) for pod in new if pods.phase(pod) == "Succeeded" or pod in failed}
    failures, last = record.failures, record.last
    if succeeded:
        failures, last = 0, None
    for pod in failed:
        moment = pods.ended(pod)
        if succeeded and moment <= max(succeeded):
            continue
        failures, last = failures + 1, moment if last is None else max(last, moment)
    return Record(failures, last, known)


def _counts(pod: Object, *, first: bool) -> bool:
    return jobs.has_finalizer(pod) or (first and pods.phase(pod) in ("Succeeded", "Failed"))


def left(record: Record, now: datetime.datetime) -> float:
    """Seconds before a failed pod may be replaced."""
    return _left(record.failures, record.last, now) if record.last is not None else 0.0


def index_left(job: Object, mine: Sequence[Object], index: int, now: datetime.datetime) -> float:
    """Seconds before a pod of the index may be made, where each index has a limit of its own."""
    failed = jobs.last_failed(job, mine, index)
    return 0.0 if failed is None else _left(sum(jobs.index_failures(failed)) + 1, pods.ended(failed), now)


def _left(failures: int, last: datetime.datetime, now: datetime.datetime) -> float:
    delay = min(FIRST_DELAY * 2.0 ** min(failures - 1, 10), LAST_DELAY)
    return max(0.0, delay - (now - last).total_seconds())
