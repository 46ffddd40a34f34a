"""The proxy against an API and the kernel: that it follows, and what it survives."""

import http.client
import json
import subprocess

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


def fetch(run, host, port, path):
    def call():
        connection = http.client.HTTPConnection(host, port, timeout=60)
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        return answer.status, body

    return run(call)


def test_its_own_ports_tell_health_and_metrics(node, api):
    made, in_host = node
    client = api.client()
    client.create(kinds.NODES, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}, "spec": {}})
    running = proxy.Proxy(client, made.run_in_node, "n1", CONFIG)
    running.start()
    try:
        assert running.wait_for_sync(60)
        status, body = fetch(in_host, "172.31.77.2", 10256, "/healthz")
        assert (status, json.loads(body)["nodeEligible"]) == (200, True)
        taint = {"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}
        client.patch(kinds.NODES, "n1", {"spec": {"taints": [taint]}})
        fake_api.eventually(lambda: fetch(in_host, "172.31.77.2", 10256, "/healthz")[0] == 503)
        assert fetch(in_host, "172.31.77.2", 10256, "/livez")[0] == 200
        assert fetch(made.run_in_node, "127.0.0.1", 10249, "/proxyMode") == (200, "nftables")
        assert "kubeproxy_sync_proxy_rules_total" in fetch(made.run_in_node, "127.0.0.1", 10249, "/metrics")[1]
        with pytest.raises(ConnectionRefusedError):  # metrics are the node's own business
            fetch(in_host, "172.31.77.2", 10249, "/metrics")
    finally:
        running.stop()
        client.close()


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
            try:
                return ns.ask(in_host, VIP, 80) == f"{name} 172.31.77.2"
            except OSError as error:
                return name == "nobody" and isinstance(error, ConnectionRefusedError)

        running = proxy.Proxy(client, made.run_in_node, "n1", CONFIG)
        running.start()
        assert running.wait_for_sync(60)
        assert answers("one")
        found = client.get(kinds.ENDPOINT_SLICES, "web-x", "ns")
        client.update(kinds.ENDPOINT_SLICES, {**found, "endpoints": piece("10.199.3.3")["endpoints"]})
        fake_api.eventually(lambda: answers("two"))
        api.stop()
        assert answers("two"), "the rules need no API server"
        made.run_in_node(lambda: subprocess.run(["nft", "flush", "ruleset"], check=True))
        fake_api.eventually(lambda: answers("two"))
        running.stop()
        assert answers("two"), "nor the proxy"
        api.start()
        again = proxy.Proxy(client, made.run_in_node, "n1", CONFIG)
        again.start()
        assert again.wait_for_sync(60)
        client.delete(kinds.SERVICES, "web", "ns")
        fake_api.eventually(lambda: answers("nobody"))
        assert again.healthy()
        assert "kubeproxy_sync_proxy_rules_total" in again.metrics()
        again.stop()
        client.close()
