"""Both backends against the kernel, in both families: real connections through the rules, in the test's namespaces."""

import contextlib
import dataclasses
import socket
import time
import types

import pytest

from kubeshim.node.kube_proxy import conntrack, iptables, nft, services
from tests import netns, sctp

pytestmark = pytest.mark.root

FAMILIES = {
    4: types.SimpleNamespace(
        one="10.199.3.2", two="10.199.3.3", vip="10.198.0.5", nowhere="10.198.7.7", outside="10.198.200.1",
        node=netns.NODE, host=netns.HOST, pods=netns.PODS, services=netns.SERVICES,
    ),
    6: types.SimpleNamespace(
        one="fd99:0:0:3::2", two="fd99:0:0:3::3", vip="fd98::5", nowhere="fd98::77", outside="fd98::2001",
        node=netns.NODE6, host=netns.HOST6, pods=netns.PODS6, services=netns.SERVICES6,
    ),
}  # fmt: skip


class World:
    """Two pods that answer, a backend, and ways to ask from host, node and pods."""

    def __init__(self, made, in_host, pids, version, backend_class):
        self.made, self.host, self.at, self._pids = made, in_host, FAMILIES[version], pids
        self.node = services.Node("n1", (self.at.node,), self.at.pods, (self.at.services,))
        self.backend = backend_class(made.run_in_node, self.node)

    def first(self, function):
        return self.made.run_in_pod(self._pids[0], function)

    def second(self, function):
        return self.made.run_in_pod(self._pids[1], function)

    def in_node(self, function):
        return self.made.run_in_node(function)

    def frontend(self, kind="cluster", address="", port=80, chosen=("one", "two"), local=None, **more):
        address = "" if kind == "node-port" else address or self.at.vip
        inner = more.pop("inner", 8080)
        cluster = tuple((getattr(self.at, name), inner) for name in chosen)
        near = cluster if local is None else tuple((getattr(self.at, name), inner) for name in local)
        return services.Frontend(kind, more.pop("protocol", "tcp"), address, port, cluster, near, **more)

    def put(self, *frontends, owner="a/x", whole=False):
        self.backend.replace(owner, list(frontends))
        self.backend.sync(whole=whole)

    def answers(self, run, address, port, times=40):
        return {netns.ask(run, address, port) for _ in range(times)}

    def names(self, run, address, port, times=40):
        return {text.split()[0] for text in self.answers(run, address, port, times)}

    def told(self, *pairs):
        """Answers as servers give them: of ``name``, who saw the node, the host, or a pod."""
        return {f"{name} {getattr(self.at, who)}" for name, who in pairs}


@pytest.fixture(
    params=[(backend, version) for version in FAMILIES for backend in (nft.NftBackend, iptables.IptablesBackend)],
    ids=lambda pair: f"{'nft' if pair[0] is nft.NftBackend else 'iptables'}-IPv{pair[1]}",
)
def world(request, dual):
    made, in_host = dual
    backend_class, version = request.param
    with contextlib.ExitStack() as stack:
        pids = [stack.enter_context(netns.hold()) for _ in range(2)]
        for name, pid in zip(("one", "two"), pids, strict=True):
            made.attach(pid, getattr(FAMILIES[4], name), name, others=[getattr(FAMILIES[6], name)])
            netns.serve(lambda function, pid=pid: made.run_in_pod(pid, function), name, 8080)
        found = World(made, in_host, pids, version, backend_class)
        with contextlib.closing(found.backend):
            yield found


def test_services_answer_and_refuse(world):
    world.put(whole=True)
    for run in (world.first, world.in_node, world.host):
        with pytest.raises(ConnectionRefusedError):
            netns.ask(run, world.at.nowhere, 80)
    world.put(world.frontend(), world.frontend("node-port", port=30080))
    assert world.backend.stands()
    # A pod that reaches itself sees the node; the other sees the pod.
    assert world.answers(world.first, world.at.vip, 80) == world.told(("one", "node"), ("two", "one"))
    both = world.told(("one", "node"), ("two", "node"))
    assert world.answers(world.in_node, world.at.vip, 80) == both
    assert world.answers(world.host, world.at.vip, 80) == both
    assert world.answers(world.host, world.at.node, 30080) == both
    gone = world.frontend("node-port", port=30080, chosen=())
    world.put(world.frontend(chosen=("one",)), gone)
    assert world.answers(world.host, world.at.vip, 80) == world.told(("one", "node"))
    with pytest.raises(ConnectionRefusedError):
        netns.ask(world.host, world.at.node, 30080)
    world.put(world.frontend(chosen=()))
    with pytest.raises(ConnectionRefusedError):
        netns.ask(world.first, world.at.vip, 80)


def test_local_policies(world):
    world.put(world.frontend("node-port", port=30080, local=("two",), local_only=True), whole=True)
    kept = world.told(("two", "host"))
    assert world.answers(world.host, world.at.node, 30080) == kept, "the client's address is kept"
    assert world.names(world.first, world.at.node, 30080) == {"one", "two"}
    nobody = world.frontend("node-port", port=30080, local=(), local_only=True)
    world.put(nobody, world.frontend(local=("one",), local_only=True))
    with pytest.raises(TimeoutError):
        netns.ask(world.host, world.at.node, 30080, patience=1)
    assert world.answers(world.host, world.at.vip, 80) == world.told(("one", "node"))


