"""The host's side of a cluster's address ranges: no packet for a pod, Service or node may leave the machine.

``protect_ranges`` puts unreachable routes with a high metric into the calling thread's namespace before anything
else of the cluster exists, ``unprotect_ranges`` takes them away after everything else is gone; in between more
specific routes (a node's pod range through the node, the Service range through a Ready node) go before them.
"""

import ipaddress
from collections.abc import Sequence

from kubeshim.node import namespaces
from kubeshim.node.kubelet import network_links

PROTECTING_METRIC = 9999
"""Worse than any route one would make on purpose, so a real route to the range always wins."""


def protect_ranges(*cidrs: str) -> None:
    for cidr in cidrs:
        network_links.unreachable(cidr, PROTECTING_METRIC)


def unprotect_ranges(*cidrs: str) -> None:
    for cidr in cidrs:
        network_links.remove_unreachable(cidr, PROTECTING_METRIC)


def cut_off(holder_pid: int, node_ip: str) -> None:
    """Pulls the node's cable: the host's end of its link goes down."""
    network_links.set_up_or_down(_cable(holder_pid, node_ip), False)


def join_again(holder_pid: int, node_ip: str) -> None:
    network_links.set_up_or_down(_cable(holder_pid, node_ip), True)


def is_cut_off(holder_pid: int, node_ip: str) -> bool:
    return not network_links.is_up(_cable(holder_pid, node_ip))


def _cable(holder_pid: int, node_ip: str) -> int:
    """Index of the host's end of the link that carries the node's address."""
    path = namespaces.of_process(holder_pid)
    found = namespaces.run_in(path, lambda: network_links.peer_of(node_ip))
    if found is None:
        raise OSError(f"the node's address {node_ip} is on no link that ends on this host")
    return found


def remove_node_routes(pod_cidr: str, service_cidr: str, node_ip: str) -> None:
    """What ``NodeNetwork.set_up`` put into the host's namespace for one node."""
    for cidr in (pod_cidr, service_cidr):
        if cidr:
            network_links.remove_route(cidr, node_ip)


def remove_routes_through(node_ip: str, within: str) -> None:
    """Of a node that is no more: the host's routes to ranges inside ``within`` that lead through it."""
    wider = ipaddress.ip_network(within)
    for network, _, gateway in network_links.routes(wider.version):
        if gateway == node_ip and inside(network, wider):
            network_links.remove_route(str(network), gateway)


def inside(network: network_links.Network, wider: network_links.Network) -> bool:
    if isinstance(network, ipaddress.IPv4Network):
        return isinstance(wider, ipaddress.IPv4Network) and network.subnet_of(wider)
    return isinstance(wider, ipaddress.IPv6Network) and network.subnet_of(wider)


def collisions(*cidrs: str) -> list[str]:
    """Why ranges cannot be used on this host: one sentence for each route that overlaps one of them."""
    versions = sorted({ipaddress.ip_network(cidr).version for cidr in cidrs})
    return overlapping([route for version in versions for route in network_links.routes(version)], cidrs)


def overlapping(routes: Sequence[tuple[network_links.Network, str, str]], cidrs: Sequence[str]) -> list[str]:
    """The pure part of ``collisions``."""
    found = []
    for cidr in cidrs:
        wanted = ipaddress.ip_network(cidr)
        for network, through, gateway in routes:
            if inside(network, wanted) or inside(wanted, network):
                how = f"via {gateway} " if gateway else ""
                found.append(f"{cidr} overlaps the route to {network} {how}on {through or 'no device'}")
    return found
