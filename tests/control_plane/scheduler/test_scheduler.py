"""Pods placed, refused, waiting and preempting, against a server in memory."""

import types

import pytest

from kubeshim.client import kinds
from kubeshim.control_plane.scheduler import config, diagnosis, framework, pod_info, scheduler
from kubeshim.machinery import errors, objects
from tests import fake_api


@pytest.fixture
def running(api, client):
    started = scheduler.Scheduler(api.client(), config.Config(client.config))
    started.start()
    assert started._informers.wait_for_sync(60)
    yield started
    started.stop()


def pod(name, cpu="100m", priority=0, labels=None, **spec):
    container = {"name": "c", "image": "web:1", "resources": {"requests": {"cpu": cpu}}}
    metadata = {"name": name, "labels": labels or {}}
    spec = {"containers": [container], "schedulerName": "default-scheduler", "priority": priority, **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": {"phase": "Pending"}}


def place(client, name):
    return client.get(kinds.PODS, name, "x")["spec"].get("nodeName")


def refusal(client, name):
    found = objects.condition(client.get(kinds.PODS, name, "x"), "PodScheduled")
    return found["message"] if found and found["status"] == "False" else None


def told(client):
    """Reasons and messages of the events there are."""
    return {(event["reason"], event["note"]) for event in client.list(kinds.SERIES_EVENTS, "x")["items"]}


def test_a_pod_is_bound_and_told(api, client, running):
    client.create(kinds.NODES, fake_api.node("a"))
    fake_api.eventually(running.cache.nodes)
    client.create(kinds.PODS, pod("p"), "x")
    assert fake_api.eventually(lambda: place(client, "p")) == "a"
    event = fake_api.eventually(lambda: client.list(kinds.SERIES_EVENTS, "x")["items"])[0]
    said = (event["reason"], event["action"], event["note"], event["reportingController"])
    assert said == ("Scheduled", "Binding", "Successfully assigned x/p to a", "default-scheduler")


def test_pods_of_another_scheduler_are_left_alone(api, client, running):
    client.create(kinds.NODES, fake_api.node("a"))
    client.create(kinds.PODS, pod("theirs", schedulerName="theirs"), "x")
    client.create(kinds.PODS, pod("ours"), "x")
    fake_api.eventually(lambda: place(client, "ours"))
    assert not place(client, "theirs")


def test_too_much_waits_and_is_placed_when_room_is_made(api, client, running):
    client.create(kinds.NODES, fake_api.node("a"))
    client.create(kinds.PODS, pod("big", cpu="3"), "x")
    fake_api.eventually(lambda: place(client, "big"))
    client.create(kinds.PODS, pod("late", cpu="2"), "x")
    text = fake_api.eventually(lambda: refusal(client, "late"))
    assert text == (
        "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are "
        "available: 1 No preemption victims found for incoming pod."
    )
    fake_api.eventually(lambda: ("FailedScheduling", text) in told(client))
    client.delete(kinds.PODS, "big", "x")
    fake_api.eventually(lambda: place(client, "late"))


def test_no_nodes_and_then_one(api, client, running):
    client.create(kinds.PODS, pod("p"), "x")
    fake_api.eventually(lambda: refusal(client, "p") == "no nodes available to schedule pods")
    client.create(kinds.NODES, fake_api.node("a"))
    fake_api.eventually(lambda: place(client, "p"))


def test_taints_and_cordons_are_named_and_waited_for(api, client, running):
    taint = {"key": "k", "effect": "NoSchedule"}
    client.create(kinds.NODES, fake_api.node("a", spec={"taints": [taint]}))
    client.create(kinds.NODES, fake_api.node("b", spec={"unschedulable": True}))
    fake_api.eventually(lambda: len(running.cache.nodes()) == 2)
    client.create(kinds.PODS, pod("p"), "x")
    assert fake_api.eventually(lambda: refusal(client, "p")) == (
        "0/2 nodes are available: 1 node(s) had untolerated taint(s), 1 node(s) were unschedulable. no new claims to "
        "deallocate, preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."
    )
    client.create(kinds.PODS, pod("tolerant", tolerations=[{"operator": "Exists"}], nodeSelector={}), "x")
    fake_api.eventually(lambda: place(client, "tolerant"))
    client.patch(kinds.NODES, "b", {"spec": {"unschedulable": None}})
    fake_api.eventually(lambda: place(client, "p") == "b")


def test_a_gated_pod_waits_for_its_gates(api, client, running):
    client.create(kinds.NODES, fake_api.node("a"))
    client.create(kinds.PODS, pod("p", schedulingGates=[{"name": "g"}]), "x")
    fake_api.eventually(lambda: running.queue.counts()["gated"] == 1)
    client.patch(kinds.PODS, "p", {"spec": {"schedulingGates": None}}, "x")
    fake_api.eventually(lambda: place(client, "p"))


def test_the_more_important_pod_takes_the_room_of_the_lesser(api, client, running):
    client.create(kinds.NODES, fake_api.node("a"))
    client.create(kinds.PODS, pod("small", cpu="2", priority=1), "x")
    client.create(kinds.PODS, pod("lesser", cpu="2", priority=2), "x")
    fake_api.eventually(lambda: place(client, "small") and place(client, "lesser"))
    client.create(kinds.PODS, pod("greater", cpu="2", priority=10), "x")
    assert fake_api.eventually(lambda: place(client, "greater")) == "a"
    assert {p["metadata"]["name"] for p in client.list(kinds.PODS, "x")["items"]} == {"lesser", "greater"}


def test_many_pods_fill_nodes_evenly_and_never_too_full(api, client, running):
    for name in "abc":
        client.create(kinds.NODES, fake_api.node(name))
    fake_api.eventually(lambda: len(running.cache.nodes()) == 3)
    for number in range(13):
        client.create(kinds.PODS, pod(f"p{number}", cpu="1"), "x")
    fake_api.eventually(lambda: sum(bool(place(client, f"p{n}")) for n in range(13)) == 12)
    placed = [place(client, f"p{number}") for number in range(13)]
    assert sorted(placed.count(name) for name in "abc") == [4, 4, 4]


def attempted(api, client, monkeypatch):
    """A scheduler that runs nothing by itself, a pod taken from its queue, its cache, and what others shall do."""
    this = scheduler.Scheduler(api.client(), config.Config(client.config))
    made = client.create(kinds.PODS, pod("p"), "x")
    held, tasks = {"x/p": made}, []
    binders = types.SimpleNamespace(submit=lambda *task: tasks.append(task), shutdown=lambda **_: None)
    monkeypatch.setattr(this, "_binders", binders)
    monkeypatch.setattr(this, "_pods", held)
    this.queue.add(pod_info.of(made))
    return this, this.queue.pop(), held, tasks


def test_a_pod_waits_for_what_is_said_of_its_last_attempt(api, client, monkeypatch):
    """A binding that overtook it would leave a pod that runs and is told to be unschedulable."""
    this, info, _, tasks = attempted(api, client, monkeypatch)
    this._reject(info, scheduler.Decision(why=diagnosis.FitError(0)))
    this.queue.tell(framework.Event("Node/Add", None, fake_api.node("a")))
    assert (this.queue.counts()["backoff"], this.queue.counts()["unschedulable"]) == (0, 0)
    for function, *arguments in tasks:
        function(*arguments)
    assert refusal(client, "p") == "no nodes available to schedule pods"
    assert this.queue.counts()["backoff"] == 1  # the node that came meanwhile is not forgotten


def test_nothing_is_said_of_a_later_pod_of_that_name_nor_of_one_that_is_bound(api, client, monkeypatch):
    this, info, held, tasks = attempted(api, client, monkeypatch)
    this._reject(info, scheduler.Decision(why=diagnosis.FitError(0)))
    metadata, spec = held["x/p"]["metadata"], held["x/p"]["spec"]
    for other in (
        {**held["x/p"], "metadata": {**metadata, "uid": "later"}},
        {**held["x/p"], "spec": {**spec, "nodeName": "a"}},
    ):
        held["x/p"] = other
        for function, *arguments in tasks:
            function(*arguments)
        assert refusal(client, "p") is None
        assert sum(this.queue.counts().values()) == 0


def test_a_pod_that_is_deleted_while_it_goes_back_to_the_queue_does_not_stay_there(api, client, monkeypatch):
    this, info, held, _ = attempted(api, client, monkeypatch)
    put = this.queue.failed

    def deleted_first(latest):
        held.clear()
        this.queue.delete(info.uid)
        put(latest)

    this._back(info, deleted_first)
    assert sum(this.queue.counts().values()) == 0


def test_a_pod_whose_claim_is_gone_when_it_is_bound_is_tried_again(api, client, monkeypatch):
    """Not found is the claim, not the pod."""
    this, info, _, _ = attempted(api, client, monkeypatch)

    def pre_bind(state, pod, node):
        raise errors.not_found("", "persistentvolumeclaims", "c")

    monkeypatch.setattr(this._framework, "takes_time", lambda *_: False)
    monkeypatch.setattr(this._framework._at["pre_bind"][0], "pre_bind", pre_bind)
    with this.cache.lock:
        this.cache.assume(info, "a")
    this._bind(info, scheduler.Decision("a"))
    assert this.queue.counts()["backoff"] == 1
    assert 'persistentvolumeclaims "c" not found' in refusal(client, "p")
