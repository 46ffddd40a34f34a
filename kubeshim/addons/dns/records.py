"""Which records a name of the cluster has (pure, over a ``View`` of Services, EndpointSlices and Namespaces).

    SVC.NS.svc.ZONE                     A of the cluster IP; of a headless Service, of each ready endpoint
    HOST.SVC.NS.svc.ZONE                A of the endpoint with that hostname, or with that address in dashes
    _PORT._PROTO.SVC.NS.svc.ZONE        SRV to the name above, or to each endpoint's name
    an ExternalName Service             CNAME
    1-2-3-4.NS.pod.ZONE                 A of the address it spells, where the namespace exists
    4.3.2.1.in-addr.arpa                PTR of a cluster IP's or endpoint's name
    dns-version.ZONE                    TXT of the specification's version

A name that exists without records of the asked type is answered empty, one that does not exist with NXDOMAIN; both
carry the zone's SOA, so that askers may remember it.
"""

import dataclasses
import ipaddress
import random
import re
from collections.abc import Callable, Iterable
from typing import Protocol

from kubeshim.addons.dns import message
from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object

VERSION = "1.1.0"
TTL = 30
NEGATIVE_TTL = 5
"""Seconds an asker may remember that a name does not exist: short, for names are asked for just before they do."""

_PROTOCOLS = {"_tcp": "TCP", "_udp": "UDP", "_sctp": "SCTP"}
_DASHED = re.compile(r"[0-9a-f]+(-[0-9a-f]*)+")


class View(Protocol):
    """What is known of the cluster."""

    def service(self, namespace: str, name: str) -> Object | None: ...

    def slices(self, namespace: str, name: str) -> Iterable[Object]:
        """The EndpointSlices of a Service."""

    def services_with_address(self, address: str) -> Iterable[Object]: ...

    def slices_with_address(self, address: str) -> Iterable[Object]: ...

    def namespace_exists(self, name: str) -> bool: ...

    def namespace_has_services(self, name: str) -> bool: ...


@dataclasses.dataclass(frozen=True, slots=True)
class Endpoint:
    """An address of a headless Service and the label its own name begins with."""

    label: str
    address: str
    ports: tuple[tuple[str, str, int], ...]
    """``(name, protocol, number)``."""


@dataclasses.dataclass(frozen=True, slots=True)
class Alias:
    """An ExternalName: ``target`` must be looked up, outside where it is not of the zone."""

    record: message.Record
    target: str


Found = list[message.Record] | Alias | None
"""Records (none of the asked type: an empty list), an alias, or None for a name that does not exist."""


