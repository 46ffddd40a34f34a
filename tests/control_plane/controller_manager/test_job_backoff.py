"""How long a job waits before it replaces a pod that failed."""

import datetime

import pytest

from kubeshim.control_plane.controller_manager import job_backoff, jobs

NOW = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
JOB = {"metadata": {"name": "j"}, "spec": {"completions": 3, "parallelism": 2, "template": {}}}


def ago(seconds):
    return (NOW - datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def pod(name, phase="Running", ended=None, deleted=None, held=True, **more):
    metadata = {"name": name, "uid": name, "creationTimestamp": ago(1000), **more}
    metadata |= {"finalizers": [jobs.FINALIZER]} if held else {}
    if deleted is not None:
        metadata |= {"deletionTimestamp": ago(deleted - 30), "deletionGracePeriodSeconds": 30}
    state = {"terminated": {"finishedAt": ago(ended)}} if ended is not None else {"running": {}}
    status = {"phase": phase, "containerStatuses": [{"name": "c", "state": state}]}
    return {"metadata": metadata, "spec": {}, "status": status}


def failed(name, seconds, **more):
    return pod(name, "Failed", seconds, **more)


def done(name, seconds):
    return pod(name, "Succeeded", seconds)


@pytest.mark.parametrize(
    ("mine", "failures", "left"),
    [
        ([pod("a")], 0, 0),
        ([failed("a", 3)], 1, 7),
        ([failed("a", 30)], 1, 0),
        ([failed("a", 3), failed("b", 5)], 2, 17),
        ([failed(str(number), 0) for number in range(9)], 9, 600),
        ([pod("a", deleted=4)], 1, 6),
        ([done("s", 4), failed("a", 3), failed("b", 5)], 1, 7),
        ([done("s", 1), failed("a", 3)], 0, 0),
        ([failed("a", 3, held=False)], 1, 7),  # seen for the first time
        ([pod("a", deleted=4, held=False)], 0, 0),  # let go by the job itself
    ],
)
def test_a_first_look(mine, failures, left):
    found = job_backoff.following(None, JOB, mine)
    assert (found.failures, job_backoff.left(found, NOW)) == (failures, left)


def test_a_deleted_pod_is_no_failure_where_only_ended_ones_are_replaced():
    one = {**JOB, "spec": {**JOB["spec"], "podReplacementPolicy": "Failed"}}
    assert job_backoff.following(None, one, [pod("a", deleted=4)]).failures == 0


def test_what_is_remembered_of_pods_that_are_gone():
    first = job_backoff.following(None, JOB, [failed("a", 3)])
    again = job_backoff.following(first, JOB, [failed("a", 3)])
    assert again == first
    gone = job_backoff.following(again, JOB, [pod("b", deleted=1)])
    assert (gone.failures, job_backoff.left(gone, NOW), gone.known) == (2, 19, {"b"})
    released = job_backoff.following(gone, JOB, [pod("b", deleted=1, held=False), pod("c", deleted=1, held=False)])
    assert released == gone
    assert job_backoff.following(gone, JOB, [done("d", 0)]).failures == 0


def test_pods_outside_the_indexes_do_not_count():
    one = {**JOB, "spec": {**JOB["spec"], "completionMode": "Indexed"}}
    mine = [failed(str(index), 3, annotations={jobs.INDEX: str(index)}) for index in (0, 3)] + [failed("x", 3)]
    assert job_backoff.following(None, one, mine).failures == 1
    assert jobs.tally(one, mine).uncounted_failed == ["0"]
