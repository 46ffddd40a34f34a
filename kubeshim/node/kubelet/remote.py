"""Which ways lead to nodes on other machines. Pure.

Each node tells by an annotation where it is (``joining.Endpoint``); nodes without ``joining.JOINED`` are on the machine
the cluster was started on, the others each on its own. Between machines on one link packets for a node's range go
bare, from machine to machine (``host-gw``); else wrapped into UDP, from node to node (``vxlan``), which no machine's
firewall needs to know of but for that port.

    vxlan     in the node     10.244.7.0/24 via 10.244.7.2 dev kube-vxlan; that address is at a MAC, that MAC
                              behind a machine's address and a number (VNI). The device lies in the node, its UDP
                              packets travel in the machine's own namespace
    host-gw   in the node     10.244.7.0/24 via its machine
              in the machine  10.244.7.0/24 via the other machine
"""

import dataclasses
from collections.abc import Iterable, Mapping

from kubeshim.machinery import joining, objects
from kubeshim.machinery.objects import Object
from kubeshim.node.kubelet import remote_links

DEVICE = "kube-vxlan"


@dataclasses.dataclass(frozen=True, slots=True)
class Hop:
    """One way to one range."""

    cidr: str
    node: str
    """Address of the node that range is behind."""
    endpoint: joining.Endpoint
    direct: bool
    """Whether the machines route for each other."""


def site(node: Object) -> str:
    """Tells nodes of one machine from those of another."""
    return objects.annotations(node).get(joining.JOINED, "")


def near(nodes: Iterable[Object], own_name: str) -> list[Object]:
    """Those on the same machine, the own one included."""
    every = list(nodes)
    here = next((site(node) for node in every if objects.name(node) == own_name), "")
    return [node for node in every if site(node) == here]


def is_direct(own: joining.Endpoint, other: joining.Endpoint, backend: str) -> bool:
    """Whether machines route to each other, or wrap."""
    return backend != "vxlan" and own.direct and other.direct and own.on_link(other)


def hops(nodes: Iterable[Object], own_name: str, node_network: str, backend: str) -> list[Hop]:
    """To every node elsewhere, and from elsewhere to the first machine itself (``node_network``) through a Ready node.

    Nothing before the own node has told where it is; to who cannot be routed to, nothing where wrapping is not wanted.
    """
    every = sorted(nodes, key=objects.name)
    own = next((node for node in every if objects.name(node) == own_name), None)
    here = joining.endpoint(own) if own is not None else None
    if own is None or here is None:
        return []
    found: list[Hop] = []
    first_machine: list[Hop] = []
    for node in every:
        endpoint, address = joining.endpoint(node), internal_address(node)
        if site(node) == site(own) or endpoint is None or not address:
            continue
        direct = is_direct(here, endpoint, backend)
        if backend == "host-gw" and not direct:
            continue
        ranges = pod_ranges(node)
        found += [Hop(cidr, address, endpoint, direct) for cidr in ranges]
        if not site(node):
            found.append(Hop(f"{address}/32", address, endpoint, direct))
            through = Hop(node_network, address, endpoint, direct)
            first_machine = first_machine or [through] if is_ready(node) else first_machine
    return found + first_machine


def pod_ranges(node: Object) -> list[str]:
    spec = node.get("spec") or {}
    return [cidr for cidr in spec.get("podCIDRs") or [spec.get("podCIDR")] if cidr and ":" not in cidr]


def internal_address(node: Object) -> str:
    addresses = objects.dig(node, "status", "addresses", default=())
    return next((a["address"] for a in addresses if a["type"] == "InternalIP" and ":" not in a["address"]), "")


def is_ready(node: Object) -> bool:
    return (objects.condition(node, "Ready") or {}).get("status") == "True"


def neighbours(ways: Iterable[Hop]) -> dict[str, remote_links.Neighbour]:
    """Who is behind the overlay."""
    return {
        hop.node: remote_links.Neighbour(hop.endpoint.mac, hop.endpoint.address, hop.endpoint.vni)
        for hop in ways
        if not hop.direct
    }


def node_routes(ways: Iterable[Hop], own_address: str, gateway: str) -> dict[str, remote_links.Route]:
    """Of the node's namespace."""
    return {
        hop.cidr: remote_links.Route(gateway, source=own_address)
        if hop.direct
        else remote_links.Route(hop.node, DEVICE, own_address)
        for hop in ways
    }


def machine_routes(ways: Iterable[Hop], through: str, gateway: str) -> dict[str, remote_links.Route]:
    """Of the machine: to the other machine, or ``through`` one of its own nodes.

    What the machine itself sends has the address ``gateway``, which the others can answer to.
    """
    return {
        hop.cidr: remote_links.Route(hop.endpoint.address if hop.direct else through, source=gateway) for hop in ways
    }


def told(node: Object) -> tuple[object, ...]:
    """What of a node matters here: nothing needs to be done while that stays."""
    return (site(node), joining.endpoint(node), internal_address(node), tuple(pod_ranges(node)), is_ready(node))


def same(before: Mapping[str, object], after: Mapping[str, object]) -> bool:
    return told(dict(before)) == told(dict(after))
