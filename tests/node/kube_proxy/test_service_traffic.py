"""Both backends against the kernel: real connections through the rules, inside namespaces of the test's own."""

import contextlib
import socket

import pytest

from kubeshim.node.kube_proxy import conntrack, iptables, nft, services

pytestmark = pytest.mark.root

NODE = services.Node("n1", ("172.31.77.2",), "10.199.0.0/16", ("10.198.0.0/16",))
ONE, TWO = ("10.199.3.2", 8080), ("10.199.3.3", 8080)
VIP = "10.198.0.5"


def frontend(kind="cluster", address=VIP, port=80, cluster=(ONE, TWO), local=(ONE, TWO), protocol="tcp", **more):
    return services.Frontend(kind, protocol, address, port, cluster, local, **more)


@pytest.fixture(params=[nft.NftBackend, iptables.IptablesBackend], ids=["nft", "iptables"])
def world(request, node, ns):
    """Two pods that answer, a backend, and ways to ask from host, node and pods."""
    made, in_host = node
    with ns.hold() as first, ns.hold() as second:
        made.attach(first, ONE[0], "u1")
        made.attach(second, TWO[0], "u2")
        run_first = lambda function: made.run_in_pod(first, function)  # noqa: E731
        run_second = lambda function: made.run_in_pod(second, function)  # noqa: E731
        ns.serve(run_first, "one", 8080)
        ns.serve(run_second, "two", 8080)
        backend = request.param(made.run_in_node, NODE)
        with contextlib.closing(backend):
            yield ns, made, in_host, run_first, run_second, backend


def put(backend, *frontends, owner="a/x", whole=False):
    backend.replace(owner, list(frontends))
    backend.sync(whole=whole)


def answers(ns, run, address, port, times=12):
    return {ns.ask(run, address, port) for _ in range(times)}


def test_services_answer_and_refuse(world):
    ns, made, in_host, first, _, backend = world
    put(backend, whole=True)
    for run in (first, made.run_in_node, in_host):
        with pytest.raises(ConnectionRefusedError):
            ns.ask(run, "10.198.7.7", 80)
    put(backend, frontend(), frontend("node-port", "", 30080))
    assert backend.stands()
    # A pod that reaches itself sees the node; the other sees the pod.
    assert answers(ns, first, VIP, 80) == {"one 172.31.77.2", "two 10.199.3.2"}
    assert answers(ns, made.run_in_node, VIP, 80) == {"one 172.31.77.2", "two 172.31.77.2"}
    assert answers(ns, in_host, VIP, 80) == {"one 172.31.77.2", "two 172.31.77.2"}
    assert answers(ns, in_host, "172.31.77.2", 30080) == {"one 172.31.77.2", "two 172.31.77.2"}
    put(backend, frontend(cluster=(ONE,)), frontend("node-port", "", 30080, cluster=(), local=()))
    assert answers(ns, in_host, VIP, 80) == {"one 172.31.77.2"}
    with pytest.raises(ConnectionRefusedError):
        ns.ask(in_host, "172.31.77.2", 30080)
    put(backend, frontend(cluster=(), local=()))
    with pytest.raises(ConnectionRefusedError):
        ns.ask(first, VIP, 80)


def test_local_policies(world):
    ns, _, in_host, first, _, backend = world
    put(backend, frontend("node-port", "", 30080, local=(TWO,), local_only=True), whole=True)
    assert answers(ns, in_host, "172.31.77.2", 30080) == {"two 172.31.77.1"}, "the client's address is kept"
    assert {text.split()[0] for text in answers(ns, first, "172.31.77.2", 30080, 20)} == {"one", "two"}
    put(backend, frontend("node-port", "", 30080, local=(), local_only=True), frontend(local=(ONE,), local_only=True))
    with pytest.raises(TimeoutError):
        ns.ask(in_host, "172.31.77.2", 30080)
    assert answers(ns, in_host, VIP, 80) == {"one 172.31.77.2"}


def test_affinity_stays_and_moves(world):
    ns, _, in_host, first, _, backend = world
    put(backend, frontend(affinity=100), whole=True)
    seen = answers(ns, in_host, VIP, 80)
    assert len(seen) == 1
    before = seen.pop().split()[0]
    backend.sync(whole=True)
    assert answers(ns, in_host, VIP, 80, 4) == {f"{before} 172.31.77.2"}, "a rewrite keeps affinities"
    other = TWO if before == "one" else ONE
    put(backend, frontend(cluster=(other,), affinity=100))
    moved = {"one": "two", "two": "one"}[before]
    assert answers(ns, in_host, VIP, 80) == {f"{moved} 172.31.77.2"}
    put(backend, frontend(cluster=(ONE, TWO), affinity=100))
    assert answers(ns, in_host, VIP, 80) == {f"{moved} 172.31.77.2"}
    put(backend, frontend())
    assert {text.split()[0] for text in answers(ns, first, VIP, 80, 20)} == {"one", "two"}


def test_sources_may_be_restricted(world):
    ns, _, in_host, first, _, backend = world
    outside = "10.198.200.1"  # of the Service range, so that it dies here when no rule matches
    put(backend, frontend("external", outside, sources=("10.199.0.0/16",)), whole=True)
    assert {text.split()[0] for text in answers(ns, first, outside, 80)} == {"one", "two"}
    with pytest.raises(TimeoutError):
        ns.ask(in_host, outside, 80)


def test_another_process_takes_over(world):
    ns, made, in_host, _, _, backend = world
    put(backend, frontend(), whole=True)
    again = type(backend)(made.run_in_node, NODE)
    with contextlib.closing(again):
        put(again, frontend(cluster=(TWO,)), owner="a/y", whole=True)
        assert answers(ns, in_host, VIP, 80) == {"two 172.31.77.2"}
        again.remove()
        assert not again.stands()
        with pytest.raises(OSError):
            ns.ask(in_host, VIP, 80)


def test_udp_flows_to_gone_endpoints_are_forgotten(world):
    _, made, in_host, first, second, backend = world
    servers = [run(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for run in (first, second)]
    client = in_host(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    for each in (*servers, client):
        each.settimeout(2)
    with servers[0], servers[1], client:
        for server in servers:
            server.bind(("0.0.0.0", 5353))
        one, two = (ONE[0], 5353), (TWO[0], 5353)
        put(backend, frontend(cluster=(one,), local=(), protocol="udp"), whole=True)
        client.sendto(b"a", (VIP, 80))
        assert servers[0].recv(10) == b"a"
        put(backend, changed := frontend(cluster=(two,), local=(), protocol="udp"))
        assert made.run_in_node(lambda: conntrack.forget(conntrack.targets([changed], NODE))) == 1
        client.sendto(b"b", (VIP, 80))
        assert servers[1].recv(10) == b"b"
