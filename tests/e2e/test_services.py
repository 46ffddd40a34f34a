"""What a Service promises, by real requests over two nodes and in both proxy modes: who answers, and whom they see.

Servers tell their name and the client's address. Clients are a pod, a pod in its node's network, and this machine.
"""

import json
import subprocess

import pytest

from tests.e2e.conftest import Cluster, eventually, kubeshim, settled

SERVER = (
    "mkdir -p /tmp/www/cgi-bin; cd /tmp/www/cgi-bin; echo '#!/bin/sh' > who; "
    "echo 'echo Content-Type: text/plain; echo; echo $SERVED_BY $REMOTE_ADDR' >> who; "
    "chmod +x who; SERVED_BY=$(hostname) exec httpd -f -p 8080 -h /tmp/www"
)
PODS = """
apiVersion: v1
kind: Pod
metadata: {name: one, labels: {app: web}}
spec:
  nodeName: %(name)s-node-1
  containers: [{name: c, image: "kubeshim.example/busybox:1", command: [sh, -c, %(server)s]}]
---
apiVersion: v1
kind: Pod
metadata: {name: two, labels: {app: web, only: two}}
spec:
  nodeName: %(name)s-node-1
  containers: [{name: c, image: "kubeshim.example/busybox:1", command: [sh, -c, %(server)s]}]
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  nodeName: %(name)s-node-2
  containers: [{name: c, image: "kubeshim.example/busybox:1", args: [sleep, "1000"]}]
---
apiVersion: v1
kind: Pod
metadata: {name: node-client}
spec:
  nodeName: %(name)s-node-2
  hostNetwork: true
  containers: [{name: c, image: "kubeshim.example/busybox:1", args: [sleep, "1000"]}]
"""
EXTERNAL = "192.0.2.55"
"""Of a documentation range: only the proxy's rules lead anywhere."""


class World:
    """A cluster and its places."""

    def __init__(self, cluster):
        self.cluster = cluster
        pods = {item["metadata"]["name"]: item["status"] for item in cluster.get("pods")["items"]}
        self.pod = {name: status["podIP"] for name, status in pods.items()}
        self.nodes = [pods["one"]["hostIP"], pods["client"]["hostIP"]]
        self.machine = self.nodes[0].rpartition(".")[0] + ".1"

    def service(self, name, selector=None, **spec):
        """Makes a Service; gives its spec once the API has completed it."""
        ports = [{"port": 80, "targetPort": 8080}]
        spec = {"selector": selector or {"app": "web"}, "ports": ports, **spec}
        wanted = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
        self.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(wanted))
        if spec.get("type") == "LoadBalancer":
            eventually(lambda: self.balancer(name))
        return self.cluster.get("service", name)["spec"]

    def balancer(self, name):
        ingress = self.cluster.get("service", name)["status"]["loadBalancer"].get("ingress") or [{}]
        return ingress[0].get("ip", "")

    def ask(self, who, address, port=80, patience=20):
        """(who answered, whom they saw), or nothing after ``patience`` seconds."""
        url = f"http://{address}:{port}/cgi-bin/who"
        if who == "machine":
            command = ["curl", "-s", "--noproxy", "*", "-m", str(patience), url]
            told = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        else:
            command = ("exec", who, "--", "timeout", str(patience), "wget", "-qO-", url)
            told = self.cluster.kubectl(*command, check=False).stdout
        return tuple(told.replace("[::ffff:", "").replace("]", "").split()) or None

    def seen(self, who, address, port=80, times=8):
        return {self.ask(who, address, port) for _ in range(times)}

    def silent(self, who, address, port=80):
        return self.ask(who, address, port, patience=2) is None

    def spreads(self, who, address):
        """What is seen until both pods have answered; by chance alone one of them would not in all these tries."""
        seen = set()
        for _ in range(40):
            seen.add(self.ask(who, address))
            if {name for name, _ in filter(None, seen)} == {"one", "two"}:
                break
        return seen


@pytest.fixture(scope="module", params=["nftables", "iptables"])
def world(request, tmp_path_factory, kubectl_path, images):
    name, where = f"e2e-services-{request.param[:3]}", tmp_path_factory.mktemp(request.param)
    kubeconfig, config = where / "config", where / "cluster.json"
    config.write_text(json.dumps({"networking": {"upstreamDNS": False}, "proxy": {"mode": request.param}}))
    arguments = ["--name", name, "--kubeconfig", str(kubeconfig)]
    kubeshim("up", *arguments, "--config", str(config), "--nodes", "2")
    running = Cluster(name, kubeconfig, kubectl_path)
    try:
        running.kubectl("apply", "-f", "-", stdin=PODS % {"name": name, "server": json.dumps(SERVER)})
        running.kubectl("wait", "--for=condition=Ready", "pod", "--all", "--timeout=180s")
        found = World(running)
        eventually(lambda: found.ask("machine", found.pod["one"], 8080))
        yield found
    finally:
        done = kubeshim("down", *arguments)
        assert "warning" not in done.stderr, done.stderr


