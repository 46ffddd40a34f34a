"""Cron jobs: when they make jobs, and what they do while an older one still runs."""

import os

import pytest

from tests.conformance.kube import IDLE, container, meta, owner
from tests.conformance.names import answers


def cron_job(name, policy, **spec):
    """Its jobs never end by themselves."""
    pods = {"restartPolicy": "OnFailure", "terminationGracePeriodSeconds": 0, "containers": [container(IDLE)]}
    return {
        "kind": "CronJob",
        "metadata": meta(name),
        "spec": {
            "schedule": "@every 2s",
            "concurrencyPolicy": policy,
            "jobTemplate": {"spec": {"template": {"spec": pods}}},
            **spec,
        },
    }


def active(obj):
    return (obj or {}).get("status", {}).get("active") or []


@pytest.fixture(scope="module")
def later(everywhere):
    """A namespace in which cron jobs of all policies have had at least two times to run.

    A job is named after its minute, so the two are in two minutes, whatever the schedule.
    """
    name = f"cron-jobs-{os.getpid()}"
    everywhere.create({"kind": "Namespace", "metadata": meta(name)})
    for kind, needed in (("ServiceAccount", "default"), ("v1 ConfigMap", "kube-root-ca.crt")):
        everywhere.wait(kind, needed, bool, namespace=name)
    kube = everywhere.within(name)
    for policy in ("Forbid", "Replace", "Allow"):
        kube.create(cron_job(policy.lower(), policy))
    kube.create(cron_job("suspended", "Allow", suspend=True))
    kube.wait("CronJob", "forbid", active)
    kube.first = active(kube.wait("CronJob", "replace", active))[0]
    kube.wait("CronJob", "allow", lambda c: len(active(c)) > 1, seconds=90)
    kube.wait("CronJob", "replace", lambda c: active(c) and active(c)[0]["uid"] != kube.first["uid"])
    yield kube
    everywhere.delete("Namespace", name)


def unfinished(kube, name):
    """The running jobs of a cron job."""
    uid = kube.get("CronJob", name)["metadata"]["uid"]
    return [job for job in kube.items("Job") if owner(job) == uid and job["status"].get("active")]


@answers("[sig-apps] CronJob should schedule multiple jobs concurrently")
def test_allow(later):
    assert len(unfinished(later, "allow")) > 1


@answers("[sig-apps] CronJob should not schedule jobs when suspended [Slow]")
def test_suspended(later):
    assert unfinished(later, "suspended") == active(later.get("CronJob", "suspended")) == []


@answers("[sig-apps] CronJob should not schedule new jobs when ForbidConcurrent [Slow]")
def test_forbid(later):
    [job] = unfinished(later, "forbid")
    assert [reference["uid"] for reference in active(later.get("CronJob", "forbid"))] == [job["metadata"]["uid"]]
    newest = max(job["metadata"]["creationTimestamp"] for job in unfinished(later, "allow"))
    assert job["metadata"]["creationTimestamp"] < newest


@answers("[sig-apps] CronJob should replace jobs when ReplaceConcurrent")
def test_replace(later):
    later.gone("Job", later.first["name"])
    later.wait_all("Job", lambda _: unfinished(later, "replace"))  # it is there before its pod is
    [job] = unfinished(later, "replace")
    assert [reference["uid"] for reference in active(later.get("CronJob", "replace"))] == [job["metadata"]["uid"]]
