"""The server's own work, step by step on a server that does not serve."""

import datetime
import types

import pytest

from kubeshim import clock
from kubeshim.control_plane.api_server import config
from kubeshim.control_plane.api_server import server as servers
from kubeshim.control_plane.api_server.background import (
    bootstrap_roles,
    event_expiry,
    hooks,
    identity,
    kubernetes_service,
    start_up,
)
from kubeshim.machinery import resources

ROLES = resources.GroupVersionResource("rbac.authorization.k8s.io", "v1", "clusterroles")
BINDINGS = resources.GroupVersionResource("rbac.authorization.k8s.io", "v1", "clusterrolebindings")
EVENTS = event_expiry.EVENTS
KEPT = "rbac.authorization.kubernetes.io/autoupdate"


@pytest.fixture
def server(tmp_path):
    made = servers.Server(
        config.Config(tmp_path, store="memory:", advertise_address="192.0.2.1"),
        servers.open_store(config.Config(tmp_path, store="memory:")),
        clock.FakeClock(),
    )
    made.start()
    for _, step in start_up.STEPS:
        step(made)
    yield made
    made.stop()
    made.store.close()


def revision(server):
    return server.storage.revision


def test_a_second_look_writes_nothing(server):
    kubernetes_service.ensure(server)
    before = revision(server)
    for _, step in start_up.STEPS:
        step(server)
    kubernetes_service.ensure(server)
    assert revision(server) == before


def test_what_was_taken_from_a_role_comes_back_and_what_was_added_stays(server):
    role = server.client.get(ROLES, "system:node-proxier")
    extra = {"apiGroups": ["x"], "resources": ["y"], "verbs": ["get"]}
    wanted = role["rules"]
    server.client.update(ROLES, {**role, "rules": [extra, *wanted[1:]]})
    binding = server.client.get(BINDINGS, "system:discovery")
    server.client.update(BINDINGS, {**binding, "subjects": []})
    server.client.delete(ROLES, "view")
    bootstrap_roles.ensure(server)
    assert server.client.get(ROLES, "system:node-proxier")["rules"] == [extra, *wanted[1:], wanted[0]]
    assert server.client.get(BINDINGS, "system:discovery")["subjects"] == binding["subjects"]
    assert server.client.get(ROLES, "view")


def test_a_role_taken_over_is_left_alone(server):
    role = server.client.get(ROLES, "system:node-proxier")
    role["metadata"]["annotations"][KEPT] = "false"
    server.client.update(ROLES, {**role, "rules": []})
    bootstrap_roles.ensure(server)
    assert server.client.get(ROLES, "system:node-proxier")["rules"] == []


def event(server, name, **fields):
    about = {"kind": "Pod", "namespace": "default", "name": "p"}
    stamp = clock.rfc3339(server.clock.now())
    obj = {"metadata": {"name": name, "namespace": "default"}, "involvedObject": about, "lastTimestamp": stamp}
    return server.client.create(EVENTS, {**obj, **fields}, "default")


def names(server):
    return [one["metadata"]["name"] for one in server.client.list(EVENTS, "default")["items"]]


def test_events_go_an_hour_after_they_were_last_written(server):
    event(server, "before")
    expiry = event_expiry.Expiry(server)
    server.storage.subscribe(EVENTS, expiry.follow)
    server.clock.step(1800)
    again = event(server, "again")
    server.clock.step(1700)
    again["lastTimestamp"] = clock.rfc3339(server.clock.now())
    server.client.update(EVENTS, again)
    assert expiry.sweep() == pytest.approx(100)
    server.clock.step(200)
    assert expiry.sweep() == pytest.approx(1700)  # when "again" would be due, had it not been written again
    assert names(server) == ["again"]
    server.clock.step(3600)
    expiry.sweep()
    assert names(server) == []


def test_an_event_that_tells_no_time_counts_from_now():
    now = clock.FakeClock(datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC))
    assert event_expiry.written({"lastTimestamp": "junk"}, now) == now.now().timestamp()


def test_hooks_are_well_while_their_work_is():
    server = types.SimpleNamespace(health=types.SimpleNamespace(live={}), working=set(), started=True)
    hooks.install(server)
    check = server.health.live["poststarthook/start-kube-apiserver-identity-lease-controller"]
    with pytest.raises(hooks.NotYet):
        check()
    server.working.add(identity.run)
    check()
    server.health.live["poststarthook/crd-informer-synced"]()