class Zone:
    """One cluster domain."""

    def __init__(
        self, domain: str, view: View, *, shuffle: Callable[[list[message.Record]], None] | None = None
    ) -> None:
        self.domain = domain.strip(".").lower()
        self._view = view
        self._shuffle = shuffle or random.shuffle
        self._suffix = "." + self.domain

    def contains(self, name: str) -> bool:
        """Whether ``name`` (lower case) is in the cluster's domain."""
        return name == self.domain or name.endswith(self._suffix)

    def answer(self, query: message.Query) -> message.Answer | Alias:
        """For a name of the domain."""
        found, additional = self._find(query)
        if isinstance(found, Alias):
            return found
        if found is None:
            return message.Answer(message.NXDOMAIN, authority=(self.soa(),))
        if not found:
            return message.Answer(authority=(self.soa(),))
        self._shuffle(found)
        return message.Answer(answers=tuple(found), additional=tuple(additional))

    def reverse(self, query: message.Query, address: str) -> message.Answer | None:
        """For a reverse name; None where the address is not of this cluster."""
        names = self._names_of(address)
        if not names:
            return None
        if query.kind not in (message.PTR, message.ANY):
            return message.Answer(authority=(self.soa(),))
        return message.Answer(answers=tuple(message.Record(query.name, message.PTR, TTL, name) for name in names))

    def soa(self) -> message.Record:
        data = (f"ns.dns.{self.domain}", f"hostmaster.{self.domain}", 1, 7200, 1800, 86400, NEGATIVE_TTL)
        return message.Record(self.domain, message.SOA, NEGATIVE_TTL, data)

    def _find(self, query: message.Query) -> tuple[Found, list[message.Record]]:
        rest = query.key[: -len(self._suffix)] if query.key != self.domain else ""
        labels = rest.split(".") if rest else []
        if not labels:
            return self._apex(query), []
        kind = labels.pop()
        if kind == "svc":
            return self._service(query, labels)
        if kind == "pod":
            return self._pod(query, labels), []
        if not labels and kind == "dns-version":
            return _only(query, message.Record(query.name, message.TXT, TTL, VERSION)), []
        if kind == "dns" and labels in ([], ["ns"]):
            return self._name_server(query, bool(labels)), []
        return None, []

    def _apex(self, query: message.Query) -> Found:
        name_server = message.Record(query.name, message.NS, TTL, f"ns.dns.{self.domain}")
        return [record for record in (self.soa(), name_server) if query.kind in (record.kind, message.ANY)]

    def _name_server(self, query: message.Query, named: bool) -> Found:
        """``ns.dns.ZONE`` is where the kube-dns Service is."""
        service = self._view.service("kube-system", "kube-dns")
        if not named or service is None:
            return []
        return _addresses(query, _cluster_ips(service))

    def _pod(self, query: message.Query, labels: list[str]) -> Found:
        if not labels:
            return []
        namespace = labels.pop()
        if not self._view.namespace_exists(namespace):
            return None
        if not labels:
            return []
        address = _undashed(labels.pop())
        return None if labels or address is None else _addresses(query, [address])

    def _service(self, query: message.Query, labels: list[str]) -> tuple[Found, list[message.Record]]:
        if not labels:
            return [], []
        namespace = labels.pop()
        if not labels:
            exists = self._view.namespace_exists(namespace) or self._view.namespace_has_services(namespace)
            return ([] if exists else None), []
        name = labels.pop()
        service = self._view.service(namespace, name)
        if service is None:
            return None, []
        spec = service.get("spec") or {}
        if spec.get("type") == "ExternalName":
            target = str(spec.get("externalName") or "").strip(".")
            if labels or not target:
                return None, []
            return Alias(message.Record(query.name, message.CNAME, TTL, target), target), []
        addresses = _cluster_ips(service)
        if addresses:
            return self._with_address(query, service, addresses, labels)
        return self._headless(query, service, labels)

    def _with_address(
        self, query: message.Query, service: Object, addresses: list[str], labels: list[str]
    ) -> tuple[Found, list[message.Record]]:
        ports = [
            (port.get("name") or "", port.get("protocol") or "TCP", int(port["port"]))
            for port in objects.dig(service, "spec", "ports", default=())
        ]
        own = f"{objects.name(service)}.{objects.namespace(service)}.svc{self._suffix}"
        if not labels:
            if query.kind != message.SRV:
                return _addresses(query, addresses), []
            wanted = ports
        else:
            chosen = _matching(ports, labels)
            if chosen is None:
                # An endpoint's own name exists for a Service with an address too.
                return self._endpoint(query, service, labels), []
            wanted = chosen
        if not wanted:
            return (None if labels else []), []
        if query.kind not in (message.SRV, message.ANY):
            return [], []
        records = [
            message.Record(query.name, message.SRV, TTL, (0, 100 // len(wanted), number, own))
            for _, _, number in wanted
        ]
        return records, [_address_record(own, address) for address in addresses]

    def _headless(self, query: message.Query, service: Object, labels: list[str]) -> tuple[Found, list[message.Record]]:
        found = endpoints(self._view.slices(objects.namespace(service), objects.name(service)))
        own = f"{objects.name(service)}.{objects.namespace(service)}.svc{self._suffix}"
        if not labels and query.kind != message.SRV:
            # A Service without anybody behind it has no name, as if it did not exist.
            return _addresses(query, [endpoint.address for endpoint in found]) if found else None, []
        targets: list[tuple[Endpoint, int]] = []
        for endpoint in found:
            ports = list(endpoint.ports)
            matching = ports if not labels else _matching(ports, labels)
            if matching is None:
                return self._endpoint(query, service, labels), []
            targets += [(endpoint, number) for _, _, number in matching]
        if not targets:
            return None, []
        if query.kind not in (message.SRV, message.ANY):
            return [], []
        # One with a hostname has the same name in both address families, and so one record.
        named = list(dict.fromkeys((f"{endpoint.label}.{own}", number) for endpoint, number in targets))
        weight = 100 // len(named)
        records = [message.Record(query.name, message.SRV, TTL, (0, weight, number, name)) for name, number in named]
        additional = [_address_record(f"{endpoint.label}.{own}", endpoint.address) for endpoint, _ in targets]
        return records, list(dict.fromkeys(additional))

    def _endpoint(self, query: message.Query, service: Object, labels: list[str]) -> Found:
        if len(labels) != 1:
            return None
        found = endpoints(self._view.slices(objects.namespace(service), objects.name(service)))
        addresses = [endpoint.address for endpoint in found if endpoint.label == labels[0]]
        return _addresses(query, addresses) if addresses else None

    def _names_of(self, address: str) -> list[str]:
        found = [
            f"{objects.name(service)}.{objects.namespace(service)}.svc{self._suffix}"
            for service in self._view.services_with_address(address)
        ]
        if found:
            return found
        for piece in self._view.slices_with_address(address):
            service = objects.labels(piece).get("kubernetes.io/service-name")
            if service:
                found += [
                    f"{endpoint.label}.{service}.{objects.namespace(piece)}.svc{self._suffix}"
                    for endpoint in endpoints([piece])
                    if endpoint.address == address
                ]
        return list(dict.fromkeys(found))


def endpoints(slices: Iterable[Object]) -> list[Endpoint]:
    """Ready endpoints, each address once, IPv4 and IPv6."""
    found: dict[tuple[str, str], Endpoint] = {}
    for piece in slices:
        ports = tuple(
            (port.get("name") or "", port.get("protocol") or "TCP", int(port["port"]))
            for port in piece.get("ports") or ()
            if port.get("port") is not None
        )
        for entry in piece.get("endpoints") or ():
            if (entry.get("conditions") or {}).get("ready") is False:
                continue
            for address in entry.get("addresses") or ():
                label = str(entry.get("hostname") or address.replace(".", "-").replace(":", "-"))
                before = found.get((label, address))
                merged = tuple(dict.fromkeys((*before.ports, *ports))) if before else ports
                found[label, address] = Endpoint(label, address, merged)
    return list(found.values())


def reverse_address(name: str) -> str | None:
    """The address that ``4.3.2.1.in-addr.arpa`` or its IPv6 kind spells."""
    if name.endswith(".in-addr.arpa"):
        parts = name.removesuffix(".in-addr.arpa").split(".")
        text = ".".join(reversed(parts)) if len(parts) == 4 else ""
    elif name.endswith(".ip6.arpa"):
        digits = name.removesuffix(".ip6.arpa").split(".")[::-1]
        text = ":".join("".join(digits[at : at + 4]) for at in range(0, 32, 4)) if len(digits) == 32 else ""
    else:
        return None
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


def _cluster_ips(service: Object) -> list[str]:
    spec = service.get("spec") or {}
    found = spec.get("clusterIPs") or [spec.get("clusterIP")]
    return [address for address in found if address and address != "None"]


def _matching(ports: list[tuple[str, str, int]], labels: list[str]) -> list[tuple[str, str, int]] | None:
    """Ports that ``_name._proto`` names; None where the labels are not of that form."""
    if len(labels) != 2 or not labels[0].startswith("_") or labels[1] not in _PROTOCOLS:
        return None
    name, protocol = labels[0][1:], _PROTOCOLS[labels[1]]
    return [port for port in ports if port[0] == name and port[1] == protocol]


def _addresses(query: message.Query, addresses: Iterable[str]) -> list[message.Record]:
    records = [_address_record(query.name, address) for address in addresses]
    return [record for record in records if query.kind in (record.kind, message.ANY)]


def _address_record(name: str, address: str) -> message.Record:
    return message.Record(name, message.AAAA if ":" in address else message.A, TTL, address)


def _only(query: message.Query, record: message.Record) -> list[message.Record]:
    return [record] if query.kind in (record.kind, message.ANY) else []


def _undashed(label: str) -> str | None:
    if not _DASHED.fullmatch(label):
        return None
    for text in (label.replace("-", "."), label.replace("-", ":")):
        try:
            return str(ipaddress.ip_address(text))
        except ValueError:
            continue
    return None
