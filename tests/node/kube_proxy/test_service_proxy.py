"""The proxy against an API and the kernel: how soon it follows, and what it survives."""

import subprocess
import time

import pytest

from kubeshim.client import kinds
from kubeshim.node.kube_proxy import proxy
from tests import fake_api

pytestmark = pytest.mark.root

VIP = "10.198.0.7"
CONFIG = proxy.ProxyConfig(("172.31.77.2",), "10.199.0.0/16", ("10.198.0.0/16",), mode="nftables", resync=0.2)

SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web", "namespace": "ns"},
    "spec": {"type": "ClusterIP", "clusterIP": VIP, "ports": [{"port": 80, "protocol": "TCP"}]},
}


def piece(*addresses):
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "web-x", "namespace": "ns", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}} for address in addresses],
    }


@pytest.fixture
def api():
    made = fake_api.FakeApi()
    yield made
    made.stop()


def eventually(check, seconds=3.0):
    """The first true answer of ``check``, and after how many seconds."""
    start = time.monotonic()
    while time.monotonic() - start < seconds:
        try:
            if check():
                return time.monotonic() - start
        except OSError:
            pass
        time.sleep(0.002)
    raise AssertionError("it did not come about")


def test_the_proxy_follows_and_survives(node, ns, api):
    made, in_host = node
    client = api.client()
    client.create(kinds.SERVICES, SERVICE, "ns")
    client.create(kinds.ENDPOINT_SLICES, piece("10.199.3.2"), "ns")
    with ns.hold() as first, ns.hold() as second:
        for pid, address, name in ((first, "10.199.3.2", "one"), (second, "10.199.3.3", "two")):
            made.attach(pid, address, name)
            ns.serve(lambda function, pid=pid: made.run_in_pod(pid, function), name, 8080)

        def answers(name):
            return ns.ask(in_host, VIP, 80) == f"{name} 172.31.77.2"

        running = proxy.Proxy(client, made.run_in_node, "n1", CONFIG)
        running.start()
        assert running.wait_for_sync(5)
        assert answers("one")
        found = client.get(kinds.ENDPOINT_SLICES, "web-x", "ns")
        client.update(kinds.ENDPOINT_SLICES, {**found, "endpoints": piece("10.199.3.3")["endpoints"]})
        assert eventually(lambda: answers("two")) < 1
        api.stop()
        assert answers("two"), "the rules need no API server"
        made.run_in_node(lambda: subprocess.run(["nft", "flush", "ruleset"], check=True))
        eventually(lambda: answers("two"))
        running.stop()
        assert answers("two"), "nor the proxy"
        api.start()
        again = proxy.Proxy(client, made.run_in_node, "n1", CONFIG)
        again.start()
        assert again.wait_for_sync(5)
        client.delete(kinds.SERVICES, "web", "ns")
        with pytest.raises(AssertionError):
            eventually(lambda: answers("two") and False, 0.5)
        with pytest.raises(ConnectionRefusedError):
            ns.ask(in_host, VIP, 80)
        assert again.healthy()
        assert "kubeproxy_sync_proxy_rules_total" in again.metrics()
        again.stop()
        client.close()
