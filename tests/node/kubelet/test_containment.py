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
from tests import netns

pytestmark = pytest.mark.root

CLUSTER = [ipaddress.ip_network(cidr) for cidr in (netns.PODS, netns.SERVICES, netns.PODS6, netns.SERVICES6)]
UNMATCHED = {
    "a pod of this node that is dead": "10.199.3.99",
    "a pod of a node that is not": "10.199.200.7",
    "a Service that is not": "10.198.44.44",
    "a load balancer that is not": "172.31.77.200",
    "a node that is not": "172.31.77.99",
    "an IPv6 pod of this node that is dead": "fd99:0:0:3::99",
    "an IPv6 pod of a node that is not": "fd99:0:0:7::7",
    "an IPv6 Service that is not": "fd98::4444",
    "an IPv6 node that is not": "fd77::99",
}
OUTSIDE, CONTROLS = "198.18.0.1", ipaddress.ip_network("198.19.0.0/16")
OUTSIDE6, CONTROL6 = "2001:db8:18::1", "2001:db8:19::7"
ETH_P_ALL = 3


def addresses(frame):
    """Source and destination of a packet, and whom an ARP one or a neighbour solicitation asks for."""
    kind = struct.unpack_from("!H", frame, 12)[0]
    if kind == 0x86DD:
        solicited = frame[20] == 58 and len(frame) >= 78 and frame[54] == 135
        return [ipaddress.IPv6Address(frame[at : at + 16]) for at in ((22, 38, 62) if solicited else (22, 38))]
    where = {0x0800: (26, 30), 0x0806: (28, 38)}.get(kind, ())
    return [ipaddress.IPv4Address(frame[at : at + 4]) for at in where]


class Outward:
    """What is heard on the machine's outward link, in the order in which it was sent."""

    def __init__(self, run, in_host):
        self._socket = run(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)))
        self._in_host = in_host
        self._controls = map(str, CONTROLS.hosts())

    def heard(self):
        """Everything up to a packet that is sent out now."""
        control = next(self._controls)
        probe(self._in_host, control)
        return self.hear(control)

    def hear(self, address):
        """Listens until something for ``address`` comes by."""
        found = set()
        while ipaddress.ip_address(address) not in found:
            assert select.select([self._socket], [], [], 60)[0], f"nothing for {address}"
            found.update(addresses(self._socket.recv(65536)))
        return found

    def close(self):
        self._socket.close()


@pytest.fixture
def outward(dual, ns):
    """Gives the machine an outward link with a default route; forwarding is on, as Docker turns it on."""
    _, in_host = dual
    with ns.hold() as pid:

        def plug():
            network_links.create_pair("kst-out", 1500, "eth0", pid)
            with network_links.netlink() as link:
                index = network_links.index_of(link, "kst-out")
                link.addr("add", index=index, address="198.18.0.2", prefixlen=24)
                link.addr("add", family=10, index=index, address="2001:db8:18::2", prefixlen=64, flags=2)
                link.route("add", dst="default", gateway=OUTSIDE)
                link.route("add", family=10, dst="default", gateway=OUTSIDE6)
            for name in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
                pathlib.Path("/proc/sys/net", name).write_text("1")

        in_host(plug)

        def answer():
            with network_links.netlink() as link:
                index = network_links.index_of(link, "eth0")
                link.addr("add", index=index, address=OUTSIDE, prefixlen=24)
                link.addr("add", family=10, index=index, address=OUTSIDE6, prefixlen=64, flags=2)
                link.link("set", index=index, state="up")

        run = lambda function: namespaces.run_in(namespaces.of_process(pid), function)  # noqa: E731
        run(answer)
        listening = Outward(run, in_host)
        yield listening
        listening.close()


def probe(run, address):
    """A TCP connection that nobody waits for, and a datagram."""

    family = socket.AF_INET6 if ":" in address else socket.AF_INET

    def send():
        with socket.socket(family, socket.SOCK_STREAM) as tcp:
            tcp.setblocking(False)
            with contextlib.suppress(OSError):
                tcp.connect((address, 80))
            select.select([], [tcp], [], 0.1)
        with socket.socket(family, socket.SOCK_DGRAM) as udp, contextlib.suppress(OSError):
            udp.sendto(b"?", (address, 53))

    run(send)


@pytest.mark.parametrize("proxy", [True, False], ids=["with kube-proxy", "without kube-proxy"])
def test_nothing_for_the_cluster_leaves_the_machine(dual, ns, outward, proxy):
    made, in_host = dual
    with contextlib.ExitStack() as stack:
        pid = stack.enter_context(ns.hold())
        made.attach(pid, "10.199.3.2", "u1", others=["fd99:0:0:3::2"])
        for address, pods, ranges in (
            ((netns.NODE,), netns.PODS, (netns.SERVICES,)),
            ((netns.NODE6,), netns.PODS6, (netns.SERVICES6,)),
        ):
            if proxy:
                place = services.Node("n1", address, pods, ranges)
                backend = stack.enter_context(contextlib.closing(nft.NftBackend(made.run_in_node, place)))
                backend.sync(whole=True)
        everywhere = {
            "host": in_host,
            "node": made.run_in_node,
            "pod": lambda function: made.run_in_pod(pid, function),
        }
        probe(in_host, CONTROL6)
        outward.hear(CONTROL6)
        for name, run in everywhere.items():
            for what, address in UNMATCHED.items():
                probe(run, address)
                leaked = [a for a in outward.heard() if a == ipaddress.ip_address(address)]
                assert leaked == [], f"{name} asked for {what}"


def test_nor_when_the_node_is_gone(dual, outward):
    """Its routes go with its link; then the machine itself must hold what is sent."""
    _, in_host = dual
    in_host(lambda: network_links.remove_link("kst-h"))
    probe(in_host, CONTROL6)
    outward.hear(CONTROL6)
    held = ("10.199.3.2", "10.199.200.7", "10.198.0.1", "fd99:0:0:3::2", "fd98::1")
    for address in held:
        probe(in_host, address)
        assert not any(found in network for found in outward.heard() for network in CLUSTER)
    in_host(lambda: network_host.unprotect_ranges(*map(str, CLUSTER)))
    for address in ("10.199.3.2", "fd99:0:0:3::2"):
        probe(in_host, address)
        outward.hear(address)  # it was the protection that held them
