"""What a Service asks of a node's kernel (pure): a list of frontends, in no firewall's language yet."""

import dataclasses
import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from kubeshim.machinery import objects
from kubeshim.node.kube_proxy import endpoints, families

PROXY_NAME_LABEL = "service.kubernetes.io/service-proxy-name"
"""A Service with it is somebody else's to serve."""
HEADLESS_LABEL = "service.kubernetes.io/headless"
"""Neither Services nor slices with it are served, whatever address they have."""
DEFAULT_AFFINITY_SECONDS = 10800


@dataclasses.dataclass(frozen=True, slots=True)
class Node:
    """What the rules need to know of the node and cluster, in one address family."""

    name: str
    addresses: tuple[str, ...]
    """Where NodePorts answer."""
    cluster_cidr: str
    """The range of pods: traffic from elsewhere to a ClusterIP is masqueraded."""
    service_cidrs: tuple[str, ...]
    zone: str = ""
    masquerade_all: bool = False

    @property
    def family(self) -> families.Family:
        return families.of_range(self.cluster_cidr)


class Frontend(NamedTuple):
    """One address and port of a Service, and where it leads.

    ``kind``: ``cluster`` is a ClusterIP; ``external`` an external IP or a load balancer's; ``node-port`` has no
    address of its own. ``local_only`` is the Local policy that applies to it.
    """

    kind: str
    protocol: str
    address: str
    port: int
    cluster: tuple[endpoints.Address, ...]
    local: tuple[endpoints.Address, ...]
    local_only: bool = False
    affinity: int = 0
    """Seconds for which a client stays with its endpoint; 0 for no affinity."""
    sources: tuple[str, ...] = ()
    """Ranges that may ask (``loadBalancerSourceRanges``); none means everybody."""
    name: str = ""
    """``namespace/service:port``, for comments."""


def is_served(service: Mapping[str, Any]) -> bool:
    """Whether kube-proxy has anything to do for it."""
    spec = service.get("spec") or {}
    if spec.get("type") == "ExternalName" or spec.get("clusterIP") in (None, "", "None"):
        return False
    return objects.labels(service).keys().isdisjoint((PROXY_NAME_LABEL, HEADLESS_LABEL))


def frontends(service: Mapping[str, Any], slices: Iterable[Mapping[str, Any]], node: Node) -> list[Frontend]:
    """All frontends of one Service on one node in its family: none where the Service has no ClusterIP of it."""
    if not is_served(service):
        return []
    spec, family = service["spec"], node.family
    if not family.of(spec.get("clusterIPs") or [spec.get("clusterIP")]):
        return []
    own = [piece for piece in slices if HEADLESS_LABEL not in objects.labels(piece)]
    found = endpoints.by_port(own, node.name, family.address_kind)
    result: list[Frontend] = []
    for port in spec.get("ports") or ():
        protocol = port.get("protocol") or "TCP"
        here = found.get((port.get("name") or "", protocol), [])
        choice = endpoints.choose(here, node_name=node.name, zone=node.zone)
        base = Frontend(
            kind="cluster",
            protocol=protocol.lower(),
            address="",
            port=int(port["port"]),
            cluster=choice.cluster,
            local=choice.local,
            affinity=affinity_seconds(spec),
            name=f"{objects.key(service)}:{port.get('name') or port['port']}",
        )
        result += _of_port(service, port, base, family)
    return result


def affinity_seconds(spec: Mapping[str, Any]) -> int:
    if spec.get("sessionAffinity") != "ClientIP":
        return 0
    return int(
        objects.dig(spec, "sessionAffinityConfig", "clientIP", "timeoutSeconds", default=DEFAULT_AFFINITY_SECONDS)
    )


def _of_port(
    service: Mapping[str, Any], port: Mapping[str, Any], base: Frontend, family: families.Family
) -> Iterable[Frontend]:
    spec = service["spec"]
    internal_local = spec.get("internalTrafficPolicy") == "Local"
    for address in family.of(spec.get("clusterIPs") or [spec.get("clusterIP")]):
        yield base._replace(address=address, local_only=internal_local)
    external = base._replace(kind="external", local_only=spec.get("externalTrafficPolicy") == "Local")
    for address in family.of(spec.get("externalIPs") or ()):
        yield external._replace(address=address)
    if spec.get("type") == "LoadBalancer":
        sources = _sources(spec.get("loadBalancerSourceRanges") or (), family)
        ingress = objects.dig(service, "status", "loadBalancer", "ingress", default=())
        for address in family.of(entry.get("ip") for entry in ingress if entry.get("ipMode") != "Proxy"):
            yield external._replace(address=address, sources=sources)
    if port.get("nodePort"):
        yield external._replace(kind="node-port", port=int(port["nodePort"]))


def _sources(ranges: Iterable[str], family: families.Family) -> tuple[str, ...]:
    """Those of the family, disjoint and in canonical form, as an interval set wants them."""
    networks = [ipaddress.ip_network(text.strip(), strict=False) for text in ranges]
    own: list[Any] = [network for network in networks if network.version == family.version]
    return tuple(str(network) for network in ipaddress.collapse_addresses(own))
