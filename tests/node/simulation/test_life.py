"""Lives of simulated pods, step by step: each step is taken from nothing but the status that the last one left."""

import datetime

import pytest

from kubeshim import clock
from kubeshim.node.simulation import life, rules, server

NOW = 1_800_000_000.0
JOB = [{"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "j", "controller": True}]


def pod(*containers, annotations=None, owners=(), **spec):
    return {
        "metadata": {
            "name": "p", "namespace": "x", "uid": "0123-4567", "generation": 1,
            "annotations": {rules.PREFIX + key: value for key, value in (annotations or {}).items()},
            "ownerReferences": list(owners),
        },
        "spec": {
            "containers": list(containers) or [{"name": "c", "image": "i"}],
            "restartPolicy": "Always",
            "nodeName": "n",
            **spec,
        },
    }  # fmt: skip


class Life:
    """A pod and the clock."""

    def __init__(self, made):
        self.pod, self.now, self.last = made, NOW, None

    def step(self, seconds=0.0):
        self.now += seconds
        self.last = life.advance(self.pod, rules.of(self.pod), self.now, "172.30.0.1", "10.244.128.2")
        self.pod = {**self.pod, "status": self.last.status}
        return self.last.status

    def delete(self, grace=30):
        moment = datetime.datetime.fromtimestamp(self.now + grace, datetime.UTC)
        deleting = {"deletionTimestamp": clock.rfc3339(moment), "deletionGracePeriodSeconds": grace}
        self.pod = {**self.pod, "metadata": {**self.pod["metadata"], **deleting}}


def state(status, index=0, field="containerStatuses"):
    ((kind, said),) = status[field][index]["state"].items()
    return kind, said.get("reason"), said.get("exitCode")


def ready(status):
    return {entry["type"]: entry["status"] for entry in status["conditions"]}["Ready"]


def test_a_pod_runs_and_stays():
    one = Life(pod())
    status = one.step()
    assert (status["phase"], ready(status), status["podIP"], status["hostIP"]) == (
        "Running", "True", "10.244.128.2", "172.30.0.1",
    )  # fmt: skip
    assert one.last.again is None
    assert one.step(1000) == status


def test_a_host_networks_pod_has_the_hosts_address():
    assert Life(pod(hostNetwork=True)).step()["podIP"] == "172.30.0.1"


def test_a_jobs_pod_completes():
    one = Life(pod(owners=JOB, restartPolicy="Never", initContainers=[{"name": "i", "image": "i"}]))
    status = one.step()
    assert (status["phase"], state(status, field="initContainerStatuses")) == (
        "Running",
        ("terminated", "Completed", 0),
    )
    assert one.last.again == pytest.approx(1.0)
    status = one.step(1)
    assert (status["phase"], state(status)) == ("Succeeded", ("terminated", "Completed", 0))
    assert one.step(50) == status


def test_a_pod_that_fails():
    one = Life(pod(annotations={"exit-after": "5s", "exit-code": "3"}, restartPolicy="Never"))
    one.step()
    status = one.step(5)
    assert (status["phase"], state(status)) == ("Failed", ("terminated", "Error", 3))


def test_a_pod_that_takes_its_time():
    one = Life(pod(annotations={"start-after": "3s"}))
    status = one.step()
    assert (status["phase"], state(status)) == ("Pending", ("waiting", "ContainerCreating", None))
    assert one.last.again == pytest.approx(3.0)
    assert one.step(3)["phase"] == "Running"


def test_restarts_back_off_and_are_counted():
    one = Life(pod(annotations={"exit-after": "1s", "exit-code": "1"}))
    one.step()
    status = one.step(1)
    assert (state(status)[0], status["containerStatuses"][0]["restartCount"]) == ("running", 1)
    status = one.step(1)
    assert state(status)[:2] == ("waiting", "CrashLoopBackOff")
    assert one.last.again == pytest.approx(10.0)
    assert status["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 1
    status = one.step(10)
    assert (state(status)[0], status["containerStatuses"][0]["restartCount"]) == ("running", 2)
    assert status["phase"] == "Running"


def test_sidecars_stop_when_the_rest_is_done():
    sidecar = {"name": "s", "image": "i", "restartPolicy": "Always"}
    one = Life(pod(owners=JOB, restartPolicy="Never", initContainers=[sidecar]))
    assert state(one.step(), field="initContainerStatuses")[0] == "running"
    status = one.step(1)
    assert status["phase"] == "Succeeded"
    assert state(status, field="initContainerStatuses")[0] == "terminated"


@pytest.mark.parametrize(
    ("grace", "takes", "waits"), [(30, "", None), (30, "3s", 3.0), (2, "3s", 2.0), (0, "3s", None)]
)
def test_deletion_respects_grace(grace, takes, waits):
    one = Life(pod(annotations={"stop-after": takes} if takes else None))
    one.step()
    one.delete(grace)
    if waits:
        assert state(one.step())[0] == "running" and not one.last.remove
        assert one.last.again == pytest.approx(waits)
        one.now += waits
    status = one.step()
    assert one.last.remove
    assert state(status) == ("terminated", "Error", 143)


def test_a_finished_pod_that_is_deleted_only_goes():
    one = Life(pod(owners=JOB, restartPolicy="Never"))
    one.step()
    done = one.step(1)
    one.delete()
    assert one.step() == done and one.last.remove


@pytest.mark.parametrize(
    ("text", "found"), [("5s", 5.0), ("1m30s", 90.0), ("250ms", 0.25), ("soon", None), ("5", None), ("", None)]
)
def test_durations(text, found):
    assert rules.seconds(text, None) == found


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/containerLogs/x/p/c?follow=true", "pod x/p is simulated and its containers have no logs"),
        ("/exec/x/p/c?command=ls", "pod x/p is simulated and its containers run no commands"),
        ("/portForward/x/p", "pod x/p is simulated and its containers have no ports"),
        ("/metrics/resource", "this node is simulated and its kubelet does not serve /metrics"),
    ],
)
def test_what_is_refused(path, said):
    assert server.refusal(path) == said
