"""The second address family of a node and its pods: IPv6 beside IPv4.

All is as with IPv4: a point-to-point link, one /128 address, a gateway address nobody has. Neighbours are written down
at both ends, so nobody asks around, no link has an address of its own, and no address waits to be found unique.

The node's address and the machine's on their common link are put there by us, for the engine, asked for an IPv6
network, would make the machine an IPv6 router. It is none: IPv6 stays within the cluster and the machine, and what pods
send elsewhere has no route and fails at once, so that programs turn to IPv4.
"""

import dataclasses
import ipaddress
import pathlib
from collections.abc import Callable

from kubeshim.node.kubelet import network_links

_SYSCTLS = {
    "net/ipv6/conf/all/disable_ipv6": "0",
    "net/ipv6/conf/default/disable_ipv6": "0",
    "net/ipv6/conf/all/forwarding": "1",
    # Host ends of pods' links need no address of their own, nor the chatter that finding one makes.
    "net/ipv6/conf/default/addr_gen_mode": "1",
    "net/ipv6/conf/default/accept_dad": "0",
    # All ICMP errors but "unreachable" stay limited: each refused datagram is refused at once.
    "net/ipv6/icmp/ratemask": "0,2-127",
}


def sysctls(interface: str) -> dict[str, str]:
    """The node's, in this order: as long as its link's own address waited to be found unique, nothing would be
    forwarded there."""
    own = f"net/ipv6/conf/{interface}"
    return {f"{own}/accept_dad": "0", **_SYSCTLS, f"{own}/disable_ipv6": "0"}


@dataclasses.dataclass(frozen=True, slots=True)
class Second:
    """The node's IPv6 side; what each is, is said at ``network.NodeNetwork``."""

    node_ip: str
    cluster_cidr: str
    service_cidr: str
    node_network: str
    gateway: str
    caught: tuple[str, ...] = ()

    @property
    def prefix(self) -> int:
        return ipaddress.IPv6Network(self.node_network).prefixlen


def address_node(second: Second, node_ip: str) -> None:
    """Inside the node: puts its address beside ``node_ip``. Raises ``OSError``."""
    network_links.add_address(second.node_ip, second.prefix, beside=node_ip)


def address_machine(second: Second, gateway: str) -> None:
    """On the machine: puts its address beside ``gateway``, on a link that may have been denied IPv6."""
    link = network_links.link_with_address(gateway)
    if link is None:
        raise OSError(f"the machine's address {gateway} is on no link")
    switch = pathlib.Path(f"/proc/sys/net/ipv6/conf/{link[1]}/disable_ipv6")
    if switch.read_text().strip() != "0":
        switch.write_text("0")
    network_links.add_address(second.gateway, second.prefix, beside=gateway)


def connect(
    address: str,
    link: str,
    interface: str,
    in_node: Callable[[Callable[[], None]], None],
    in_pod: Callable[[Callable[[], str]], str],
) -> None:
    """Gives a pod that has its link an address of this family, and both ends each other's. Raises ``OSError``."""

    def inside() -> str:
        network_links.configure_pod_ipv6(interface, address)
        return network_links.mac_of(interface)

    mac = in_pod(inside)

    def outside() -> None:
        network_links.route_to_link(f"{address}/128", link)
        network_links.neighbour(address, mac, link)

    in_node(outside)
