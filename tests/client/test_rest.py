"""The client against answers a server really gives."""

import threading

import pytest

from kubeshim.client import kinds, rest
from kubeshim.machinery import errors


def config_map(name):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}


@pytest.mark.parametrize(
    ("gvr", "namespace", "name", "subresource", "path"),
    [
        (kinds.PODS, "", "", "", "/api/v1/pods"),
        (kinds.PODS, "x", "p", "binding", "/api/v1/namespaces/x/pods/p/binding"),
        (kinds.DEPLOYMENTS, "x", "d", "", "/apis/apps/v1/namespaces/x/deployments/d"),
        (kinds.CLUSTER_ROLES, "", "system:node", "", "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:node"),
        (kinds.NODES, "", "a/../b", "", "/api/v1/nodes/a%2F..%2Fb"),
    ],
)
def test_paths(gvr, namespace, name, subresource, path):
    assert rest.path_of(gvr, namespace, name, subresource) == path


def test_errors_are_rebuilt_from_the_status(api):
    client = api.client()
    with pytest.raises(errors.NotFound) as caught:
        client.get(kinds.PODS, "nope", "x")
    assert caught.value.message == 'pods "nope" not found'
    client.create(kinds.CONFIG_MAPS, config_map("a"), "x")
    with pytest.raises(errors.AlreadyExists):
        client.create(kinds.CONFIG_MAPS, config_map("a"), "x")
    stale = {**config_map("a"), "metadata": {"name": "a", "namespace": "x", "resourceVersion": "1"}}
    with pytest.raises(errors.Conflict):
        client.update(kinds.CONFIG_MAPS, stale)


def test_throttled_requests_are_sent_again(api):
    times = iter([429, 503])

    def throttle(handler, method, path):
        code = next(times, None)
        if code:
            handler.send(code, {"kind": "Status", "message": "wait", "code": code}, Retry_After="0")
        return bool(code)

    api.hooks.append(throttle)
    assert api.client().create(kinds.CONFIG_MAPS, config_map("a"), "x")["metadata"]["uid"]


def test_without_retry_after_the_refusal_is_raised(api):
    api.hooks.append(lambda handler, *_: handler.send(429, {"kind": "Status", "code": 429, "message": "no"}) or True)
    with pytest.raises(errors.TooManyRequests):
        api.client().get(kinds.PODS, "a", "x")


def test_a_write_waits_for_a_server_that_refuses_connections(api):
    client = api.client()
    api.stop()
    threading.Timer(0.1, api.start).start()
    assert client.create(kinds.CONFIG_MAPS, config_map("a"), "x")["metadata"]["name"] == "a"


def test_a_broken_read_is_repeated_and_a_broken_write_is_not(api):
    client = api.client()
    api.create(("v1", "configmaps"), "x", config_map("a"))
    cuts = []

    def cut(handler, method, path):
        cuts.append(method)
        if len(cuts) == 1:
            api.cut()
            return True
        return False

    api.hooks.append(cut)
    assert client.get(kinds.CONFIG_MAPS, "a", "x")
    del cuts[:]
    with pytest.raises(rest.Unreachable):
        client.create(kinds.CONFIG_MAPS, config_map("b"), "x")


def test_pages_follow_continue(api):
    def pages(handler, method, path):
        first = "continue" not in handler.path
        items = [{"metadata": {"name": "a" if first else "b"}}]
        handler.send(
            200,
            {
                "kind": "PodList",
                "apiVersion": "v1",
                "metadata": {"resourceVersion": "1", "continue": "t" if first else ""},
                "items": items,
            },
        )
        return True

    api.hooks.append(pages)
    assert [(p["metadata"]["name"], p["kind"]) for p in api.client().pages(kinds.PODS)] == [("a", "Pod"), ("b", "Pod")]


def test_watch_stops_from_another_thread_and_raises_error_events(api):
    client = api.client()
    watch = client.watch(kinds.CONFIG_MAPS, resource_version="100")
    seen = []
    reader = threading.Thread(target=lambda: seen.extend(watch))
    reader.start()
    watch.stop()
    reader.join(60)
    assert not reader.is_alive() and seen == []
    api.forget_history()
    with pytest.raises(errors.Expired):
        client.watch(kinds.CONFIG_MAPS, resource_version="1")


def test_connections_are_opened_where_one_wants(api):
    opened = []

    def elsewhere(open_one):
        opened.append(threading.current_thread().name)
        return open_one()

    client = rest.Client(api.client().config, within=elsewhere)
    client.create(kinds.CONFIG_MAPS, config_map("a"), "x")
    client.get(kinds.CONFIG_MAPS, "a", "x")
    assert len(opened) == 1, "the second request took the first one's connection"
    with client.watch(kinds.CONFIG_MAPS, resource_version="0"):
        assert len(opened) == 2
    client.close()
