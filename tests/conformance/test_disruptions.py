"""Disruption budgets and evictions."""

import pytest

from kubeshim import clock
from tests.conformance.kube import IDLE, JSON_PATCH, Refused, condition, container, is_ready, meta, pod
from tests.conformance.names import answers

BUDGET = "PodDisruptionBudget"
CONTROLLER = "[sig-apps] DisruptionController "


def budget(**spec):
    return {"kind": BUDGET, "metadata": meta("foo"), "spec": {"selector": {"matchLabels": {"foo": "bar"}}, **spec}}


def pods(kube, count):
    for i in range(count):
        kube.create(pod(f"rs-{i}", labels={"foo": "bar"}, restart="Always"))
    kube.wait_all("Pod", lambda found: len(found) == count and all(map(is_ready, found)), labelSelector="foo=bar")


def judged(obj):
    """The controller has seen the newest spec and allows something."""
    status = obj["status"]
    return status.get("observedGeneration") == obj["metadata"]["generation"] and status["disruptionsAllowed"] > 0


def evict(kube, name):
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": meta(name, namespace=kube.namespace)}
    return kube.call("post", kube.path("Pod", name, subresource="eviction"), body)


@answers(CONTROLLER + "should create a PodDisruptionBudget")
def test_life_of_a_budget(kube):
    kube.create(budget(minAvailable="1%"))
    kube.wait(BUDGET, "foo", lambda b: b["status"].get("observedGeneration") == b["metadata"]["generation"])
    assert kube.change(BUDGET, "foo", lambda b: b["spec"].update(minAvailable="2%"))["spec"]["minAvailable"] == "2%"
    patched = kube.patch(BUDGET, "foo", {"spec": {"minAvailable": "3%"}})
    assert (patched["spec"]["minAvailable"], patched["metadata"]["generation"]) == ("3%", 3)
    kube.wait(BUDGET, "foo", lambda b: b["status"]["observedGeneration"] == 3)
    kube.delete(BUDGET, "foo")
    kube.gone(BUDGET, "foo")


@answers(CONTROLLER + "should observe PodDisruptionBudget status updated")
def test_status(kube):
    kube.create(budget(minAvailable=1))
    pods(kube, 3)
    found = kube.wait(BUDGET, "foo", lambda b: b["status"].get("disruptionsAllowed") == 2)["status"]
    assert (found["currentHealthy"], found["desiredHealthy"], found["expectedPods"]) == (3, 1, 3)
    assert condition({"status": found}, "DisruptionAllowed")["status"] == "True"


@answers(CONTROLLER + "should update/patch PodDisruptionBudget status")
def test_status_written_by_hand(kube):
    kube.create(budget(minAvailable=1))
    pods(kube, 1)
    kube.wait(BUDGET, "foo", lambda b: b["status"].get("currentHealthy") == 1)
    disrupted = {"rs-0": clock.rfc3339(clock.SystemClock().now())}
    kube.change(BUDGET, "foo", lambda b: b["status"].update(disruptedPods=disrupted), subresource="status")
    # the controller counts it and leaves it there, for the pod is
    kube.wait(BUDGET, "foo", lambda b: b["status"]["currentHealthy"] == 0)
    assert kube.get(BUDGET, "foo", subresource="status")["status"]["disruptedPods"] == disrupted
    patched = kube.patch(BUDGET, "foo", {"status": {"disruptedPods": None}}, subresource="status")
    assert not patched["status"].get("disruptedPods")
    kube.wait(BUDGET, "foo", lambda b: b["status"]["currentHealthy"] == 1)


@answers(CONTROLLER + "should block an eviction until the PDB is updated to allow it")
def test_evictions(kube):
    pods(kube, 3)
    kube.create(budget(minAvailable=3))

    def refused(name):
        with pytest.raises(Refused) as answer:
            evict(kube, name)
        assert answer.value.status == 429
        assert '"reason":"DisruptionBudget"' in str(answer.value.body)

    kube.wait(BUDGET, "foo", lambda b: b["status"].get("currentHealthy") == 3)
    refused("rs-0")
    kube.patch(BUDGET, "foo", [{"op": "replace", "path": "/spec/minAvailable", "value": 2}], how=JSON_PATCH)
    kube.wait(BUDGET, "foo", judged)
    assert evict(kube, "rs-0")["status"] == "Success"
    kube.gone("Pod", "rs-0")
    kube.wait(BUDGET, "foo", lambda b: b["status"]["currentHealthy"] == 2)
    refused("rs-1")
    kube.patch(BUDGET, "foo", {"spec": {"minAvailable": 3}})
    refused("rs-1")
    kube.delete(BUDGET, "foo")
    evict(kube, "rs-1")
    gone = kube.find("Pod", "rs-1")
    assert gone is None or condition(gone, "DisruptionTarget")["reason"] == "EvictionByEvictionAPI"
    assert kube.start(pod("other", container(IDLE)))
