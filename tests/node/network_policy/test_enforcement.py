"""Policies against the kernel: every pod asks every other at every port, and the matrix must be the expected one."""

import contextlib
import dataclasses
import socket
import threading
import time

import pytest

from kubeshim.client import kinds
from kubeshim.node import nftables
from kubeshim.node.network_policy import enforcer, policies, rules
from tests import fake_api

pytestmark = pytest.mark.root

SPACES = {"x": {"ns": "x"}, "y": {"ns": "y"}}
WHERE = {"x/a": "10.199.3.2", "x/b": "10.199.3.3", "y/a": "10.199.3.4", "y/b": "10.199.3.5"}
PORTS = (80, 81)
EVERYTHING = {(who, whom, port) for who in (*WHERE, "outside") for whom in WHERE for port in PORTS}


@dataclasses.dataclass
class World:
    """Four pods in two namespaces, behind one node; and the host, which is outside of the cluster."""

    run: dict
    in_node: object

    def connect(self, who, whom, port, patience=0.3):
        """Seconds of ``patience`` are for what must not get through; what must is asked for with ``reaches``."""

        def call():
            with contextlib.suppress(OSError), socket.create_connection((WHERE[whom], port), timeout=patience):
                return True
            return False

        return self.run[who](call)

    def reaches(self, who, whom, port):
        return self.connect(who, whom, port, patience=60)

    def matrix(self, wanted):
        """What gets through. Who is missing is asked for once more, with patience: an answer may be late."""
        found = self.all_that_get_through(EVERYTHING, 0.3)
        return found | self.all_that_get_through(wanted - found, 10)

    def all_that_get_through(self, asked, patience):
        found, threads = set(), []

        def probe(what):
            if self.connect(*what, patience):
                found.add(what)

        for what in asked:
            threads.append(threading.Thread(target=probe, args=(what,)))
            threads[-1].start()
        for thread in threads:
            thread.join()
        return found


@pytest.fixture
def world(node, ns):
    made, in_host = node
    with contextlib.ExitStack() as stack:
        run = {"outside": in_host}
        for name, address in WHERE.items():
            pid = stack.enter_context(ns.hold())
            made.attach(pid, address, name)
            run[name] = lambda function, pid=pid: made.run_in_pod(pid, function)
            for port in PORTS:
                ns.serve(run[name], name, port)
        yield World(run, made.run_in_node)


def policy(namespace="x", pods=None, **spec):
    selector = {"matchLabels": pods} if pods else {}
    return {"metadata": {"namespace": namespace, "name": "p"}, "spec": {"podSelector": selector, **spec}}


def pod(name):
    namespace, _, label = name.partition("/")
    named = frozenset({("http", "TCP", 80)})
    return policies.Pod(namespace, WHERE[name], {"pod": label}, "n1", named)


def to(*whom, ports=PORTS, who=(*WHERE, "outside")):
    return {(one, other, port) for one in who for other in whom for port in ports}


def itself():
    return {(name, name, port) for name in WHERE for port in PORTS}


X, Y = ("x/a", "x/b"), ("y/a", "y/b")
CASES = {
    "default deny of ingress": (policy(), to(*Y)),
    "default deny of egress": (policy(policyTypes=["Egress"]), to(*WHERE, who=(*Y, "outside"))),
    "allow all": (policy(ingress=[{}]), EVERYTHING),
    "one pod, from its namespace": (
        policy(pods={"pod": "a"}, ingress=[{"from": [{"podSelector": {}}]}]),
        to("x/b", *Y) | to("x/a", who=X),
    ),
    "from another namespace": (
        policy(ingress=[{"from": [{"namespaceSelector": {"matchLabels": {"ns": "y"}}}]}]),
        to(*Y) | to(*X, who=Y),
    ),
    "from pods of another namespace, at a port": (
        policy(
            ingress=[
                {
                    "from": [
                        {
                            "namespaceSelector": {"matchLabels": {"ns": "y"}},
                            "podSelector": {"matchLabels": {"pod": "b"}},
                        }
                    ],
                    "ports": [{"port": 81}],
                }
            ]
        ),
        to(*Y) | to(*X, who=["y/b"], ports=[81]),
    ),
    "a named port": (policy(ingress=[{"ports": [{"port": "http"}]}]), to(*Y) | to(*X, ports=[80])),
    "a range of ports": (
        policy(ingress=[{"ports": [{"port": 81, "endPort": 90}]}]),
        to(*Y) | to(*X, ports=[81]),
    ),
    "a block with an exception": (
        policy(ingress=[{"from": [{"ipBlock": {"cidr": "10.199.0.0/16", "except": ["10.199.3.4/31"]}}]}]),
        to(*Y) | to(*X, who=X),
    ),
    "egress to a namespace": (
        policy(policyTypes=["Egress"], egress=[{"to": [{"namespaceSelector": {"matchLabels": {"ns": "y"}}}]}]),
        to(*WHERE, who=(*Y, "outside")) | to(*Y, who=X),
    ),
    "both directions": (
        policy(policyTypes=["Ingress", "Egress"], ingress=[{"from": [{"podSelector": {}}]}],
               egress=[{"ports": [{"port": 80}]}]),
        to(*Y, who=(*Y, "outside")) | to(*X, *Y, who=X, ports=[80]),
    ),
}  # fmt: skip