def test_cluster_ips_spread_and_show_pods_as_they_are(world):
    address = world.service("web")["clusterIP"]
    eventually(lambda: world.ask("client", address))
    assert world.spreads("client", address) == {(name, world.pod["client"]) for name in ("one", "two")}
    assert {who for who, _ in world.spreads("node-client", address)} == {"one", "two"}
    assert {seen for _, seen in world.seen("node-client", address, times=4)} == {world.nodes[1]}
    # What comes from outside the cluster's pods is seen as the node that it came through.
    assert {seen for _, seen in world.seen("machine", address)} <= set(world.nodes)


def test_a_pod_reaches_itself(world):
    address = world.service("self", {"only": "two"})["clusterIP"]
    eventually(lambda: world.ask("two", address))
    assert world.seen("two", address, times=3) == {("two", world.nodes[0])}


def test_node_ports_on_every_node_and_local_ones_where_endpoints_are(world):
    port = world.service("np", {"only": "two"}, type="NodePort")["ports"][0]["nodePort"]
    for node in world.nodes:
        eventually(lambda node=node: world.ask("machine", node, port))
        assert {who for who, _ in world.seen("client", node, port, 3)} == {"two"}
        assert {seen for _, seen in world.seen("machine", node, port, 3)} == {node}, "not the client's own address"
    local = world.service("np", {"only": "two"}, type="NodePort", externalTrafficPolicy="Local")
    port = local["ports"][0]["nodePort"]
    eventually(lambda: world.ask("machine", world.nodes[0], port) == ("two", world.machine))
    eventually(lambda: world.silent("machine", world.nodes[1], port))  # once that node's proxy knows, too
    from_inside = eventually(lambda: world.ask("client", world.nodes[1], port))
    assert from_inside[0] == "two", "from inside it is as with a Cluster policy"


def test_load_balancers_their_health_and_their_sources(world):
    spec = world.service("lb", type="LoadBalancer", externalTrafficPolicy="Local")
    address = world.balancer("lb")
    eventually(lambda: world.ask("machine", address))
    assert {seen for _, seen in world.seen("machine", address)} == {world.machine}, "the client's own address"
    assert world.ask("client", address)

    def status():
        return [health(node, spec["healthCheckNodePort"]) for node in world.nodes]

    assert settled(status, ["200", "503"]) == ["200", "503"]
    pods = ".".join(world.pod["client"].split(".")[:2]) + ".0.0/16"
    world.service("lb", type="LoadBalancer", loadBalancerSourceRanges=[pods])
    eventually(lambda: world.silent("machine", address))
    eventually(lambda: world.ask("client", address))


def health(node, port):
    command = ["curl", "-s", "--noproxy", "*", "-m", "60", "-o", "/dev/null", "-w", "%{http_code}"]
    url = f"http://{node}:{port}/healthz"
    return subprocess.run([*command, url], capture_output=True, text=True, check=False).stdout


def test_external_addresses(world):
    world.service("ext", {"only": "two"}, externalIPs=[EXTERNAL])
    eventually(lambda: world.ask("client", EXTERNAL))
    assert world.seen("client", EXTERNAL, times=3) == {("two", world.nodes[1])}


def test_an_internal_local_policy(world):
    address = world.service("in", internalTrafficPolicy="Local")["clusterIP"]
    eventually(lambda: world.ask("one", address))
    assert world.silent("client", address), "no endpoint is on its node"


def test_affinity(world):
    address = world.service("sticky", sessionAffinity="ClientIP")["clusterIP"]
    eventually(lambda: world.ask("client", address))
    assert len(world.seen("client", address, times=10)) == 1


def test_named_ports_and_one_whose_endpoints_are_somebodys_own(world):
    by_hand = {
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": "hand-1", "labels": {"kubernetes.io/service-name": "hand"}},
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
        "endpoints": [{"addresses": [world.pod["one"]]}],
    }  # fmt: skip
    ports = [{"name": "http", "port": 81, "targetPort": 1}]
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "hand"}, "spec": {"ports": ports}}
    for wanted in (by_hand, service):
        world.cluster.kubectl("apply", "-f", "-", stdin=json.dumps(wanted))
    address = world.cluster.get("service", "hand")["spec"]["clusterIP"]
    eventually(lambda: world.ask("client", address, 81) == ("one", world.pod["client"]))


def test_nobody_behind_it_is_refused_at_once(world):
    address = world.service("empty", {"app": "nobody"})["clusterIP"]

    def refused():
        told = world.cluster.kubectl(
            "exec", "client", "--", "timeout", "60", "wget", "-qO-", f"http://{address}/", check=False
        )
        return "refused" in told.stderr

    eventually(refused)
