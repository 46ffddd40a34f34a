"""Nodes that are kept for a pod: who counts, and what ends it."""

import pytest

from kubeshim.client import kinds
from kubeshim.control_plane.scheduler import config, framework, nominations, pod_info, scheduler
from kubeshim.machinery import objects
from tests import fake_api


@pytest.fixture
def running(api, client):
    started = scheduler.Scheduler(api.client(), config.Config(client.config))
    started.start()
    assert started._informers.wait_for_sync(60)
    client.create(kinds.NODES, fake_api.node("a"))
    fake_api.eventually(started.cache.nodes)
    yield started
    started.stop()


def pod(name, cpu="1", priority=0, nominated="", **metadata):
    container = {"name": "c", "image": "web:1", "resources": {"requests": {"cpu": cpu}}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "x", "uid": name, **metadata},
        "spec": {"containers": [container], "schedulerName": "default-scheduler", "priority": priority},
        "status": {"phase": "Pending", **({"nominatedNodeName": nominated} if nominated else {})},
    }


def told(client, name):
    found = client.get(kinds.PODS, name, "x")
    why = objects.condition(found, "PodScheduled") or {}
    return why.get("message"), found["status"].get("nominatedNodeName")


@pytest.mark.parametrize(
    ("decided", "before", "after", "kept"),
    [
        ("", "", "", ""),
        ("", "", "n", "n"),
        ("m", "", "", "m"),  # what was decided here is not known there yet
        ("m", "m", "", ""),
        ("m", "m", "n", "n"),
        ("m", "", "n", "n"),
    ],
)
def test_what_the_api_tells_of_a_nomination(decided, before, after, kept):
    found = nominations.Nominations()
    found.put(pod_info.of(pod("p")), decided)
    found.told(before, pod_info.of(pod("p", nominated=after)))
    assert found.node_of("p") == kept
    assert [one.uid for one in found.on(kept)] == (["p"] if kept else [])


def test_the_patch_says_the_nomination_only_where_it_changes():
    def patch(nominated, before=""):
        made = scheduler.failure_patch(pod("p", nominated=before), "Unschedulable", "why", nominated, "t")
        return made["status"].get("nominatedNodeName", "as it is")

    found = [patch("n"), patch("n", "n"), patch(None, "n"), patch("", "n"), patch("")]
    assert found == ["n", "as it is", "as it is", None, "as it is"]


def test_a_nomination_ends_when_nobody_can_be_preempted_any_more(client, running):
    client.create(kinds.PODS, pod("big", cpu="9", nominated="a"), "x")
    no_room = (
        "no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
    )
    fake_api.eventually(
        lambda: told(client, "big") == (f"0/1 nodes are available: 1 Insufficient cpu. {no_room}", None)
    )
    assert not running.cache.nominations.node_of(client.get(kinds.PODS, "big", "x")["metadata"]["uid"])


def test_a_nominated_pod_counts_for_others_of_its_importance(client, running):
    gated = pod("expected", cpu="3", priority=5, nominated="a")
    gated["spec"]["schedulingGates"] = [{"name": "g"}]
    client.create(kinds.PODS, gated, "x")
    fake_api.eventually(lambda: list(running.cache.nominations.on("a")))
    client.create(kinds.PODS, pod("less", cpu="2", priority=4), "x")
    client.create(kinds.PODS, pod("more", cpu="2", priority=6), "x")
    assert fake_api.eventually(lambda: client.get(kinds.PODS, "more", "x")["spec"].get("nodeName")) == "a"
    assert "1 Insufficient cpu" in fake_api.eventually(lambda: told(client, "less")[0])


def test_why_preemption_does_not_help_is_what_the_filters_say(client, running):
    """The less important pod goes in thought, and what is left is still too much."""
    for name, cpu, priority in (("small", "1", 1), ("important", "3", 9)):
        client.create(kinds.PODS, pod(name, cpu=cpu, priority=priority), "x")
        fake_api.eventually(lambda name=name: client.get(kinds.PODS, name, "x")["spec"].get("nodeName"))
    client.create(kinds.PODS, pod("late", cpu="2", priority=5), "x")
    assert fake_api.eventually(lambda: told(client, "late")[0]) == (
        "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are "
        "available: 1 Insufficient cpu."
    )


def test_a_pod_that_changed_while_it_was_tried_is_tried_as_it_is_now(client, running):
    client.create(kinds.PODS, pod("late", cpu="9"), "x")
    before = fake_api.eventually(lambda: running._pods.get("x/late"))
    fake_api.eventually(lambda: told(client, "late")[0])
    client.patch(kinds.PODS, "late", {"metadata": {"labels": {"new": "label"}}}, "x")
    fake_api.eventually(lambda: objects.labels(running._pods.get("x/late")) == {"new": "label"})
    tried = pod_info.of(before)
    tried.attempts, tried.since = 3, 7.0
    back = []
    running._back(tried, back.append)
    running._back(pod_info.of({**before, "metadata": {**before["metadata"], "uid": "other"}}), back.append)
    assert [(one.labels, one.attempts, one.since) for one in back] == [({"new": "label"}, 3, 7.0)]


class First(framework.Plugin):
    name = "First"
    said: tuple = (None, None)

    def __init__(self):
        pass

    def post_filter(self, state, pod, statuses, nodes):
        return self.said


class Second(First):
    name = "Second"


@pytest.mark.parametrize(
    ("first", "second", "found"),
    [
        ((None, framework.unschedulable("a")), ("n", None), ("n", "")),
        ((None, framework.unschedulable("a")), ("", framework.unschedulable("b")), ("", "a, b")),
        ((None, framework.unschedulable("a")), (None, framework.unschedulable("b")), (None, "a, b")),
        ((None, framework.error("a")), ("n", None), (None, "a")),
    ],
)
def test_who_is_asked_for_room(first, second, found):
    plugins = First(), Second()
    for plugin, said in zip(plugins, (first, second), strict=True):
        plugin.said = said
    assert framework.Framework(plugins).post_filter({}, pod_info.of(pod("p")), {}, []) == found
