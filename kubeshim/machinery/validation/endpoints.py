"""Endpoints and EndpointSlices."""

from collections.abc import Mapping, Sequence
from typing import Any

from kubeshim.machinery import objects
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import content, fields, metadata, services, warnings

_ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
_MOST_ADDRESSES, _MOST_ENDPOINTS, _MOST_PORTS, _MOST_LABELS, _MOST_HINTS = 100, 1000, 20000, 16, 8

_Found = Mapping[str, Any]


def endpoints(obj: objects.Object, old: objects.Object | None = None) -> list[FieldError]:
    """Subsets that nobody touches need not be good."""
    wrong: list[FieldError] = []
    for index, subset in enumerate(obj.get("subsets") or ()):
        wrong += _subset(subset, f"subsets[{index}]")
    return [] if old is not None and obj.get("subsets") == old.get("subsets") else wrong


def _subset(subset: _Found, path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    ready, unready = subset.get("addresses") or (), subset.get("notReadyAddresses") or ()
    if not ready and not unready:
        wrong.append(fields.required(path, "must specify `addresses` or `notReadyAddresses`"))
    for field, found in (("addresses", ready), ("notReadyAddresses", unready)):
        for place, address in enumerate(found):
            wrong += _address(address, f"{path}.{field}[{place}]")
    ports = subset.get("ports") or ()
    for index, port in enumerate(ports):
        wrong += _subset_port(port, f"{path}.ports[{index}]", needs_name=len(ports) > 1)
    return wrong


def _address(address: _Found, path: str) -> list[FieldError]:
    ip = address.get("ip") or ""
    wrong = fields.all_invalid(path + ".ip", ip, content.ip(ip))
    if name := address.get("hostname"):
        wrong += fields.all_invalid(path + ".hostname", name, content.dns_label(name))
    if (name := address.get("nodeName")) is not None:
        wrong += fields.all_invalid(path + ".nodeName", name, content.dns_subdomain(name))
    return wrong + services.special_address(ip, path + ".ip")


def _subset_port(port: _Found, path: str, *, needs_name: bool) -> list[FieldError]:
    name, number = port.get("name") or "", port.get("port") or 0
    wrong: list[FieldError] = []
    if needs_name and not name:
        wrong.append(fields.required(path + ".name"))
    elif name:
        wrong += fields.all_invalid(path + ".name", name, content.dns_label(name))
    wrong += fields.all_invalid(path + ".port", number, content.port_number(number))
    return wrong + services.protocol(port, path) + _application(port, path)


def _application(port: _Found, path: str) -> list[FieldError]:
    if (application := port.get("appProtocol")) is None:
        return []
    return fields.all_invalid(path + ".appProtocol", application, content.qualified_name(application))


def warn(obj: objects.Object, old: objects.Object | None = None) -> list[str]:
    return [
        text
        for index, subset in enumerate(obj.get("subsets") or ())
        for field in ("addresses", "notReadyAddresses")
        for place, address in enumerate(subset.get(field) or ())
        for text in warnings.address(address.get("ip") or "", f"subsets[{index}].{field}[{place}].ip")
    ]


def endpoint_slice(obj: objects.Object, old: objects.Object | None = None) -> list[FieldError]:
    kind = obj.get("addressType") or ""
    wrong = fields.one_of("addressType", kind, _ADDRESS_TYPES) if kind else [fields.required("addressType")]
    wrong += _slice_ports(obj.get("ports") or ())
    if old is None or obj.get("endpoints") != old.get("endpoints"):
        wrong += _slice_endpoints(obj.get("endpoints") or (), kind)
    return wrong


def endpoint_slice_update(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    wrong = endpoint_slice(obj, old)
    return wrong + fields.immutable("addressType", obj.get("addressType"), old.get("addressType"))


def _slice_ports(ports: Sequence[_Found]) -> list[FieldError]:
    if len(ports) > _MOST_PORTS:
        return [fields.too_many("ports", len(ports), _MOST_PORTS)]
    wrong: list[FieldError] = []
    names: set[str] = set()
    for index, port in enumerate(ports):
        path, name = f"ports[{index}]", port.get("name") or ""
        if name:
            wrong += fields.all_invalid(path + ".name", name, content.dns_label(name))
        if name in names:
            wrong.append(fields.duplicate(path + ".name", name))
        names.add(name)
        if port.get("protocol") is None:
            wrong.append(fields.required(path + ".protocol"))
        else:
            wrong += fields.one_of(path + ".protocol", port["protocol"], services.PROTOCOLS)
        wrong += _application(port, path)
    return wrong


def _slice_endpoints(found: Sequence[_Found], kind: str) -> list[FieldError]:
    if len(found) > _MOST_ENDPOINTS:
        return [fields.too_many("endpoints", len(found), _MOST_ENDPOINTS)]
    wrong: list[FieldError] = []
    for index, endpoint in enumerate(found):
        wrong += _slice_endpoint(endpoint, kind, f"endpoints[{index}]")
    return wrong


def _slice_endpoint(endpoint: _Found, kind: str, path: str) -> list[FieldError]:
    addresses = endpoint.get("addresses") or ()
    wrong: list[FieldError] = []
    if not addresses:
        wrong.append(fields.required(path + ".addresses", "must contain at least 1 address"))
    elif len(addresses) > _MOST_ADDRESSES:
        wrong.append(fields.too_many(path + ".addresses", len(addresses), _MOST_ADDRESSES))
    for index, address in enumerate(addresses):
        place = f"{path}.addresses[{index}]"
        if kind == "FQDN":
            wrong += fields.all_invalid(place, address, content.fully_qualified_domain(address))
        elif kind in ("IPv4", "IPv6"):
            wrong += _slice_address(address, kind, place)
    if (name := endpoint.get("nodeName")) is not None:
        wrong += fields.all_invalid(path + ".nodeName", name, content.dns_subdomain(name))
    labels = endpoint.get("deprecatedTopology") or {}
    if len(labels) > _MOST_LABELS:
        wrong.append(fields.too_many(path + ".deprecatedTopology", len(labels), _MOST_LABELS))
    wrong += metadata.labels(labels, path + ".deprecatedTopology")
    if (name := endpoint.get("hostname")) is not None:
        wrong += fields.all_invalid(path + ".hostname", name, content.dns_label(name))
    return wrong + _hints(endpoint.get("hints") or {}, path + ".hints")


def _slice_address(address: str, kind: str, path: str) -> list[FieldError]:
    wrong = fields.all_invalid(path, address, content.ip(address))
    if not wrong and (":" in address) != (kind == "IPv6"):
        wrong = [fields.invalid(path, address, f"must be an {kind} address")]
    return wrong or services.special_address(address, path)


def _hints(hints: _Found, path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    for field, check in (("forZones", content.label_value), ("forNodes", content.dns_subdomain)):
        found = hints.get(field) or ()
        if len(found) > _MOST_HINTS:
            wrong.append(fields.too_many(f"{path}.{field}", len(found), _MOST_HINTS))
            continue
        names: set[str] = set()
        for index, one in enumerate(found):
            name, place = one.get("name") or "", f"{path}.{field}[{index}].name"
            if name in names:
                wrong.append(fields.duplicate(place, name))
            names.add(name)
            wrong += fields.all_invalid(place, name, check(name))
    return wrong


def warn_slice(obj: objects.Object, old: objects.Object | None = None) -> list[str]:
    if obj.get("addressType") == "FQDN":
        return ["spec.addressType: FQDN endpoints are deprecated"] if old is None else []
    return [
        text
        for index, endpoint in enumerate(obj.get("endpoints") or ())
        for place, address in enumerate(endpoint.get("addresses") or ())
        for text in warnings.address(address, f"endpoints[{index}].addresses[{place}]")
    ]
