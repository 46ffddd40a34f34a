"""The second address family of a node and its pods: IPv6 beside IPv4.

All is as with IPv4: a point-to-point link, one /128 address, a gateway address nobody has. Neighbours are written down
at both ends, so nobody asks around, no link has an address of its own, and no address waits to be found unique.
"""

import dataclasses
from collections.abc import Callable

from kubeshim.node.kubelet import network_links

SYSCTLS = {
    "net/ipv6/conf/all/disable_ipv6": "0",
    "net/ipv6/conf/default/disable_ipv6": "0",
    "net/ipv6/conf/all/forwarding": "1",
    # Host ends of pods' links need no address of their own, nor the chatter that finding one makes.
    "net/ipv6/conf/default/addr_gen_mode": "1",
    "net/ipv6/conf/default/accept_dad": "0",
    # All ICMP errors but "unreachable" stay limited: each refused datagram is refused at once.
    "net/ipv6/icmp/ratemask": "0,2-127",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Second:
    """The node's IPv6 side; what each is, is said at ``network.NodeNetwork``."""

    node_ip: str
    cluster_cidr: str
    service_cidr: str
    node_network: str
    caught: tuple[str, ...] = ()


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
