"""Which of a daemon set's pods go and come when its template changes."""

import datetime

import pytest

from kubeshim.control_plane.controller_manager import daemons, history
from kubeshim.machinery import objects

NOW = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
TAINT = {"key": "k", "effect": "NoSchedule"}


def daemon_set(**parameters):
    strategy = {"type": "RollingUpdate", "rollingUpdate": parameters}
    return {"metadata": {"name": "d"}, "spec": {"template": {"spec": {}}, "updateStrategy": strategy}}


def node(name, *taints):
    return {"metadata": {"name": name}, "spec": {"taints": list(taints)}}


def pod(text, created="t1", placed=True):
    """``a:new:ready``: of the new template, on node a."""
    where, template, state = text.split(":")
    ready = {
        "type": "Ready",
        "status": "True" if state == "ready" else "False",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    metadata = {"name": text, "uid": text, "labels": {history.HASH_LABEL: template}, "creationTimestamp": created}
    if state == "going":
        metadata["deletionTimestamp"] = "t"
    spec = {"nodeName": where}
    if not placed:
        name = {"key": "metadata.name", "operator": "In", "values": [where]}
        required = {"nodeSelectorTerms": [{"matchFields": [name]}]}
        spec = {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}}
    return {"metadata": metadata, "spec": spec, "status": {"phase": "Running", "conditions": [ready]}}


NODES = [node("a"), node("b"), node("t", TAINT)]


@pytest.mark.parametrize(
    ("parameters", "there", "deleted", "created"),
    [
        ({}, "a:old:ready b:old:ready", "a:old:ready", ""),
        ({}, "a:old:ready b:new:sick", "", ""),
        ({}, "a:old:sick b:old:ready", "a:old:sick", ""),
        ({}, "a:old:ready b:old:going", "", ""),
        ({}, "a:old:ready", "", ""),  # b has none yet
        ({}, "a:new:ready b:new:ready t:old:ready", "t:old:ready", ""),
        ({}, "a:old:ready a:old:sick b:old:ready", "", ""),
        ({"maxUnavailable": 2}, "a:old:ready b:old:ready", "a:old:ready b:old:ready", ""),
        ({"maxSurge": 1}, "a:old:ready b:old:ready", "", "a"),
        ({"maxSurge": 1}, "a:old:ready a:new:sick b:old:ready", "", ""),
        ({"maxSurge": 1}, "a:old:ready a:new:ready b:old:ready", "a:old:ready", "b"),
        ({"maxSurge": 1}, "a:old:sick b:old:ready", "", "a b"),
        ({"maxSurge": 1}, "a:new:ready b:new:ready t:old:ready", "t:old:ready", ""),
        ({"maxSurge": 1}, "a:new:ready b:new:sick t:old:ready", "", ""),
        ({"maxSurge": 1}, "a:new:ready b:new:sick t:old:sick", "t:old:sick", ""),
    ],
)
def test_a_step_of_an_update(parameters, there, deleted, created):
    mine = [pod(text) for text in there.split()]
    found = daemons.update(daemon_set(**parameters), NODES, mine, "new", NOW)
    assert (" ".join(map(objects.name, found.delete)), " ".join(found.create)) == (deleted, created)


@pytest.mark.parametrize(
    ("surge", "there", "deleted"),
    [
        (0, "a:new:ready a:old:ready", "a:old:ready"),
        (1, "a:new:ready a:old:ready", "a:old:ready"),
        (1, "a:new:sick a:old:ready", ""),
        (1, "a:new:sick a:old:sick", "a:old:sick"),
    ],
)
def test_two_pods_on_a_node(surge, there, deleted):
    mine = [pod(text, created=f"t{number}") for number, text in enumerate(there.split())]
    found = daemons.plan(daemon_set(), [node("a")], mine, surge, "new", NOW)
    assert " ".join(map(objects.name, found.delete)) == deleted


def test_the_pod_that_is_placed_stays():
    mine = [pod("a:new:sick", created="t1", placed=False), pod("a:new:ready", created="t2")]
    found = daemons.plan(daemon_set(), [node("a")], mine, 0, "new", NOW)
    assert [objects.name(one) for one in found.delete] == ["a:new:sick"]