def test_affinity_stays_and_moves(world):
    world.put(world.frontend(affinity=100), whole=True)
    seen = world.answers(world.host, world.at.vip, 80)
    assert len(seen) == 1
    before = seen.pop().split()[0]
    world.backend.sync(whole=True)
    assert world.names(world.host, world.at.vip, 80, 4) == {before}, "a rewrite keeps affinities"
    moved = {"one": "two", "two": "one"}[before]
    world.put(world.frontend(chosen=(moved,), affinity=100))
    assert world.names(world.host, world.at.vip, 80) == {moved}
    world.put(world.frontend(affinity=100))
    assert world.names(world.host, world.at.vip, 80) == {moved}
    world.put(world.frontend())
    assert world.names(world.first, world.at.vip, 80) == {"one", "two"}


def test_an_affinity_ends_with_its_time(world):
    """One that is asked for within its seconds goes on, whatever is added beside it."""
    ends = time.monotonic() + 60
    while True:
        world.put(world.frontend(affinity=1, chosen=("one",)), whole=True)
        began = time.monotonic()
        assert world.names(world.host, world.at.vip, 80, 3) == {"one"}
        world.put(world.frontend(affinity=1))
        seen = world.names(world.host, world.at.vip, 80, 3)
        if time.monotonic() < began + 1:
            break
        assert time.monotonic() < ends, "never within its seconds"
    assert seen == {"one"}
    ends = time.monotonic() + 60
    while world.names(world.host, world.at.vip, 80, 1) == {"one"} and time.monotonic() < ends:
        time.sleep(1.2)
    assert time.monotonic() < ends


def test_sources_may_be_restricted(world):
    outside = world.at.outside  # of the Service range, so that it dies here when no rule matches
    world.put(world.frontend("external", outside, sources=(world.at.pods,)), whole=True)
    assert world.names(world.first, outside, 80) == {"one", "two"}
    with pytest.raises(TimeoutError):
        netns.ask(world.host, outside, 80, patience=1)


def test_another_process_takes_over(world):
    world.put(world.frontend(), whole=True)
    again = type(world.backend)(world.made.run_in_node, world.node)
    with contextlib.closing(again):
        again.replace("a/y", [world.frontend(chosen=("two",))])
        again.sync(whole=True)
        assert world.answers(world.host, world.at.vip, 80) == world.told(("two", "node"))
        again.remove()
        assert not again.stands()
        with pytest.raises(OSError):
            netns.ask(world.host, world.at.vip, 80, patience=1)


def test_one_port_of_two_protocols(world):
    sockets = [datagrams(world, run) for run in (world.first, world.second)]
    with contextlib.ExitStack() as stack:
        for each in sockets:
            stack.enter_context(contextlib.closing(each))
        sockets[1].bind(("::", 5353))
        tcp, udp = world.frontend(chosen=("one",)), world.frontend(chosen=("two",), protocol="udp", inner=5353)
        world.put(tcp, udp, whole=True)
        assert world.names(world.host, world.at.vip, 80, 4) == {"one"}
        client = stack.enter_context(contextlib.closing(datagrams(world, world.host)))
        client.sendto(b"a", (mapped(world.at.vip), 80))
        assert sockets[1].recv(10) == b"a"
        world.put(udp)
        with pytest.raises(ConnectionRefusedError):
            netns.ask(world.host, world.at.vip, 80)


def test_udp_flows_to_gone_endpoints_are_forgotten(world):
    servers = [datagrams(world, run) for run in (world.first, world.second)]
    client = datagrams(world, world.host)
    with servers[0], servers[1], client:
        for server in servers:
            server.bind(("::", 5353))
        wanted = {"protocol": "udp", "inner": 5353}
        world.put(world.frontend(chosen=("one",), **wanted), whole=True)
        client.sendto(b"a", (mapped(world.at.vip), 80))
        assert servers[0].recv(10) == b"a"
        world.put(changed := world.frontend(chosen=("two",), **wanted))
        forgotten = world.in_node(lambda: conntrack.forget(conntrack.targets([changed], world.node)))
        assert forgotten == 1
        client.sendto(b"b", (mapped(world.at.vip), 80))
        assert servers[1].recv(10) == b"b"


def test_sctp_is_rewritten(world):
    """A first packet comes to the endpoint's port; without one it is refused, or at least goes nowhere."""
    family = socket.AF_INET6 if ":" in world.at.vip else socket.AF_INET
    with world.second(lambda: sctp.raw(family)) as server, world.host(lambda: sctp.raw(family)) as client:
        server.settimeout(60)
        world.put(world.frontend(chosen=("two",), protocol="sctp"), whole=True)
        client.sendto(sctp.init(4001, 80), (world.at.vip, 0))
        assert sctp.ports(server.recv(2048), family)[1] == 8080
        world.put(world.frontend(chosen=(), protocol="sctp"))
        client.sendto(sctp.init(4002, 80), (world.at.vip, 0))
        server.settimeout(0.3)
        with pytest.raises(TimeoutError):
            server.recv(2048)


def test_masquerade_all(world):
    node = dataclasses.replace(world.node, masquerade_all=True)
    again = type(world.backend)(world.made.run_in_node, node)
    with contextlib.closing(again):
        again.replace("a/x", [world.frontend(chosen=("two",))])
        again.sync(whole=True)
        assert world.answers(world.first, world.at.vip, 80) == world.told(("two", "node"))


def datagrams(world, run):
    made = run(lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
    made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    made.settimeout(60)
    return made


def mapped(address):
    return address if ":" in address else f"::ffff:{address}"
