"""Simulated nodes beside a server in memory: they register, keep their ranges, and pods on them live."""

import contextlib
import ipaddress

import pytest

from kubeshim.client import kinds
from kubeshim.machinery import errors, objects
from kubeshim.node.kubelet import network_addresses
from kubeshim.node.simulation import nodes, pods
from tests import fake_api


@pytest.mark.parametrize("count", [1, 3, 512, 1000])
def test_ranges_come_from_the_upper_half_and_never_overlap(count):
    names = nodes.names("c", count)
    found = [ipaddress.ip_network(cidr) for cidr in nodes.ranges(names, {}, "10.244.0.0/16").values()]
    assert len(set(found)) == count
    assert all(each.subnet_of(ipaddress.ip_network("10.244.128.0/17")) for each in found)


def test_ranges_of_nodes_that_are_there_stay():
    first = nodes.ranges(nodes.names("c", 3), {"real": "10.244.0.0/24"}, "10.244.0.0/16")
    more = nodes.ranges(nodes.names("c", 600), first, "10.244.0.0/16")
    networks = [ipaddress.ip_network(cidr) for cidr in (*first.values(), *more.values())]
    assert len(networks) == 600
    assert not any(a.overlaps(b) for i, a in enumerate(networks[:3]) for b in networks[i + 1 :])


def test_too_many_are_refused():
    with pytest.raises(ValueError, match="no room for 9000"):
        nodes.ranges(nodes.names("c", 9000), {}, "10.244.0.0/16")


@contextlib.contextmanager
def simulated(api, count):
    client = api.client()
    these = nodes.Nodes(client, nodes.names("c", count), "172.30.0.1", 10247, "10.244.0.0/16")
    running = pods.Pods(client, these.range_of, "172.30.0.1")
    these.start()
    running.start()
    try:
        yield client
    finally:
        running.stop()
        these.stop()
        client.close()


def there(client):
    return {objects.name(one): one for one in client.list(kinds.NODES)["items"]}


def pod(name, node):
    spec = {"nodeName": node, "containers": [{"name": "c", "image": "i"}], "restartPolicy": "Always"}
    return {"metadata": {"name": name, "namespace": "x"}, "spec": spec}


def phase(client, name):
    try:
        return objects.dig(client.get(kinds.PODS, name, "x"), "status", "phase")
    except errors.NotFound:
        return "gone"


def test_nodes_and_pods_over_a_restart(api):
    with simulated(api, 3) as client:
        fake_api.eventually(lambda: len(there(client)) == 3)
        client.create(kinds.PODS, pod("one", "c-simulated-1"))
        client.create(kinds.PODS, pod("other", "somebody-elses"))
        fake_api.eventually(lambda: phase(client, "one") == "Running")
        before = client.get(kinds.PODS, "one", "x")["status"]
        range_before = there(client)["c-simulated-1"]["spec"]["podCIDR"]
        assert ipaddress.ip_address(before["podIP"]) in ipaddress.ip_network(range_before)
    with simulated(api, 2) as client:
        fake_api.eventually(lambda: set(there(client)) == {"c-simulated-1", "c-simulated-2"})
        client.create(kinds.PODS, pod("two", "c-simulated-1"))
        fake_api.eventually(lambda: phase(client, "two") == "Running")
        assert client.get(kinds.PODS, "one", "x")["status"] == before
        assert client.get(kinds.PODS, "two", "x")["status"]["podIP"] != before["podIP"]
        assert there(client)["c-simulated-1"]["spec"]["podCIDR"] == range_before
        assert phase(client, "other") is None
        client.delete(kinds.PODS, "one", "x")
        fake_api.eventually(lambda: phase(client, "one") == "gone")


def test_an_address_taken_for_a_pod_that_goes_at_that_moment_is_given_back(monkeypatch):
    api = fake_api.FakeApi()
    client = api.client()
    made = pods.Pods(client, lambda name: "10.244.0.0/24", "172.30.0.1")
    client.create(kinds.PODS, pod("a", "n"))
    pool, taken = made._pool("n"), network_addresses.AddressPool.take

    def it_goes(self, uid):
        api.put(("v1", "pods"), "DELETED", api.find(("v1", "pods"), "x", "a"))
        fake_api.eventually(lambda: made._pods.get("x/a") is None and gone)
        return taken(self, uid)

    gone = []
    made._pods.add_handler(deleted=made._gone)
    made._pods.add_handler(deleted=gone.append)
    made._pods.start()
    made._pods.wait_for_sync()
    monkeypatch.setattr(network_addresses.AddressPool, "take", it_goes)
    assert made._sync("x/a") is None
    made.stop()
    client.close()
    api.stop()
    assert pool._owners == {}
