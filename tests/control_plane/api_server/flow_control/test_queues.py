"""Levels, their seats and their queues, without any server."""

import datetime

import pytest

from kubeshim.control_plane.api_server import request, request_info
from kubeshim.control_plane.api_server.flow_control import classification, levels, queue_set

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def level(name="l", shares=10, lendable=0, borrowing=None, queuing=(8, 2, 3), exempt=False):
    return levels.Level(name, "", exempt, shares, lendable, borrowing, levels.Queuing(*queuing) if queuing else None)


def waiting(flow, width=1):
    return queue_set.Waiting("s", flow, width, NOW, "eve", request.RequestInfo("/", "get"))


RESOURCE = {"verbs": ["get"], "apiGroups": ["apps"], "resources": ["deployments"], "namespaces": ["a"]}
EVERYTHING = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": True}
EVE = {"kind": "User", "user": {"name": "eve"}}


@pytest.mark.parametrize(
    ("subject", "rule", "path", "matches"),
    [
        (EVE, RESOURCE, "/apis/apps/v1/namespaces/a/deployments/x", True),
        (EVE, RESOURCE, "/apis/apps/v1/namespaces/b/deployments/x", False),
        (EVE, RESOURCE, "/apis/apps/v1/namespaces/a/deployments", False),
        (EVE, RESOURCE, "/apis/apps/v1/namespaces/a/deployments/x/status", False),
        (EVE, EVERYTHING, "/api/v1/nodes", True),
        (EVE, {**EVERYTHING, "clusterScope": False}, "/api/v1/nodes", False),
        (EVE, EVERYTHING, "/version", False),
        ({"kind": "User", "user": {"name": "*"}}, EVERYTHING, "/api/v1/nodes", True),
        ({"kind": "User", "user": {"name": "bob"}}, EVERYTHING, "/api/v1/nodes", False),
        ({"kind": "Group", "group": {"name": "g"}}, EVERYTHING, "/api/v1/nodes", True),
        ({"kind": "Group", "group": {"name": "h"}}, EVERYTHING, "/api/v1/nodes", False),
        ({"kind": "ServiceAccount", "serviceAccount": {"namespace": "a", "name": "*"}}, EVERYTHING, "/api/v1", False),
        (EVE, {"verbs": ["get"], "nonResourceURLs": ["/healthz"]}, "/healthz/etcd", True),
        (EVE, {"verbs": ["get"], "nonResourceURLs": ["/healthz"]}, "/healthzz", False),
        (EVE, {"verbs": ["get"], "nonResourceURLs": ["/apis/*"]}, "/apis/apps/v1", True),
    ],
)
def test_what_matches(subject, rule, path, matches):
    kind = "nonResourceRules" if "nonResourceURLs" in rule else "resourceRules"
    schema = classification.Schema("s", "", "l", 1, "", [{"subjects": [subject], kind: [rule]}])
    info = request_info.parse("GET", path, {})
    assert schema.matches(info, request.UserInfo("eve", ("g",))) is matches


def test_service_accounts():
    rule = {"subjects": [{"kind": "ServiceAccount", "serviceAccount": {"namespace": "a", "name": "*"}}]}
    schema = classification.Schema("s", "", "l", 1, "ByNamespace", [{**rule, "resourceRules": [EVERYTHING]}])
    info = request.RequestInfo("/", "get", True, namespace="n", resource="pods")
    asks = {name: request.UserInfo(f"system:serviceaccount:{name}") for name in ("a:x", "ab:x")}
    assert [schema.matches(info, user) for user in asks.values()] == [True, False]
    assert schema.flow(info, asks["a:x"]) == "n"


def test_seats_are_shared_out():
    held = [level("a", 1), level("b", 3), level("x", 0, exempt=True)]
    assert levels.nominal(10, held) == {"a": 3, "b": 8, "x": 0}


@pytest.mark.parametrize(
    ("demand", "seats"),
    [
        ({"a": 0, "b": 0}, {"a": 10, "b": 10}),
        ({"a": 2, "b": 14}, {"a": 5, "b": 14}),  # b gets what it lacks, of what a may lend
        ({"a": 2, "b": 90}, {"a": 5, "b": 15}),
        ({"a": 90, "b": 0}, {"a": 12, "b": 10}),  # a may borrow a fifth, b lends nothing less than it has
    ],
)
def test_seats_are_lent(demand, seats):
    held = [level("a", lendable=50, borrowing=20), level("b", lendable=50)]
    given = levels.adjusted(held, {"a": 10, "b": 10}, demand)
    assert given["b"] == seats["b"] or demand["a"] == 90
    assert given["a"] == seats["a"]
    assert sum(given.values()) <= 20


def test_a_full_level_makes_wait_and_then_refuses():
    one = queue_set.QueueSet(level(queuing=(1, 1, 2)), 1)
    assert one.fits(1)
    one.start(1)
    assert not one.fits(1)
    first, second = waiting("f"), waiting("f")
    assert [one.enqueue(asked) for asked in (first, second, waiting("f"))] == ["", "", "queue-full"]
    one.finish(1)
    assert first.granted.value is True
    assert not second.granted.ready()
    one.end(first, 0.1)
    assert second.granted.value is True
    one.end(second, 0.1)
    assert one.idle
    assert queue_set.QueueSet(level(queuing=None), 0).enqueue(waiting("f")) == "concurrency-limit"


def test_a_flood_does_not_keep_others_away():
    one = queue_set.QueueSet(level(queuing=(64, 1, 50)), 1)
    one.start(1)
    flood = [waiting("flood") for _ in range(20)]
    for asked in flood:
        assert one.enqueue(asked) == ""
    quiet = waiting("quiet")
    assert queue_set.deal("s\0quiet", 64, 1) != queue_set.deal("s\0flood", 64, 1)
    assert one.enqueue(quiet) == ""
    one.finish(1)
    served = 0
    while not quiet.granted.ready():
        running = next(asked for asked in flood[served:] if asked.granted.ready())
        served += 1
        one.end(running, 1.0)
    assert served <= 1


def test_a_hand():
    hands = [queue_set.deal(f"f{number}", 64, 6) for number in range(50)]
    assert all(len(set(hand)) == 6 and max(hand) < 64 for hand in hands)
    assert hands[0] == queue_set.deal("f0", 64, 6)
    assert len({tuple(hand) for hand in hands}) == 50
    assert sorted(queue_set.deal("f", 3, 8)) == [0, 1, 2]