def test_the_matrix_of_probes(world):
    nft = nftables.open_in(world.in_node)
    standing = rules.empty()
    nft.run(rules.whole(standing))
    with contextlib.closing(nft):
        for title, (one, expected) in CASES.items():
            wanted = rules.state(policies.isolation([one], [pod(name) for name in WHERE], SPACES, "n1"))
            nft.run("".join(rules.change(standing, wanted)))
            standing = wanted
            wanted = expected | itself()
            assert world.matrix(wanted) == wanted, title
        assert world.in_node(lambda: reaches("x/a")), "the node reaches its own pods whatever policies say"
        nft.run("".join(rules.change(standing, rules.empty())))
        assert world.matrix(EVERYTHING) == EVERYTHING
        chains = [entry["chain"]["name"] for entry in nft.listing(f"list table {rules.table()}") if "chain" in entry]
        assert sorted(chains) == ["egress", "ingress"], "nothing of policies that are gone is left"


def reaches(whom):
    with socket.create_connection((WHERE[whom], 80), timeout=60):
        return True


def test_established_connections_pass_and_both_policies_must_agree(world):
    everyone = [pod(name) for name in WHERE]
    nft = nftables.open_in(world.in_node)
    with contextlib.closing(nft):
        listener = world.run["x/a"](lambda: socket.create_server((WHERE["x/a"], 9000)))
        client = world.run["y/a"](lambda: socket.create_connection((WHERE["x/a"], 9000), timeout=60))
        with listener, client, listener.accept()[0] as server:
            nft.run(rules.whole(rules.state(policies.isolation([policy()], everyone, SPACES, "n1"))))
            client.sendall(b"still here")
            assert server.recv(100) == b"still here"
        deny = [policy(ingress=[{}]), policy("y", policyTypes=["Egress"])]
        nft.run(rules.whole(rules.state(policies.isolation(deny, everyone, SPACES, "n1"))))
        assert not world.connect("y/a", "x/a", 80)
        assert world.reaches("outside", "x/a", 80)


def api_pod(name):
    namespace, _, label = name.partition("/")
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": namespace, "name": label, "labels": {"pod": label}},
        "spec": {"nodeName": "n1", "containers": []},
        "status": {"podIP": WHERE[name], "phase": "Running"},
    }


def test_a_new_pod_is_guarded_before_it_is_connected(world):
    server = fake_api.FakeApi()
    client = server.client()
    for name, labels in SPACES.items():
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        client.create(kinds.NAMESPACES, space)
    client.create(kinds.NETWORK_POLICIES, {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", **policy()})
    guard = enforcer.Enforcer(client, world.in_node, "n1")
    guard.start()
    try:
        new = api_pod("x/a")
        del new["status"]["podIP"]
        made = client.create(kinds.PODS, new)
        guard.admit(made["metadata"]["uid"], [WHERE["x/a"]])
        assert not world.connect("y/a", "x/a", 80)
        made["status"]["podIP"] = WHERE["x/a"]
        client.update(kinds.PODS, made)
        client.create(kinds.PODS, api_pod("x/b"))
        eventually(lambda: not world.connect("y/a", "x/b", 80))
        assert not world.connect("y/a", "x/a", 80)
    finally:
        guard.stop()
        client.close()
        server.stop()


def eventually(check, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_policies_come_change_and_go_live(world):
    server = fake_api.FakeApi()
    client = server.client()
    for name, labels in SPACES.items():
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        client.create(kinds.NAMESPACES, space)
    for name in WHERE:
        client.create(kinds.PODS, api_pod(name))
    guard = enforcer.Enforcer(client, world.in_node, "n1")
    guard.start()
    try:
        wanted = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", **policy()}
        made = client.create(kinds.NETWORK_POLICIES, wanted)
        eventually(lambda: not world.connect("y/a", "x/a", 80))
        assert world.reaches("x/a", "y/a", 80)
        made["spec"]["ingress"] = [{"from": [{"namespaceSelector": {"matchLabels": {"ns": "y"}}}]}]
        client.update(kinds.NETWORK_POLICIES, made)
        eventually(lambda: world.reaches("y/a", "x/a", 80))
        assert not world.connect("outside", "x/a", 80)
        space = client.get(kinds.NAMESPACES, "y")
        space["metadata"]["labels"] = {}
        client.update(kinds.NAMESPACES, space)
        eventually(lambda: not world.connect("y/a", "x/a", 80))
        client.delete(kinds.NETWORK_POLICIES, "p", "x")
        eventually(lambda: world.reaches("outside", "x/a", 80))
    finally:
        guard.stop()
        client.close()
        server.stop()
