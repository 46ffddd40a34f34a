"""Services, Endpoints and EndpointSlices."""

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

from kubeshim.machinery import objects
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import content, fields, metadata, probes

_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_POLICIES = ("Cluster", "Local")
_FAMILY_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
_DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")
_ONCE_SET = "may not change once set"
_LB_ONLY = "may only be used when `type` is 'LoadBalancer'"


def is_headless(spec: Mapping[str, Any]) -> bool:
    return spec.get("clusterIP") == "None" or (spec.get("clusterIPs") or [""])[0] == "None"


def needs_health_check(spec: Mapping[str, Any]) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def is_reached_from_outside(spec: Mapping[str, Any]) -> bool:
    kind = spec.get("type")
    return kind in ("LoadBalancer", "NodePort") or (kind == "ClusterIP" and bool(spec.get("externalIPs")))


def service(obj: objects.Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    kind, ports, headless = spec.get("type") or "", spec.get("ports") or (), is_headless(spec)
    wrong: list[FieldError] = []
    if not ports and not headless and kind != "ExternalName":
        wrong.append(fields.required("spec.ports"))
    if kind in ("LoadBalancer", "NodePort") and headless:
        text = f"may not be set to 'None' for {kind} services"
        wrong.append(fields.invalid("spec.clusterIPs[0]", "None", text))
    if kind == "ExternalName":
        wrong += _external_name(spec)
    wrong += _ports(ports)
    if found := spec.get("selector"):
        wrong += metadata.labels(found, "spec.selector")
    wrong += _affinity(spec) + cluster_ips(spec)
    for index, address in enumerate(spec.get("externalIPs") or ()):
        path = f"spec.externalIPs[{index}]"
        wrong += fields.all_invalid(path, address, content.ip(address)) or special_address(address, path)
    if not kind:
        wrong.append(fields.required("spec.type"))
    else:
        wrong += fields.one_of("spec.type", kind, _TYPES)
    return wrong + _node_ports(ports, kind) + _load_balancer(spec, obj) + _traffic(spec)


def _external_name(spec: Mapping[str, Any]) -> list[FieldError]:
    text = "may not be set for ExternalName services"
    names = ("clusterIPs", "ipFamilies", "ipFamilyPolicy")
    wrong = [fields.forbidden(f"spec.{name}", text) for name in names if spec.get(name)]
    name = (spec.get("externalName") or "").removesuffix(".")
    if not name:
        return [*wrong, fields.required("spec.externalName")]
    return wrong + fields.all_invalid("spec.externalName", name, content.dns_subdomain(name))


def _ports(ports: Sequence[Mapping[str, Any]]) -> list[FieldError]:
    wrong: list[FieldError] = []
    names: set[str] = set()
    for index, port in enumerate(ports):
        path, name = f"spec.ports[{index}]", port.get("name") or ""
        if name:
            wrong += fields.all_invalid(path + ".name", name, content.dns_label(name))
            if name in names:
                wrong.append(fields.duplicate(path + ".name", name))
            names.add(name)
        elif len(ports) > 1:
            wrong.append(fields.required(path + ".name"))
        number, protocol = port.get("port") or 0, port.get("protocol") or ""
        wrong += fields.all_invalid(path + ".port", number, content.port_number(number))
        if not protocol:
            wrong.append(fields.required(path + ".protocol"))
        else:
            wrong += fields.one_of(path + ".protocol", protocol, _PROTOCOLS)
        wrong += probes.port(port.get("targetPort"), path + ".targetPort")
        if (application := port.get("appProtocol")) is not None:
            wrong += fields.all_invalid(path + ".appProtocol", application, content.qualified_name(application))
    return wrong


def _affinity(spec: Mapping[str, Any]) -> list[FieldError]:
    kind, config = spec.get("sessionAffinity") or "", spec.get("sessionAffinityConfig")
    if not kind:
        return [fields.required("spec.sessionAffinity")]
    wrong = fields.one_of("spec.sessionAffinity", kind, ("ClientIP", "None"))
    path = "spec.sessionAffinityConfig"
    if kind == "ClientIP":
        timeout = objects.dig(config, "clientIP", "timeoutSeconds")
        if timeout is None:
            wrong.append(fields.required(path, "when session affinity type is ClientIP"))
        elif not 0 < timeout <= 86400:
            text = "must be greater than 0 and less than 86400"
            wrong.append(fields.invalid(path + ".clientIP.timeoutSeconds", timeout, text))
    elif kind == "None" and config is not None:
        wrong.append(fields.forbidden(path, "must not be set when session affinity is None"))
    return wrong


def cluster_ips(spec: Mapping[str, Any]) -> list[FieldError]:
    """``clusterIP``, ``clusterIPs``, ``ipFamilies`` and ``ipFamilyPolicy`` against each other."""
    if spec.get("type") == "ExternalName":
        return []
    wrong: list[FieldError] = []
    policy, families = spec.get("ipFamilyPolicy"), spec.get("ipFamilies") or []
    if policy is not None:
        wrong += fields.one_of("spec.ipFamilyPolicy", policy, _FAMILY_POLICIES)
    for index, family in enumerate(families):
        wrong += fields.one_of(f"spec.ipFamilies[{index}]", family, ("IPv4", "IPv6"))
        if family in families[:index]:
            wrong.append(fields.duplicate(f"spec.ipFamilies[{index}]", family))
    addresses = spec.get("clusterIPs") or []
    if addresses and spec.get("clusterIP") != addresses[0]:
        text = "first value must match `clusterIP`"
        wrong.append(fields.invalid("spec.clusterIPs", addresses, text))
    if not addresses and spec.get("clusterIP"):
        wrong.append(fields.invalid("spec.clusterIPs", addresses, "may not be empty when `clusterIP` is specified"))
    if addresses[:1] == ["None"]:
        if len(addresses) > 1:
            wrong.append(fields.invalid("spec.clusterIPs", addresses, "'None' must be the first and only value"))
        return wrong
    for index, address in enumerate(addresses):
        path = f"spec.clusterIPs[{index}]"
        complaints = fields.all_invalid(path, address, content.ip(address))
        wrong += complaints
        if not complaints and index < len(families):
            wanted = "IPv6" if ":" in address else "IPv4"
            if families[index] != wanted:
                text = f"expected an {families[index]} value as indicated by `ipFamilies[{index}]`"
                wrong.append(fields.invalid(path, address, text))
    if len(addresses) > 2:
        wrong.append(fields.invalid("spec.clusterIPs", addresses, "may only hold up to 2 values"))
    return wrong


def special_address(address: str, path: str) -> list[FieldError]:
    """Addresses that mean something by themselves are no Service's."""
    ip = ipaddress.ip_address(address)
    wrong = []
    if ip.is_unspecified:
        wrong.append(fields.invalid(path, address, f"may not be unspecified ({ip})"))
    if ip.is_loopback:
        range_ = "127.0.0.0/8, ::1/128"
        wrong.append(fields.invalid(path, address, f"may not be in the loopback range ({range_})"))
    if ip.is_link_local:
        range_ = "169.254.0.0/16, fe80::/10"
        wrong.append(fields.invalid(path, address, f"may not be in the link-local range ({range_})"))
    if ip.is_multicast and ((ip.version == 4 and ip in _LOCAL_MULTICAST[0]) or ip in _LOCAL_MULTICAST[1]):
        text = "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
        wrong.append(fields.invalid(path, address, text))
    return wrong


_LOCAL_MULTICAST = (ipaddress.ip_network("224.0.0.0/24"), ipaddress.ip_network("ff02::/16"))


def _node_ports(ports: Sequence[Mapping[str, Any]], kind: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    seen: set[tuple[Any, Any]] = set()
    numbers: set[tuple[Any, Any]] = set()
    text = "may not be used when `type` is 'ClusterIP'"
    for index, port in enumerate(ports):
        path, number = f"spec.ports[{index}]", port.get("nodePort") or 0
        if number and kind == "ClusterIP":
            wrong.append(fields.forbidden(path + ".nodePort", text))
        if number and (port.get("protocol"), number) in seen:
            wrong.append(fields.duplicate(path + ".nodePort", number))
        seen.add((port.get("protocol"), number))
    for index, port in enumerate(ports):
        key = (port.get("protocol"), port.get("port"))
        if key in numbers:
            shown = {"protocol": key[0], "port": key[1], "targetPort": 0}
            wrong.append(fields.duplicate(f"spec.ports[{index}]", shown))
        numbers.add(key)
    return wrong


def _load_balancer(spec: Mapping[str, Any], obj: objects.Object) -> list[FieldError]:
    is_one = spec.get("type") == "LoadBalancer"
    wrong: list[FieldError] = []
    ranges, path = spec.get("loadBalancerSourceRanges") or (), "spec.LoadBalancerSourceRanges"
    if ranges and not is_one:
        wrong.append(fields.forbidden(path, _LB_ONLY))
    for index, cidr in enumerate(ranges):
        wrong += fields.all_invalid(f"{path}[{index}]", cidr, content.cidr(cidr.strip()))
    allocate = spec.get("allocateLoadBalancerNodePorts")
    if allocate is not None and not is_one:
        wrong.append(fields.forbidden("spec.allocateLoadBalancerNodePorts", _LB_ONLY))
    if allocate is None and is_one:
        wrong.append(fields.required("allocateLoadBalancerNodePorts"))
    name = spec.get("loadBalancerClass")
    if name is not None:
        if not is_one:
            wrong.append(fields.forbidden("spec.loadBalancerClass", _LB_ONLY))
        wrong += fields.all_invalid("spec.loadBalancerClass", name, content.qualified_name(name))
    return wrong


def _traffic(spec: Mapping[str, Any]) -> list[FieldError]:
    wrong: list[FieldError] = []
    policy, path = spec.get("externalTrafficPolicy") or "", "spec.externalTrafficPolicy"
    if not is_reached_from_outside(spec):
        if policy:
            text = "may only be set for externally-accessible services"
            wrong.append(fields.invalid(path, policy, text))
    elif not policy:
        wrong.append(fields.required(path))
    else:
        wrong += fields.one_of(path, policy, _POLICIES)
    check = spec.get("healthCheckNodePort") or 0
    if check and not needs_health_check(spec):
        text = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        wrong.append(fields.invalid("spec.healthCheckNodePort", check, text))
    elif check:
        wrong += fields.all_invalid("spec.healthCheckNodePort", check, content.port_number(check))
    internal = spec.get("internalTrafficPolicy")
    if internal is not None:
        wrong += fields.one_of("spec.internalTrafficPolicy", internal, _POLICIES)
    if (distribution := spec.get("trafficDistribution")) is not None:
        wrong += fields.one_of("spec.trafficDistribution", distribution, _DISTRIBUTIONS)
    return wrong


def service_update(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    spec, before = obj.get("spec") or {}, old.get("spec") or {}
    wrong: list[FieldError] = []
    external = "ExternalName" in (spec.get("type"), before.get("type"))
    if not external:
        new, previous = spec.get("clusterIPs") or [], before.get("clusterIPs") or []
        for index in range(min(len(new), len(previous))):
            if new[index] != previous[index]:
                wrong.append(fields.invalid(f"spec.clusterIPs[{index}]", new, _ONCE_SET))
        families, earlier = spec.get("ipFamilies") or [], before.get("ipFamilies") or []
        if families and earlier and families[0] != earlier[0]:
            wrong.append(fields.invalid("spec.ipFamilies[0]", families, _ONCE_SET))
    name, check = spec.get("loadBalancerClass"), spec.get("healthCheckNodePort")
    if spec.get("type") == before.get("type") == "LoadBalancer" and name != before.get("loadBalancerClass"):
        wrong.append(fields.invalid("spec.loadBalancerClass", name, _ONCE_SET))
    both = needs_health_check(spec) and needs_health_check(before)
    if both and check != before.get("healthCheckNodePort"):
        wrong.append(fields.forbidden("spec.healthCheckNodePort", fields.IMMUTABLE))
    return wrong


def endpoints(obj: objects.Object) -> list[FieldError]:
    wrong: list[FieldError] = []
    for index, subset in enumerate(obj.get("subsets") or ()):
        path = f"subsets[{index}]"
        ready, unready = subset.get("addresses") or (), subset.get("notReadyAddresses") or ()
        if not ready and not unready:
            wrong.append(fields.required(path, "must specify `addresses` or `notReadyAddresses`"))
        for field, found in (("addresses", ready), ("notReadyAddresses", unready)):
            for place, address in enumerate(found):
                where = f"{path}.{field}[{place}]"
                text = address.get("ip") or ""
                wrong += fields.all_invalid(where + ".ip", text, content.ip(text)) or special_address(
                    text, where + ".ip"
                )
                if name := address.get("hostname"):
                    wrong += fields.all_invalid(where + ".hostname", name, content.dns_label(name))
        wrong += _endpoint_ports(subset.get("ports") or (), path + ".ports")
    return wrong


def _endpoint_ports(ports: Sequence[Mapping[str, Any]], base: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    for index, port in enumerate(ports):
        path, name = f"{base}[{index}]", port.get("name") or ""
        if len(ports) > 1 and not name:
            wrong.append(fields.required(path + ".name"))
        elif name:
            wrong += fields.all_invalid(path + ".name", name, content.dns_label(name))
        wrong += fields.all_invalid(path + ".port", port.get("port") or 0, content.port_number(port.get("port") or 0))
        wrong += fields.one_of(path + ".protocol", port.get("protocol"), _PROTOCOLS)
        if (application := port.get("appProtocol")) is not None:
            wrong += fields.all_invalid(path + ".appProtocol", application, content.qualified_name(application))
    return wrong


def endpoint_slice(obj: objects.Object) -> list[FieldError]:
    kind = obj.get("addressType") or ""
    wrong = [] if kind else [fields.required("addressType")]
    if kind:
        wrong += fields.one_of("addressType", kind, ("FQDN", "IPv4", "IPv6"))
    found = obj.get("endpoints") or ()
    if len(found) > 1000:
        wrong.append(fields.too_many("endpoints", len(found), 1000))
    for index, endpoint in enumerate(found):
        wrong += _slice_endpoint(endpoint, kind, f"endpoints[{index}]")
    names: set[str] = set()
    for index, port in enumerate(obj.get("ports") or ()):
        path, name = f"ports[{index}]", port.get("name") or ""
        if name:
            wrong += fields.all_invalid(path + ".name", name, content.dns_label(name))
        if name in names:
            wrong.append(fields.duplicate(path + ".name", name))
        names.add(name)
        wrong += fields.one_of(path + ".protocol", port.get("protocol"), _PROTOCOLS)
        if (number := port.get("port")) is not None:
            wrong += fields.all_invalid(path + ".port", number, content.port_number(number))
        if (application := port.get("appProtocol")) is not None:
            wrong += fields.all_invalid(path + ".appProtocol", application, content.qualified_name(application))
    return wrong


def _slice_endpoint(endpoint: Mapping[str, Any], kind: str, path: str) -> list[FieldError]:
    addresses = endpoint.get("addresses") or ()
    wrong: list[FieldError] = []
    if not addresses:
        wrong.append(fields.required(path + ".addresses", "must contain at least 1 address"))
    elif len(addresses) > 100:
        wrong.append(fields.too_many(path + ".addresses", len(addresses), 100))
    for index, address in enumerate(addresses):
        place = f"{path}.addresses[{index}]"
        if kind == "FQDN":
            wrong += fields.all_invalid(place, address, content.fully_qualified_domain(address))
        elif kind in ("IPv4", "IPv6"):
            complaints = fields.all_invalid(place, address, content.ip(address))
            if not complaints and (":" in address) != (kind == "IPv6"):
                complaints = [fields.invalid(place, address, f"must be an {kind} address")]
            wrong += complaints or special_address(address, place)
    if (name := endpoint.get("nodeName")) is not None:
        wrong += fields.all_invalid(path + ".nodeName", name, content.dns_subdomain(name))
    if (name := endpoint.get("hostname")) is not None:
        wrong += fields.all_invalid(path + ".hostname", name, content.dns_label(name))
    topology = endpoint.get("deprecatedTopology") or {}
    if topology:
        wrong += metadata.labels(topology, path + ".deprecatedTopology")
    return wrong


def endpoint_slice_update(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    return fields.immutable("addressType", obj.get("addressType"), old.get("addressType"))
