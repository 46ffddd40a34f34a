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


def minute(job):
    """Of the job's name."""
    return int(job["name"].rpartition("-")[2])


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
    kube.only = active(kube.wait("CronJob", "forbid", active))[0]
    kube.first = active(kube.wait("CronJob", "replace", active))[0]
    kube.wait("CronJob", "allow", lambda c: len(active(c)) > 1 and max(map(minute, active(c))) > minute(kube.only))
    kube.wait("CronJob", "replace", lambda c: active(c) and active(c)[0]["uid"] != kube.first["uid"])
    yield kube
    everywhere.delete("Namespace", name)


def unfinished(kube, name):
    """The running jobs of a cron job."""
    uid = kube.get("CronJob", name)["metadata"]["uid"]
    return [job for job in kube.items("Job") if owner(job) == uid and job["status"].get("active")]


def alone(kube):
    """Whether a cron job tells of one job and just that one runs; between two minutes it may be otherwise."""

    def good(cron):
        if len(active(cron)) != 1:
            return False
        [reference] = active(cron)
        kube.wait("Job", reference["name"], lambda job: job is None or job["status"].get("active"))
        return [job["metadata"]["uid"] for job in unfinished(kube, cron["metadata"]["name"])] == [reference["uid"]]

    return good


@answers("[sig-apps] CronJob should schedule multiple jobs concurrently")
def test_allow(later):
    later.wait_all("Job", lambda _: len(unfinished(later, "allow")) > 1)  # they are there before their pods are


@answers("[sig-apps] CronJob should not schedule jobs when suspended [Slow]")
def test_suspended(later):
    assert unfinished(later, "suspended") == active(later.get("CronJob", "suspended")) == []


@answers("[sig-apps] CronJob should not schedule new jobs when ForbidConcurrent [Slow]")
def test_forbid(later):
    # another was of a later minute, and has it still
    later.wait("CronJob", "forbid", alone(later))
    assert [reference["uid"] for reference in active(later.get("CronJob", "forbid"))] == [later.only["uid"]]


@answers("[sig-apps] CronJob should replace jobs when ReplaceConcurrent")
def test_replace(later):
    later.gone("Job", later.first["name"])
    later.wait("CronJob", "replace", alone(later))
