"""What the garbage collector finds out about owners it has not seen yet, and what it does while its graph is behind."""

import threading
import types

import pytest

from kubeshim import clock
from kubeshim.client import discovery, informer, kinds, workqueue
from kubeshim.control_plane.controller_manager import ownership
from kubeshim.control_plane.controller_manager.controllers import garbage_collector
from kubeshim.machinery import errors, objects
from tests import fake_api


@pytest.fixture
def collector():
    api = fake_api.FakeApi()
    made = object.__new__(garbage_collector.GarbageCollectorController)
    made.client = api.client()
    made._graph_lock, made._absent = threading.Lock(), {}
    made._graph, made._monitors = ownership.Graph(), {kinds.CONFIG_MAPS: None}
    made.queue, made.api = workqueue.RateLimitingQueue(), api
    made._mapping = {
        ("v1", "Node"): discovery.Type(kinds.NODES, "Node", False, frozenset({"get"}), True),
        ("v1", "ConfigMap"): discovery.Type(kinds.CONFIG_MAPS, "ConfigMap", True, frozenset({"get"}), True),
    }
    yield made
    made.client.close()
    api.stop()


def test_a_namespaced_dependents_owner_may_have_no_namespace(collector):
    there = collector.client.create(kinds.NODES, fake_api.node("n1"))
    # known from its Lease alone, whose namespace is not the Node's
    owner = ownership.Node(there["metadata"]["uid"], "v1", "Node", "kube-node-lease", "n1", virtual=True)
    collector._judge(owner)
    assert collector._absent == {}


def config_map(collector, name, *owners, namespace="ns"):
    references = [objects.owner_reference(owner, controller=False) for owner in owners]
    metadata = {"name": name, "ownerReferences": references}
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    return collector.client.create(kinds.CONFIG_MAPS, made, namespace)


def seen(collector, obj):
    collector._seen(obj, kinds.CONFIG_MAPS, "ConfigMap")
    return collector._graph.nodes[obj["metadata"]["uid"]]


def there(collector, namespace="ns"):
    return {one["metadata"]["name"]: one for one in collector.client.list(kinds.CONFIG_MAPS, namespace)["items"]}


def test_who_names_an_owner_in_a_wrong_place_does_not_take_it_from_the_others(collector):
    owner = config_map(collector, "owner")
    stray = config_map(collector, "stray", owner, namespace="elsewhere")
    child = config_map(collector, "child", owner)
    collector._judge(seen(collector, stray))
    collector._judge(seen(collector, child))
    assert (set(there(collector)), set(there(collector, "elsewhere"))) == ({"owner", "child"}, set())


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        ({"metadata": {"ownerReferences": None}}, True),
        ({"metadata": {"labels": {"changes": "all the time"}}}, False),
        ({}, False),
    ],
)
def test_what_changes_between_judgement_and_deletion(collector, change, kept):
    owner = config_map(collector, "owner")
    child = seen(collector, config_map(collector, "child", owner))
    collector.client.delete(kinds.CONFIG_MAPS, "owner", "ns")

    def meanwhile(handler, method, path):
        if method == "DELETE" and change:
            collector.api.hooks.clear()
            other = collector.api.client()
            other.patch(kinds.CONFIG_MAPS, "child", change, "ns")
            other.close()
        return False

    collector.api.hooks.append(meanwhile)
    if kept:
        with pytest.raises(errors.Conflict):
            collector._judge(child)
    collector._judge(child)
    assert set(there(collector)) == ({"child"} if kept else set())


def test_what_was_made_just_before_its_owner_went_is_orphaned_too(collector):
    owner = config_map(collector, "owner")
    known = seen(collector, owner)
    config_map(collector, "child", owner)  # the graph has not been told
    collector.client.delete(kinds.CONFIG_MAPS, "owner", "ns", options={"propagationPolicy": "Orphan"})
    collector._orphan(known)
    left = there(collector)
    assert set(left) == {"child"}
    assert not left["child"]["metadata"].get("ownerReferences")


@pytest.mark.parametrize(("first", "seconds"), [(True, garbage_collector.PATIENCE), (False, garbage_collector.BRIEF)])
def test_a_type_that_cannot_be_listed_holds_up_the_others_for_a_while_only(collector, monkeypatch, first, seconds):
    verbs = frozenset({"list", "watch", "delete"})
    found = discovery.Discovered((discovery.Type(kinds.SECRETS, "Secret", True, verbs, True),), {})
    monkeypatch.setattr(discovery, "discover", lambda _: found)
    synced = types.SimpleNamespace(synced=True, list=list, stop=lambda: None)
    collector.clock, collector._patience = clock.FakeClock(), {}
    collector._monitors = {} if first else {kinds.CONFIG_MAPS: synced}
    collector.context = types.SimpleNamespace(informers=informer.Factory(collector.client))
    collector._monitor = lambda gvr, _: collector._monitors.update({gvr: types.SimpleNamespace(synced=False)})
    collector._refresh()
    assert collector._is_blind()
    collector.clock.step(seconds - 1)
    assert collector._is_blind()
    collector.clock.step(1)
    assert not collector._is_blind()


@pytest.mark.parametrize("known", [True, False])
def test_who_comes_to_depend_on_an_owner_that_is_gone_is_judged(collector, known):
    """A controller that has not heard yet of its owner's end makes one more, while others are still being deleted."""
    owner = config_map(collector, "owner")
    collector.client.delete(kinds.CONFIG_MAPS, "owner", "ns")
    if known:
        seen(collector, owner)
        first = seen(collector, config_map(collector, "first", owner))
        collector._gone(owner)
    else:
        first = seen(collector, config_map(collector, "first", owner))
        collector._judge(collector._graph.nodes[owner["metadata"]["uid"]])
    late = seen(collector, config_map(collector, "late", owner))
    keys = set()
    while len(collector.queue):
        keys.add(collector.queue.get())
    assert {f"judge/{first.uid}", f"judge/{late.uid}"} <= keys


def test_a_type_that_is_not_served_for_a_moment_takes_no_dependents_with_it(collector):
    owner = config_map(collector, "owner")
    seen(collector, owner)
    child = seen(collector, config_map(collector, "child", owner))
    cache = informer.Informer(collector.client, kinds.CONFIG_MAPS)
    cache._set("ns/owner", owner)
    collector._monitors = {kinds.CONFIG_MAPS: cache}
    collector.context = types.SimpleNamespace(informers=informer.Factory(collector.client))
    collector._forget_type(kinds.CONFIG_MAPS)  # discovery of a server that starts

    def unserved(handler, method, path):
        if path.endswith("/owner"):
            handler.send(404, {"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404})
        return path.endswith("/owner")

    collector.api.hooks.append(unserved)
    with pytest.raises(errors.NotFound):
        collector._judge(child)
    collector.api.hooks.clear()
    collector._judge(child)
    assert set(there(collector)) == {"owner", "child"}


def test_what_was_seen_to_go_is_gone_though_its_type_went_with_it(collector):
    owner = config_map(collector, "owner")
    seen(collector, owner)
    child = seen(collector, config_map(collector, "child", owner))
    collector._gone(owner)
    collector.client.delete(kinds.CONFIG_MAPS, "owner", "ns")
    collector._mapping = {}
    collector._judge(child)
    assert there(collector) == {}
