"""What a cluster and a node that joins from another machine agree upon: names and addresses. Pure.

A joined node stands on the first addresses of its own ``spec.podCIDR``: its machine's end of the link is ``.1``, the
node ``.2``, pods begin after the ``/30``. So one route leads to everything there, nobody hands out further ranges,
and what networks the machines have besides does not matter as long as they do not overlap the cluster's own.
"""

import dataclasses
import ipaddress
import json
from collections.abc import Mapping

from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object

AGENT_USER = "kubeshim:node-agent:"
"""With the node's name: whom kube-proxy, network policies and DNS of a joined node act as."""
AGENT_GROUP = "kubeshim:node-agents"

CONFIG_NAMESPACE, CONFIG_NAME, CONFIG_KEY = "kube-system", "kubeshim-config", "cluster.json"
"""The ConfigMap that tells a joiner the cluster's ranges and options."""

ENDPOINT = "kubeshim.io/endpoint"
"""Annotation of a Node: how other machines reach it, see ``Endpoint``."""
JOINED = "kubeshim.io/joined"
"""Annotation of a Node that stands on another machine than the control plane: that machine's address."""
LINK_PREFIX = 30


@dataclasses.dataclass(frozen=True, slots=True)
class Endpoint:
    """Where packets for a node are sent on other machines."""

    address: str
    """Of its machine, on the network that machines share."""
    prefix: int
    """Length of that network's prefix: who has an address in it is on one link with the machine."""
    mac: str
    """Of the node's end of the overlay."""
    vni: int
    port: int
    direct: bool = False
    """Whether its machine lets packets from other machines through to its nodes."""

    def encoded(self) -> str:
        return json.dumps(dataclasses.asdict(self), separators=(",", ":"), sort_keys=True)

    def on_link(self, other: "Endpoint") -> bool:
        """Whether both machines stand on one link, as far as addresses tell."""
        mine = ipaddress.ip_interface(f"{self.address}/{self.prefix}").network
        theirs = ipaddress.ip_interface(f"{other.address}/{other.prefix}").network
        return mine == theirs


def endpoint(node: Object) -> Endpoint | None:
    """None where the node says nothing that can be understood."""
    text = objects.annotations(node).get(ENDPOINT, "")
    try:
        found = json.loads(text)
        made = Endpoint(
            str(ipaddress.IPv4Address(found["address"])),
            int(found["prefix"]),
            str(found["mac"]),
            int(found["vni"]),
            int(found["port"]),
            found.get("direct") is True,
        )
    except (ValueError, KeyError, TypeError):
        return None
    return made if 0 <= made.prefix <= 32 and 0 < made.vni < 1 << 24 and 0 < made.port < 1 << 16 else None


def is_joined(node: Object) -> bool:
    return bool(objects.annotations(node).get(JOINED))


def link_network(pod_cidr: str) -> str:
    """What the node's own link takes of its range. Raises ``ValueError`` where the range is too small."""
    network = ipaddress.IPv4Network(pod_cidr)
    if network.prefixlen > LINK_PREFIX - 2:
        raise ValueError(f"the node's range {pod_cidr} is too small to stand in: a /{LINK_PREFIX - 2} at least")
    return f"{network.network_address}/{LINK_PREFIX}"


def gateway_address(pod_cidr: str) -> str:
    """The machine's end of the node's link; empty without a range."""
    return str(ipaddress.IPv4Network(pod_cidr)[1]) if pod_cidr else ""


def node_address(pod_cidr: str) -> str:
    """The node's InternalIP; empty without a range."""
    return str(ipaddress.IPv4Network(pod_cidr)[2]) if pod_cidr else ""


def config_map(document: Mapping[str, object]) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": CONFIG_NAME, "namespace": CONFIG_NAMESPACE},
        "data": {CONFIG_KEY: json.dumps(document, indent=2) + "\n"},
    }
