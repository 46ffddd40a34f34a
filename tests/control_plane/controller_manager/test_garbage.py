"""What the garbage collector finds out about owners it has not seen yet."""

import threading

import pytest

from kubeshim.client import discovery, kinds
from kubeshim.control_plane.controller_manager import ownership
from kubeshim.control_plane.controller_manager.controllers import garbage_collector
from tests import fake_api


@pytest.fixture
def collector():
    api = fake_api.FakeApi()
    made = object.__new__(garbage_collector.GarbageCollectorController)
    made.client = api.client()
    made._graph_lock, made._absent = threading.Lock(), {}
    node_type = discovery.Type(kinds.NODES, "Node", False, frozenset({"get"}), True)
    made._mapping = {("v1", "Node"): node_type}
    yield made
    made.client.close()
    api.stop()


def test_a_namespaced_dependents_owner_may_have_no_namespace(collector):
    there = collector.client.create(kinds.NODES, fake_api.node("n1"))
    # known from its Lease alone, whose namespace is not the Node's
    owner = ownership.Node(there["metadata"]["uid"], "v1", "Node", "kube-node-lease", "n1", virtual=True)
    collector._judge(owner)
    assert collector._absent == {}
