"""The host's side of a cluster's address ranges: no packet for a pod or Service may leave the machine.

``protect_ranges`` puts unreachable routes with a high metric into the calling thread's namespace before anything
else of the cluster exists, ``unprotect_ranges`` takes them away after everything else is gone; in between more
specific routes (a node's pod range through the node, the Service range through a Ready node) go before them.
"""

import ipaddress

from kubeshim.node.kubelet import network_links

PROTECTING_METRIC = 9999
"""Worse than any route one would make on purpose, so a real route to the range always wins."""


def protect_ranges(cluster_cidr: str, service_cidr: str) -> None:
    for cidr in (cluster_cidr, service_cidr):
        network_links.unreachable(cidr, PROTECTING_METRIC)


def unprotect_ranges(cluster_cidr: str, service_cidr: str) -> None:
    for cidr in (cluster_cidr, service_cidr):
        network_links.remove_unreachable(cidr, PROTECTING_METRIC)


def route_services(service_cidr: str, node_ip: str) -> None:
    """Sends the host's own traffic for Services to a node (another one, when the first is not Ready any more)."""
    network_links.route_via(service_cidr, node_ip)


def remove_node_routes(pod_cidr: str, service_cidr: str, node_ip: str) -> None:
    """What ``NodeNetwork.set_up`` put into the host's namespace for one node."""
    for cidr in (pod_cidr, service_cidr):
        if cidr:
            network_links.remove_route(cidr, node_ip)


def collisions(*cidrs: str) -> list[str]:
    """Why ranges cannot be used on this host: one sentence for each route that overlaps one of them."""
    return overlapping(network_links.routes(), cidrs)


def overlapping(routes: list[tuple[ipaddress.IPv4Network, str, str]], cidrs: tuple[str, ...]) -> list[str]:
    """The pure part of ``collisions``."""
    found = []
    for cidr in cidrs:
        wanted = ipaddress.IPv4Network(cidr)
        for network, through, gateway in routes:
            if wanted.overlaps(network):
                how = f"via {gateway} " if gateway else ""
                found.append(f"{cidr} overlaps the route to {network} {how}on {through or 'no device'}")
    return found
