"""Rows of Services and what leads to them."""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from kubeshim.machinery import class_defaults, objects
from kubeshim.machinery.tables import cells


def service(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    spec = cells.spec(obj)
    addresses = spec.get("clusterIPs") or ([spec["clusterIP"]] if spec.get("clusterIP") else [])
    return [
        cells.name(obj),
        spec.get("type", ""),
        addresses[0] if addresses else cells.NONE,
        _external_address(spec, cells.status(obj)),
        _service_ports(spec.get("ports") or ()) or cells.NONE,
        cells.age(obj, now),
        cells.labels(spec.get("selector")),
    ]


def _external_address(spec: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    external = spec.get("externalIPs") or []
    kind = spec.get("type")
    if kind in ("ClusterIP", "NodePort"):
        return ",".join(external) or cells.NONE
    if kind == "LoadBalancer":
        balancer = _load_balancer(status)
        return ",".join([*([balancer] if balancer else []), *external]) or "<pending>"
    if kind == "ExternalName":
        return str(spec.get("externalName", ""))
    return cells.UNKNOWN


def _load_balancer(status: Mapping[str, Any]) -> str:
    ingress = objects.dig(status, "loadBalancer", "ingress", default=())
    found = {entry.get("ip") or entry.get("hostname") or "" for entry in ingress}
    return ",".join(sorted(found - {""}))


def _service_ports(ports: Sequence[Mapping[str, Any]]) -> str:
    pieces = []
    for port in ports:
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        pieces.append(f"{port['port']}{node}/{port.get('protocol', '')}")
    return ",".join(pieces)


def endpoints(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    found: list[str] = []
    for subset in obj.get("subsets") or ():
        addresses = [entry["ip"] for entry in subset.get("addresses") or ()]
        ports = subset.get("ports") or ()
        found += [_host_port(ip, port["port"]) for port in ports for ip in addresses] if ports else addresses
    # an Endpoints with subsets but no ready address shows nothing rather than <none>
    text = cells.limited(found, len(found), 3) if obj.get("subsets") else cells.NONE
    return [cells.name(obj), text, cells.age(obj, now)]


def _host_port(ip: str, port: int) -> str:
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def endpoint_slice(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    ports = [_slice_port(port) for port in obj.get("ports") or ()]
    addresses = [address for entry in obj.get("endpoints") or () for address in entry.get("addresses") or ()]
    return [
        cells.name(obj),
        obj.get("addressType", ""),
        cells.limited(ports, len(ports), 3) or cells.UNSET,
        cells.limited(addresses, len(addresses), 3) or cells.UNSET,
        cells.age(obj, now),
    ]


def _slice_port(port: Mapping[str, Any]) -> str:
    if port.get("port") is not None:
        return str(port["port"])
    return "*" if port.get("name") is None else str(port["name"])


def ingress(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    spec = cells.spec(obj)
    class_name = spec.get("ingressClassName")
    return [
        cells.name(obj),
        cells.NONE if class_name is None else class_name,
        _hosts(spec.get("rules") or ()),
        _load_balancer(cells.status(obj)),
        "80, 443" if spec.get("tls") else "80",
        cells.age(obj, now),
    ]


def _hosts(rules: Sequence[Mapping[str, Any]]) -> str:
    found: list[str] = []
    for rule in rules:
        if len(found) == 3:
            return f"{','.join(found)} + {len(rules) - 3} more..."
        if rule.get("host"):
            found.append(rule["host"])
    return ",".join(found) or "*"


def ingress_class(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    spec = cells.spec(obj)
    parameters, shown = spec.get("parameters"), cells.NONE
    if parameters:
        group = f".{parameters['apiGroup']}" if parameters.get("apiGroup") is not None else ""
        shown = f"{parameters['kind']}{group}/{parameters['name']}"
    name = cells.name(obj) + (" (default)" if class_defaults.is_default(obj, *class_defaults.INGRESS) else "")
    return [name, spec.get("controller", ""), shown, cells.age(obj, now)]


def network_policy(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    return [cells.name(obj), cells.selector(cells.spec(obj).get("podSelector")), cells.age(obj, now)]


def service_cidr(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    return [cells.name(obj), ",".join(cells.spec(obj).get("cidrs") or ()), cells.age(obj, now)]


def ip_address(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    """One cell more than there are columns: upstream's row has the age, its columns do not."""
    parent, shown = cells.spec(obj).get("parentRef"), cells.NONE
    if parent:
        group = f".{parent['group']}" if parent.get("group") else ""
        steps = [f"{parent.get('resource', '')}{group}".lower(), parent.get("namespace"), parent.get("name", "")]
        shown = "/".join(step for step in steps if step)
    return [cells.name(obj), shown, cells.age(obj, now)]
