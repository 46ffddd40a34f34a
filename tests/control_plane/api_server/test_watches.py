"""WATCH: what is told, from where, and how it ends."""

import itertools
import json
import threading
import time

import pytest

from kubeshim.control_plane.api_server import watch_cache
from tests import fake_api


@pytest.fixture
def change(running, configmaps):
    """Creates, changes and deletes config maps: ``change("+a", "a=1", "-a")``; the last resourceVersion."""

    def act(*steps):
        answer = None
        for step in steps:
            if step[0] == "+":
                name, _, label = step[1:].partition("@")
                labels = {"x": label} if label else {}
                answer = running.ask("POST", configmaps, {"metadata": {"name": name, "labels": labels}})
            elif step[0] == "-":
                answer = running.ask("DELETE", f"{configmaps}/{step[1:]}")
            else:
                name, _, label = step.partition("@")
                patch = {"metadata": {"labels": {"x": label or None}}, "data": {"at": str(time.monotonic_ns())}}
                answer = running.ask("PATCH", f"{configmaps}/{name}", patch, "application/merge-patch+json")
            assert answer.status < 300, answer.body
        return running.ask("GET", configmaps).body["metadata"]["resourceVersion"]

    return act


def told(events):
    return [f"{event['type']} {event['object']['metadata'].get('name', '')}".strip() for event in events]


def test_a_watch_without_a_version_begins_with_what_there_is(running, configmaps, change):
    change("+a", "+b", "-b")
    assert told(running.watch(f"{configmaps}?watch=1&timeoutSeconds=1")) == ["ADDED a"]


def test_a_watch_resumes_after_any_version(running, configmaps, change):
    start = change()
    change("+a", "a@1", "-a")
    events = list(running.watch(f"{configmaps}?watch=1&timeoutSeconds=1&resourceVersion={start}"))
    assert told(events) == ["ADDED a", "MODIFIED a", "DELETED a"]
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
    assert versions == sorted(set(versions))
    middle = list(running.watch(f"{configmaps}?watch=1&timeoutSeconds=1&resourceVersion={versions[0]}"))
    assert middle == events[1:]


def test_what_happens_while_old_events_are_read_is_told_however_much_it_is(running, configmaps, change, monkeypatch):
    """More than is remembered: the reader comes back to a memory that begins after what was read."""
    store = running.server.store
    monkeypatch.setattr(watch_cache, "RING", 3)
    cache = running.server.storage._caches["/registry/configmaps/"]
    cache.floor = cache.changed
    cache.ring.clear()
    start = change()
    change("+a", *(f"a@{number}" for number in range(5)))
    original, busy = store.events, ["+b", *(f"b@{number}" for number in range(5))]

    def events(prefix, *, after):
        found = original(prefix, after=after)
        steps = [busy.pop(0) for _ in range(len(busy))]
        if steps:
            change(*steps)
        return found

    monkeypatch.setattr(store, "events", events)
    got = list(running.watch(f"{configmaps}?watch=1&timeoutSeconds=1&resourceVersion={start}"))
    assert told(got) == [f"{kind} {name}" for name in "ab" for kind in ("ADDED", *["MODIFIED"] * 5)]
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in got]
    assert (versions, busy) == (sorted(set(versions)), [])


def test_events_arrive_as_they_happen(running, configmaps, change):
    start = change()
    events = running.watch(f"{configmaps}?watch=1&timeoutSeconds=180&resourceVersion={start}")
    for step, expected in (("+a", "ADDED a"), ("a@2", "MODIFIED a"), ("-a", "DELETED a")):
        threading.Timer(0.05, change, [step]).start()
        assert told([next(events)]) == [expected]
    events.close()


def test_changes_into_and_out_of_a_selection(running, configmaps, change):
    start = change()
    change("+a", "+b@yes", "a@yes", "a@yes", "b@no", "a@no", "-a", "-b")
    query = f"watch=1&timeoutSeconds=1&resourceVersion={start}&labelSelector=x%3Dyes"
    events = list(running.watch(f"{configmaps}?{query}"))
    assert told(events) == ["ADDED b", "ADDED a", "MODIFIED a", "DELETED b", "DELETED a"]
    # Who loses sight of an object is shown the state it knew, at the version at which it left.
    assert events[3]["object"]["metadata"]["labels"] == {"x": "yes"}
    by_name = f"watch=1&timeoutSeconds=1&resourceVersion={start}&fieldSelector=metadata.name%3Db"
    assert told(running.watch(f"{configmaps}?{by_name}")) == ["ADDED b", "MODIFIED b", "DELETED b"]


