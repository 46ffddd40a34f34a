"""What a CronJob's status says of its jobs, while the caches are behind."""

import pytest

from kubeshim.client import informer, kinds, recorder
from kubeshim.control_plane.controller_manager import config, controller
from kubeshim.control_plane.controller_manager.controllers import cronjob

CRON_JOB = {
    "apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "it"},
    "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {}}},
}  # fmt: skip


@pytest.fixture
def controlled(client):
    """A controller whose caches hold nothing."""
    events = recorder.Recorder(client, "cronjob-controller")
    factory = informer.Factory(client)
    yield cronjob.CronJobController(controller.Context(client, factory, config.Options(), lambda _: events))
    events.stop()


def active(client, job):
    made = client.create(kinds.CRON_JOBS, CRON_JOB, "ns")
    reference = {"kind": "Job", "namespace": "ns", "name": "it-1", "uid": job["metadata"]["uid"]}
    return client.update(kinds.CRON_JOBS, {**made, "status": {"active": [reference]}}, subresource="status")


def job(client):
    return client.create(kinds.JOBS, {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "it-1"}}, "ns")


def test_a_job_that_only_the_cache_does_not_know_is_active(client, controlled):
    known = active(client, job(client))
    assert controlled._settle(known, [])["status"] == known["status"]


@pytest.mark.parametrize("again", [False, True])
def test_a_job_that_is_gone_is_not(client, controlled, again):
    known = active(client, job(client))
    client.delete(kinds.JOBS, "it-1", "ns")
    if again:  # another of the same name
        job(client)
    assert "active" not in controlled._settle(known, [])["status"]


@pytest.mark.parametrize("policy", ["Replace", "Forbid"])
def test_what_becomes_of_one_that_runs_when_the_next_is_due(client, controlled, policy):
    known = active(client, job(client))
    known["spec"]["concurrencyPolicy"] = policy
    now = controlled.clock.now()
    controlled._start(known, now, now)
    [found] = client.list(kinds.JOBS, "ns")["items"]
    assert (found["metadata"]["name"] == "it-1") == (policy == "Forbid")
