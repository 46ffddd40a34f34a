"""No packet for an address of the cluster leaves the machine: somebody listens on the outward link and hears nothing.

The 'machine' is a namespace with a default route over a link of the test's own, so a packet that did get out would
end in the listener's namespace.
"""

import contextlib
import ipaddress
import pathlib
import select
import socket
import struct

import pytest

from kubeshim.node import namespaces
from kubeshim.node.kube_proxy import nft, services
from kubeshim.node.kubelet import network_host, network_links

pytestmark = pytest.mark.root

CLUSTER = [ipaddress.IPv4Network(cidr) for cidr in ("10.199.0.0/16", "10.198.0.0/16", "172.31.77.0/24")]
UNMATCHED = {
    "a pod of this node that is dead": "10.199.3.99",
    "a pod of a node that is not": "10.199.200.7",
    "a Service that is not": "10.198.44.44",
    "a load balancer that is not": "172.31.77.200",
    "a node that is not": "172.31.77.99",
}
OUTSIDE, CONTROL = "198.18.0.1", "198.19.7.7"
ETH_P_ALL = 3


def addresses(frame):
    """Source and destination of an IPv4 packet, sender and target of an ARP one; nothing of others."""
    kind = struct.unpack_from("!H", frame, 12)[0]
    where = {0x0800: (26, 30), 0x0806: (28, 38)}.get(kind, ())
    return [ipaddress.IPv4Address(frame[at : at + 4]) for at in where]


class Outward:
    """What was heard on the machine's outward link."""

    def __init__(self, run):
        self._socket = run(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)))

    def heard(self):
        found = set()
        while select.select([self._socket], [], [], 0.05)[0]:
            found.update(addresses(self._socket.recv(65536)))
        return found

    def close(self):
        self._socket.close()


@pytest.fixture
def outward(node, ns):
    """Gives the machine an outward link with a default route; forwarding is on, as Docker turns it on."""
    _, in_host = node
    with ns.hold() as pid:

        def plug():
            network_links.create_pair("kst-out", 1500, "eth0", pid)
            with network_links.netlink() as link:
                link.addr("add", index=network_links.index_of(link, "kst-out"), address="198.18.0.2", prefixlen=24)
                link.route("add", dst="default", gateway=OUTSIDE)
            pathlib.Path("/proc/sys/net/ipv4/ip_forward").write_text("1")

        in_host(plug)

        def answer():
            with network_links.netlink() as link:
                index = network_links.index_of(link, "eth0")
                link.addr("add", index=index, address=OUTSIDE, prefixlen=24)
                link.link("set", index=index, state="up")

        run = lambda function: namespaces.run_in(namespaces.of_process(pid), function)  # noqa: E731
        run(answer)
        listening = Outward(run)
        yield listening
        listening.close()


def probe(run, address):
    """A TCP connection that nobody waits for, and a datagram."""

    def send():
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp:
            tcp.setblocking(False)
            with contextlib.suppress(OSError):
                tcp.connect((address, 80))
            select.select([], [tcp], [], 0.1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, contextlib.suppress(OSError):
            udp.sendto(b"?", (address, 53))

    run(send)


@pytest.mark.parametrize("proxy", [True, False], ids=["with kube-proxy", "without kube-proxy"])
def test_nothing_for_the_cluster_leaves_the_machine(node, ns, outward, proxy):
    made, in_host = node
    with contextlib.ExitStack() as stack:
        pid = stack.enter_context(ns.hold())
        made.attach(pid, "10.199.3.2", "u1")
        if proxy:
            backend = stack.enter_context(
                contextlib.closing(
                    nft.NftBackend(
                        made.run_in_node,
                        services.Node("n1", ("172.31.77.2",), "10.199.0.0/16", ("10.198.0.0/16",)),
                    )
                )
            )
            backend.sync(whole=True)
        everywhere = {
            "host": in_host,
            "node": made.run_in_node,
            "pod": lambda function: made.run_in_pod(pid, function),
        }
        for name, run in everywhere.items():
            probe(run, CONTROL)
            assert ipaddress.IPv4Address(CONTROL) in outward.heard() or name != "host", "the listener hears"
        for name, run in everywhere.items():
            for what, address in UNMATCHED.items():
                probe(run, address)
                leaked = [a for a in outward.heard() if a == ipaddress.IPv4Address(address)]
                assert leaked == [], f"{name} asked for {what}"


def test_nor_when_the_node_is_gone(node, outward):
    """Its routes go with its link; then the machine itself must hold what is sent."""
    _, in_host = node
    in_host(lambda: network_links.remove_link("kst-h"))
    probe(in_host, CONTROL)
    assert ipaddress.IPv4Address(CONTROL) in outward.heard()
    for address in ("10.199.3.2", "10.199.200.7", "10.198.0.1"):
        probe(in_host, address)
        assert not any(found in network for found in outward.heard() for network in CLUSTER[:2])
    in_host(lambda: network_host.unprotect_ranges("10.199.0.0/16", "10.198.0.0/16"))
    probe(in_host, "10.199.3.2")
    assert ipaddress.IPv4Address("10.199.3.2") in outward.heard(), "it was the protection that held them"