def test_initial_events_end_with_a_bookmark(running, configmaps, change):
    now = change("+a", "+b")
    query = "watch=1&timeoutSeconds=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    for version in ("", "&resourceVersion=0", f"&resourceVersion={now}"):
        events = list(running.watch(f"{configmaps}?{query}{version}"))
        assert told(events) == ["ADDED a", "ADDED b", "BOOKMARK"]
        bookmark = events[-1]["object"]
        assert (bookmark["kind"], bookmark["apiVersion"]) == ("ConfigMap", "v1")
        assert bookmark["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert int(bookmark["metadata"]["resourceVersion"]) >= int(now)
    change("-a", "-b")
    assert told(running.watch(f"{configmaps}?{query}")) == ["BOOKMARK"]


@pytest.mark.parametrize(
    "query",
    [
        "sendInitialEvents=true",
        "resourceVersionMatch=NotOlderThan",
        "sendInitialEvents=true&resourceVersionMatch=Exact",
    ],
)
def test_combinations_that_are_refused(running, configmaps, query):
    assert running.ask("GET", f"{configmaps}?watch=1&timeoutSeconds=1&{query}").status == 422


def test_a_version_that_was_compacted(running, configmaps, change):
    start = change("+a")
    for _ in range(1100):
        running.ask(
            "PATCH", f"{configmaps}/a", {"data": {"k": str(time.monotonic_ns())}}, "application/merge-patch+json"
        )
    path = f"{configmaps}?watch=1&timeoutSeconds=180&resourceVersion={start}"
    events = running.watch(path)
    assert len(list(itertools.islice(events, 1100))) == 1100
    events.close()
    running.call(lambda: running.server.in_thread(running.server.store.compact, running.server.store.revision()))
    (gone,) = running.watch(path)
    assert (gone["type"], gone["object"]["code"], gone["object"]["reason"]) == ("ERROR", 410, "Expired")
    assert gone["object"]["message"].startswith(f"too old resource version: {start} (")


def test_tables_in_events(running, configmaps, change):
    change("+a")
    connection = running.connection()
    accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io", "User-Agent": "test/1"}
    connection.request("GET", f"{configmaps}?watch=1&timeoutSeconds=1", headers=accept)
    line = connection.getresponse().readline()
    connection.close()
    assert b'"kind":"Table"' in line


def test_one_object_by_the_deprecated_path(running, configmaps, change):
    change("+a", "+b")
    path = configmaps.replace("/api/v1/", "/api/v1/watch/")
    assert told(running.watch(f"{path}/b?timeoutSeconds=1")) == ["ADDED b"]
    assert told(running.watch(f"{path}?timeoutSeconds=1")) == ["ADDED a", "ADDED b"]


def test_a_watcher_that_does_not_read_is_dropped(running, configmaps):
    def burst():
        storage = running.server.storage
        resource = running.server.registry.get("", "v1", "configmaps")
        watcher = storage.watch(resource, configmaps.split("/")[4])
        watcher._limit = 5
        quick = storage.watch(resource, configmaps.split("/")[4])
        return watcher, quick

    watcher, quick = running.call(burst)
    for number in range(7):
        running.ask("POST", configmaps, {"metadata": {"name": f"n{number}"}})
    assert (watcher.dropped, watcher.stopped, len(watcher.buffer)) == (True, True, 5)
    assert (quick.dropped, len(quick.buffer)) == (False, 7)


def test_a_client_that_leaves_is_forgotten(running, configmaps):
    def watchers():
        return set(running.server.storage.cache(running.server.registry.get("", "v1", "configmaps")).watchers)

    before = running.call(watchers)
    connection = running.connection()
    connection.request("GET", f"{configmaps}?watch=1&timeoutSeconds=60&resourceVersion=0", headers={"User-Agent": "t"})
    answer = connection.getresponse()
    (ours,) = running.call(watchers) - before  # those of earlier tests may still be on their way out
    answer.close()
    connection.close()
    fake_api.eventually(lambda: ours not in running.call(watchers))


def test_tables_tell_their_columns_once(running, configmaps, change):
    start = change()
    change("+a", "+b")
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io"
    connection = running.connection()
    path = f"{configmaps}?watch=1&timeoutSeconds=1&resourceVersion={start}"
    for _ in range(2):  # what the first watch made is shared with the second
        connection.request("GET", path, headers={"Accept": accept, "User-Agent": "test/1"})
        first, second = (json.loads(line)["object"] for line in connection.getresponse().read().splitlines())
        assert [column["name"] for column in first["columnDefinitions"]] == ["Name", "Data", "Age"]
        assert second["columnDefinitions"] is None
        assert (first["rows"][0]["cells"][0], second["rows"][0]["cells"][0]) == ("a", "b")
    connection.close()


def test_a_watch_from_the_state_now_says_where_that_ends(running, configmaps, change):
    """To who allows bookmarks, whether or not it asks for initial events by name."""
    change("+a")
    for version in ("", "&resourceVersion=0"):
        query = f"{configmaps}?watch=1&timeoutSeconds=1{version}"
        assert told(running.watch(query)) == ["ADDED a"]
        events = list(running.watch(f"{query}&allowWatchBookmarks=true"))
        assert told(events) == ["ADDED a", "BOOKMARK"]
        assert events[1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert set(events[1]["object"]["metadata"]) == {"annotations", "resourceVersion"}


def test_a_name_and_another_name(running, configmaps):
    path = configmaps.replace("/api/v1/", "/api/v1/watch/")
    refused = running.ask("GET", f"{path}/a?timeoutSeconds=1&fieldSelector=metadata.name%3Db")
    assert refused.status == 400
    assert refused.body["message"] == "fieldSelector metadata.name doesn't match requested name"


def in_form(running, path, form):
    """The events of a short watch, in a form."""
    accept = f"application/json;as={form};v=v1;g=meta.k8s.io"
    told = running.ask("GET", f"{path}?watch=1&timeoutSeconds=1", Accept=accept)
    return [json.loads(line) for line in told.raw.splitlines()]


def test_no_event_is_a_list(running, configmaps):
    running.ask("POST", configmaps, {"metadata": {"name": "a"}})
    assert in_form(running, configmaps, "PartialObjectMetadataList") == []


def test_many_watchers_of_a_busy_type_miss_nothing(running, configmaps, change):
    start = change("+a")
    watches = [running.watch(f"{configmaps}?watch=1&timeoutSeconds=180&resourceVersion={start}") for _ in range(40)]
    ours, count = [], 60
    readers = [threading.Thread(target=lambda w=w: ours.append([next(w) for _ in range(count)])) for w in watches]
    for reader in readers:
        reader.start()
    for number in range(count):
        patch = {"data": {"at": str(number)}}
        assert running.ask("PATCH", f"{configmaps}/a", patch, "application/merge-patch+json").status == 200
    for reader in readers:
        reader.join(180)
    assert [[event["object"]["data"]["at"] for event in seen] for seen in ours] == [
        [str(number) for number in range(count)]
    ] * len(watches)


def test_a_watch_whose_selection_fails_ends_and_the_others_are_told(running, configmaps, change):
    server = running.server
    resource = server.registry.get("", "v1", "configmaps")

    def act():
        def fail(item):
            raise ValueError("this object has no such field")

        watchers = [server.storage.watch(resource, matches=matches) for matches in (fail, None)]
        told = []
        server.storage.subscribe(resource.gvr, lambda one: told.append(one.obj["metadata"]["name"]))
        namespace = configmaps.split("/")[4]
        server.client.create(resource.gvr, {"metadata": {"name": "last"}}, namespace)
        for watcher in watchers:
            server.storage.unwatch(resource, watcher)
        return watchers, told

    (failing, other), told = running.call(act)
    assert (failing.stopped, [seen[0] for seen in other.buffer], told[-1]) == (True, ["ADDED"], "last")
