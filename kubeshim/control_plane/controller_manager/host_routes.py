"""How the machine under the cluster reaches Services: through which node. Pure.

One node that is Ready carries the Service range and the load balancers' range, and keeps it as long as it is Ready.
A load balancer with a Local policy has a route of its own, through a Ready node that has endpoints of it: what a
load balancer outside would find out at the nodes' ``healthCheckNodePort``. Where no node is Ready, everything stays:
then it may as well be us who cannot see.
"""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kubeshim.machinery import joining, objects
from kubeshim.machinery.objects import Object

SERVICE_NAME = "kubernetes.io/service-name"


def ready_nodes(nodes: Iterable[Object], version: int = 4) -> dict[str, str]:
    """``{name: InternalIP}`` of those on this machine that are Ready, in the order of their names."""
    found = {}
    for node in sorted(nodes, key=objects.name):
        address = internal_address(node, version)
        if address and is_ready(node) and not objects.is_deleting(node) and not joining.is_joined(node):
            found[objects.name(node)] = address
    return found


def seen_elsewhere(node: Object) -> tuple[Any, ...]:
    """What of a node concerns the ways from and to other machines."""
    return joining.is_joined(node), joining.endpoint(node), (node.get("spec") or {}).get("podCIDRs"), is_ready(node)


def is_ready(node: Object) -> bool:
    return (objects.condition(node, "Ready") or {}).get("status") == "True"


def internal_address(node: Object, version: int = 4) -> str:
    """Its first InternalIP of that version."""
    for entry in objects.dig(node, "status", "addresses", default=()):
        if entry["type"] == "InternalIP" and (":" in entry["address"]) == (version == 6):
            return str(entry["address"])
    return ""


def is_local(service: Object) -> bool:
    """Whether only nodes with endpoints may take what comes for its address."""
    spec = service.get("spec") or {}
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def wanted(
    nodes: Mapping[str, str],
    services: Iterable[Object],
    slices: Mapping[str, Sequence[Object]],
    ranges: Sequence[str],
    gateway: str,
) -> dict[str, str]:
    """``{range: node's address}``.

    ``nodes`` is what ``ready_nodes`` found, ``slices`` EndpointSlices by ``namespace/service``, ``ranges`` the
    Service range and then the load balancers', all of one address family; ``gateway`` is who carries them so far (or
    empty).
    """
    if not nodes:
        return {}
    carrier = gateway if gateway in nodes.values() else next(iter(nodes.values()))
    found = {cidr: carrier for cidr in ranges if cidr}
    pool = ipaddress.ip_network(ranges[1]) if len(ranges) > 1 and ranges[1] else None
    for service in services:
        if pool is None or not is_local(service):
            continue
        near = [nodes[name] for name in _with_endpoints(slices.get(objects.key(service), ())) if name in nodes]
        if not near:
            continue
        through = carrier if carrier in near else near[0]
        for address in addresses(service):
            if ipaddress.ip_address(address) in pool:
                found[f"{address}/{pool.max_prefixlen}"] = through
    return found


def addresses(service: Object) -> list[str]:
    """Those a load balancer has got."""
    ingress = objects.dig(service, "status", "loadBalancer", "ingress", default=())
    return [entry["ip"] for entry in ingress if entry.get("ip")]


def _with_endpoints(slices: Iterable[Object]) -> list[str]:
    """Names of nodes with ready endpoints."""
    names = set()
    for piece in slices:
        for endpoint in piece.get("endpoints") or ():
            if endpoint.get("nodeName") and (endpoint.get("conditions") or {}).get("ready") is not False:
                names.add(endpoint["nodeName"])
    return sorted(names)
