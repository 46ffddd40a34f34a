"""What a publication says, and where connections to it go (pure).

    [ADDRESS:]PORT:NODEPORT[/PROTOCOL]                  a port of every node
    [ADDRESS:]PORT:[NAMESPACE/]SERVICE:PORT[/PROTOCOL]  a Service's port, by number or name

``ADDRESS`` is one of the machine's, loopback unless another is given, an IPv6 one in brackets; ``PROTOCOL`` is ``tcp``
or ``udp``.
"""

import dataclasses
import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence

from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object

Place = tuple[str, int]
LOOPBACK = "127.0.0.1"
_FORM = re.compile(
    r"(?:(?P<address>\[[^\]]*\]|[^:\[\]/]+):)?(?P<port>\d+):"
    r"(?:(?P<node_port>\d+)|(?:(?P<namespace>[a-z0-9-]+)/)?(?P<service>[a-z][a-z0-9-]*):(?P<service_port>[a-z0-9-]+))"
    r"(?:/(?P<protocol>tcp|udp))?"
)
EXPECTED = "[ADDRESS:]PORT:NODEPORT or [ADDRESS:]PORT:[NAMESPACE/]SERVICE:PORT, each with /udp where it is not TCP"


class Unpublishable(ValueError):
    """What is wrong with a publication, and what is expected."""


@dataclasses.dataclass(frozen=True, slots=True)
class Publication:
    address: str
    port: int
    protocol: str = "tcp"
    node_port: int = 0
    """Of the nodes; 0 where it is a Service's port."""
    namespace: str = ""
    service: str = ""
    service_port: str = ""

    @property
    def key(self) -> str:
        """Of the Service."""
        return f"{self.namespace}/{self.service}"

    @property
    def where(self) -> str:
        """What of the machine it takes."""
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"{address}:{self.port}/{self.protocol}"

    def __str__(self) -> str:
        address, _, protocol = self.where.rpartition("/")
        target = str(self.node_port) if self.node_port else f"{self.key}:{self.service_port}"
        return f"{address}:{target}/{protocol}"


def parse(text: str) -> Publication:
    """Raises ``Unpublishable``."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise Unpublishable(f"{text}: what is expected is {EXPECTED}")
    address = (found["address"] or LOOPBACK).strip("[]")
    try:
        ipaddress.ip_address(address)
    except ValueError as error:
        raise Unpublishable(f"{text}: {address} is not an IP address") from error
    numbers = [int(found["port"]), int(found["node_port"] or 1)]
    if found["service_port"] and found["service_port"].isdigit():
        numbers.append(int(found["service_port"]))
    if not all(0 < number < 65536 for number in numbers):
        raise Unpublishable(f"{text}: ports are from 1 to 65535")
    return Publication(
        address,
        int(found["port"]),
        found["protocol"] or "tcp",
        int(found["node_port"] or 0),
        (found["namespace"] or "default") if found["service"] else "",
        found["service"] or "",
        found["service_port"] or "",
    )


def places(
    publication: Publication,
    services: Iterable[Object],
    slices: Mapping[str, Sequence[Object]],
    nodes: Iterable[Object],
) -> list[Place]:
    """Where to connect, the best first; ``slices`` are EndpointSlices by ``namespace/service``. May be none."""
    if publication.node_port:
        return _node_ports(publication, services, slices, nodes)
    service = next((each for each in services if objects.key(each) == publication.key), None)
    port = _port_of(service, publication) if service is not None else None
    if service is None or port is None:
        return []
    address = service["spec"].get("clusterIP")
    if address in (None, ""):
        return []
    if address != "None":
        return [(address, int(port["port"]))]
    return _endpoints(slices.get(publication.key, ()), str(port.get("name") or ""), publication.protocol)


def _node_ports(
    publication: Publication,
    services: Iterable[Object],
    slices: Mapping[str, Sequence[Object]],
    nodes: Iterable[Object],
) -> list[Place]:
    """Ready nodes; with a Local policy those that have endpoints, for others would drop what comes."""
    wanted = None
    for service in services:
        if service["spec"].get("externalTrafficPolicy") == "Local" and _has_node_port(service, publication):
            wanted = {
                endpoint.get("nodeName")
                for piece in slices.get(objects.key(service), ())
                for endpoint in piece.get("endpoints") or ()
                if (endpoint.get("conditions") or {}).get("ready") is not False
            }
    return [
        (address, publication.node_port)
        for node in sorted(nodes, key=objects.name)
        if _is_ready(node) and (wanted is None or objects.name(node) in wanted)
        for address in _internal_addresses(node)[:1]
    ]


def _has_node_port(service: Object, publication: Publication) -> bool:
    return any(
        port.get("nodePort") == publication.node_port
        and (port.get("protocol") or "TCP").lower() == publication.protocol
        for port in service["spec"].get("ports") or ()
    )


def _port_of(service: Object, publication: Publication) -> Object | None:
    for port in service["spec"].get("ports") or ():
        same = (port.get("protocol") or "TCP").lower() == publication.protocol
        if same and publication.service_port in (str(port["port"]), port.get("name")):
            return dict(port)
    return None


def _endpoints(slices: Iterable[Object], name: str, protocol: str) -> list[Place]:
    return [
        (address, int(port["port"]))
        for piece in slices
        for port in piece.get("ports") or ()
        if port.get("port") and (port.get("name") or "") == name
        if (port.get("protocol") or "TCP").lower() == protocol
        for endpoint in piece.get("endpoints") or ()
        if (endpoint.get("conditions") or {}).get("ready") is not False
        for address in endpoint.get("addresses") or ()
    ]


def _is_ready(node: Object) -> bool:
    return (objects.condition(node, "Ready") or {}).get("status") == "True"


def _internal_addresses(node: Object) -> list[str]:
    listed = objects.dig(node, "status", "addresses", default=())
    return [entry["address"] for entry in listed if entry["type"] == "InternalIP"]
