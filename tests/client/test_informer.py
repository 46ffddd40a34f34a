"""Informers against a server that goes away, forgets and comes back."""

import threading

from kubeshim.client import informer, kinds
from tests import fake_api


def config_map(name, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def started(client, **scope):
    cache = informer.Informer(client, kinds.CONFIG_MAPS, **scope)
    told = []
    cache.add_handler(
        added=lambda obj: told.append(("added", obj["metadata"]["name"])),
        updated=lambda old, new: told.append(("updated", old.get("data"), new.get("data"))),
        deleted=lambda obj: told.append(("deleted", obj["metadata"]["name"])),
    )
    cache.start()
    assert cache.wait_for_sync(60)
    return cache, told


def test_tells_changes_in_order_and_fills_in_kinds(api, client):
    client.create(kinds.CONFIG_MAPS, config_map("a", k="1"), "x")
    cache, told = started(client)
    assert cache.get("x/a")["kind"] == "ConfigMap"
    client.patch(kinds.CONFIG_MAPS, "a", {"data": {"k": "2"}}, "x")
    client.create(kinds.CONFIG_MAPS, config_map("b"), "x")
    client.delete(kinds.CONFIG_MAPS, "a", "x")
    fake_api.eventually(lambda: len(told) == 4)
    assert told == [("added", "a"), ("updated", {"k": "1"}, {"k": "2"}), ("added", "b"), ("deleted", "a")]
    cache.stop()


def test_resumes_after_a_cut_without_listing_again(api, client):
    cache, told = started(client)
    lists = sum("watch" not in path for _, path in api.requests)
    api.cut()
    api.create(("v1", "configmaps"), "x", config_map("a"))
    fake_api.eventually(lambda: told)
    assert sum("watch" not in path for _, path in api.requests) == lists
    cache.stop()


def test_survives_a_restart_of_the_server(api, client):
    cache, told = started(client)
    api.stop()
    api.create(("v1", "configmaps"), "x", config_map("a"))
    api.start()
    fake_api.eventually(lambda: told == [("added", "a")])
    cache.stop()


def test_lists_again_when_the_version_expired_and_tells_the_difference(api, client):
    for name in ("stays", "goes", "changes"):
        client.create(kinds.CONFIG_MAPS, config_map(name), "x")
    cache, told = started(client)
    del told[:]
    api.stop()
    with api.lock:
        api.delete(("v1", "configmaps"), "x", "goes", {})
        api.update(("v1", "configmaps"), "x", "changes", "", {"metadata": {"name": "changes", "namespace": "x"}})
        api.create(("v1", "configmaps"), "x", config_map("comes"))
        api.forget_history()
    api.start()
    fake_api.eventually(lambda: len(told) == 3)
    assert sorted(event[0] for event in told) == ["added", "deleted", "updated"]
    assert {obj["metadata"]["name"] for obj in cache.list()} == {"stays", "changes", "comes"}
    cache.stop()


def test_an_object_made_again_under_its_name_was_deleted_between(api, client):
    client.create(kinds.CONFIG_MAPS, config_map("a"), "x")
    cache, told = started(client)
    api.stop()
    api.delete(("v1", "configmaps"), "x", "a", {})
    api.create(("v1", "configmaps"), "x", config_map("a"))
    api.forget_history()
    api.start()
    fake_api.eventually(lambda: len(told) == 3)
    assert told == [("added", "a"), ("deleted", "a"), ("added", "a")]
    cache.stop()


def test_index_follows_changes(api, client):
    cache, _ = started(client)
    cache.add_index("data", lambda obj: (obj.get("data") or {}).values())
    client.create(kinds.CONFIG_MAPS, config_map("a", k="red"), "x")
    fake_api.eventually(lambda: cache.by_index("data", "red"))
    client.patch(kinds.CONFIG_MAPS, "a", {"data": {"k": "blue"}}, "x")
    fake_api.eventually(lambda: cache.by_index("data", "blue"))
    assert not cache.by_index("data", "red")
    cache.stop()


def test_stop_interrupts_a_silent_watch(api, client):
    cache, _ = started(client)
    fake_api.eventually(lambda: any("watch" in path for _, path in api.requests))
    cache.stop()
    cache._thread.join(60)
    assert not cache._thread.is_alive()


def test_late_handler_hears_everything_once(api, client):
    before = set(threading.enumerate())

    def own_threads():
        return [one for one in threading.enumerate() if one not in before and one.name.startswith("informer")]

    client.create(kinds.CONFIG_MAPS, config_map("a"), "x")
    cache, _ = started(client)
    seen = []
    cache.add_handler(added=lambda obj: seen.append(obj["metadata"]["name"]))
    client.create(kinds.CONFIG_MAPS, config_map("b"), "x")
    fake_api.eventually(lambda: len(seen) == 2)
    assert seen == ["a", "b"]
    cache.stop()
    fake_api.eventually(lambda: not own_threads())
