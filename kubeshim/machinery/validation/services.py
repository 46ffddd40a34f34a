"""Services, valid in themselves and as changes of what they were."""

import ipaddress
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from kubeshim.machinery import objects
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import content, fields, go_structs, metadata, probes

_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
PROTOCOLS = ("SCTP", "TCP", "UDP")
POLICIES = ("Cluster", "Local")
_FAMILYPOLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
_DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")
_ONCE_SET = "may not change once set"
_LB_ONLY = "may only be used when `type` is 'LoadBalancer'"
_HINTS, _MODE = "service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode"
_SOURCE_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"

_Spec = Mapping[str, Any]


def is_headless(spec: _Spec) -> bool:
    return spec.get("clusterIP") == "None" or (spec.get("clusterIPs") or [""])[0] == "None"


def _is_headless(spec: _Spec) -> bool:
    return (spec.get("clusterIPs") or []) == ["None"]


def needs_health_check(spec: _Spec) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def is_reached_from_outside(spec: _Spec) -> bool:
    kind = spec.get("type")
    return kind in ("LoadBalancer", "NodePort") or (kind == "ClusterIP" and bool(spec.get("externalIPs")))


def service(obj: objects.Object, old: objects.Object | None = None) -> list[FieldError]:
    """``old``, if given: addresses that are there already need not be good."""
    spec, before = obj.get("spec") or {}, (old or {}).get("spec") or {}
    # addresses are given out before anything else is judged, and these are what that needs
    if wrong := cluster_ips(spec, before.get("clusterIPs") or ()):
        return wrong
    kind, ports = spec.get("type") or "", spec.get("ports") or ()
    wrong = _topology(objects.annotations(obj))
    if not ports and not _is_headless(spec) and kind != "ExternalName":
        wrong.append(fields.required("spec.ports"))
    if kind in ("LoadBalancer", "NodePort") and _is_headless(spec):
        text = f"may not be set to 'None' for {kind} services"
        wrong.append(fields.invalid("spec.clusterIPs[0]", "None", text))
    if kind == "ExternalName":
        wrong += _external_name(spec)
    wrong += _ports(ports)
    if found := spec.get("selector"):
        wrong += metadata.labels(found, "spec.selector")
    wrong += _affinity(spec)
    kept = before.get("externalIPs") or ()
    for index, address in enumerate(spec.get("externalIPs") or ()):
        path = f"spec.externalIPs[{index}]"
        wrong += fields.all_invalid(path, address, content.ip(address, kept)) or special_address(address, path)
    wrong += fields.one_of("spec.type", kind, _TYPES) if kind else [fields.required("spec.type")]
    wrong += _node_ports(ports, kind) + _source_ranges(obj, spec, old, before) + _load_balancer(spec)
    return wrong + _traffic(spec)


def _topology(annotations: Mapping[str, str]) -> list[FieldError]:
    if _HINTS in annotations and annotations.get(_MODE, annotations[_HINTS]) != annotations[_HINTS]:
        text = f"must match annotations[{_HINTS}] when both are specified"
        return [fields.invalid(f"metadata.annotations[{_MODE}]", annotations[_MODE], text)]
    return []


def _external_name(spec: _Spec) -> list[FieldError]:
    text = "may not be set for ExternalName services"
    names = ("clusterIPs", "ipFamilies", "ipFamilyPolicy")
    wrong = [fields.forbidden(f"spec.{name}", text) for name in names if spec.get(name)]
    name = (spec.get("externalName") or "").removesuffix(".")
    if not name:
        return [*wrong, fields.required("spec.externalName")]
    return wrong + fields.all_invalid("spec.externalName", name, content.dns_subdomain(name))


def _ports(ports: Sequence[_Spec]) -> list[FieldError]:
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
        number = port.get("port") or 0
        wrong += fields.all_invalid(path + ".port", number, content.port_number(number))
        wrong += protocol(port, path) + probes.port(port.get("targetPort"), path + ".targetPort")
        if (application := port.get("appProtocol")) is not None:
            wrong += fields.all_invalid(path + ".appProtocol", application, content.qualified_name(application))
    return wrong


def protocol(port: _Spec, path: str) -> list[FieldError]:
    if not port.get("protocol"):
        return [fields.required(path + ".protocol")]
    return fields.one_of(path + ".protocol", port["protocol"], PROTOCOLS)


def _affinity(spec: _Spec) -> list[FieldError]:
    kind, config = spec.get("sessionAffinity") or "", spec.get("sessionAffinityConfig")
    if not kind:
        return [fields.required("spec.sessionAffinity")]
    wrong = fields.one_of("spec.sessionAffinity", kind, ("ClientIP", "None"))
    path, needed = "spec.sessionAffinityConfig", "when session affinity type is ClientIP"
    if kind == "None" and config is not None:
        return [*wrong, fields.forbidden(path, "must not be set when session affinity is None")]
    if kind != "ClientIP":
        return wrong
    if config is None:
        return [*wrong, fields.required(path, needed)]
    if config.get("clientIP") is None:
        return [*wrong, fields.required(path + ".clientIP", needed)]
    timeout = config["clientIP"].get("timeoutSeconds")
    path += ".clientIP.timeoutSeconds"
    if timeout is None:
        return [*wrong, fields.required(path, needed)]
    if not 0 < timeout <= 86400:
        wrong.append(fields.invalid(path, timeout, "must be greater than 0 and less than 86400"))
    return wrong


def cluster_ips(spec: _Spec, kept: Collection[str] = ()) -> list[FieldError]:
    """``clusterIP``, ``clusterIPs``, ``ipFamilies`` and ``ipFamilyPolicy`` against each other."""
    if spec.get("type") == "ExternalName":
        return []
    wrong: list[FieldError] = []
    addresses, first, path = spec.get("clusterIPs") or [], spec.get("clusterIP") or "", "spec.clusterIPs"
    if first and not addresses:
        wrong.append(fields.required(path))
    elif first and addresses[0] != first:
        wrong.append(fields.invalid(path, addresses, "first value must match `clusterIP`"))
    elif addresses and not first:
        wrong.append(fields.invalid(path, addresses, "must be empty when `clusterIP` is not specified"))
    families = spec.get("ipFamilies") or []
    for index, family in enumerate(families):
        wrong += fields.one_of(f"spec.ipFamilies[{index}]", family, ("IPv4", "IPv6"))
        if family in families[:index]:
            wrong.append(fields.duplicate(f"spec.ipFamilies[{index}]", family))
    if (policy := spec.get("ipFamilyPolicy")) is not None:
        wrong += fields.one_of("spec.ipFamilyPolicy", policy, _FAMILYPOLICIES)
    bad: list[FieldError] = []
    for index, address in enumerate(addresses):
        if index == 0 and address == "None":
            if len(addresses) > 1:
                bad.append(fields.invalid(path, addresses, "'None' must be the first and only value"))
            continue
        bad += fields.all_invalid(f"{path}[{index}]", address, content.ip(address, kept))
    wrong += bad
    if len(addresses) > 2:
        wrong.append(fields.invalid(path, addresses, "may only hold up to 2 values"))
    if bad or addresses[:1] == ["None"]:
        return wrong
    if len(addresses) > 1 and len({":" in address for address in addresses}) < 2:
        wrong.append(fields.invalid(path, addresses, "may specify no more than one IP for each IP family"))
    for index, (family, address) in enumerate(zip(families, addresses, strict=False)):
        if family in ("IPv4", "IPv6") and (":" in address) != (family == "IPv6"):
            text = f"expected an {family} value as indicated by `ipFamilies[{index}]`"
            wrong.append(fields.invalid(f"{path}[{index}]", address, text))
    return wrong


def special_address(address: str, path: str) -> list[FieldError]:
    """Addresses that mean something by themselves are no endpoint's."""
    parsed = content.sloppy_ip(address)
    if parsed is None:
        return [fields.invalid(path, address, "must be a valid IP address")]
    ip = content.unmapped(parsed[0])
    wrong = []
    if ip.is_unspecified:
        wrong.append(fields.invalid(path, address, f"may not be unspecified ({address})"))
    if ip.is_loopback:
        wrong.append(fields.invalid(path, address, "may not be in the loopback range (127.0.0.0/8, ::1/128)"))
    if ip.is_link_local:
        text = "may not be in the link-local range (169.254.0.0/16, fe80::/10)"
        wrong.append(fields.invalid(path, address, text))
    if _is_local_multicast(ip):
        text = "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
        wrong.append(fields.invalid(path, address, text))
    return wrong


def _is_local_multicast(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if isinstance(ip, ipaddress.IPv4Address):
        return ip.packed[:3] == b"\xe0\0\0"
    return ip.packed[0] == 0xFF and ip.packed[1] & 0x0F == 2


def _node_ports(ports: Sequence[_Spec], kind: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    if kind == "ClusterIP":
        text = "may not be used when `type` is 'ClusterIP'"
        for index, port in enumerate(ports):
            if port.get("nodePort"):
                wrong.append(fields.forbidden(f"spec.ports[{index}].nodePort", text))
    seen: set[tuple[Any, Any]] = set()
    for index, port in enumerate(ports):
        if number := port.get("nodePort"):
            if (port.get("protocol"), number) in seen:
                wrong.append(fields.duplicate(f"spec.ports[{index}].nodePort", number))
            seen.add((port.get("protocol"), number))
    numbers: set[tuple[Any, Any]] = set()
    for index, port in enumerate(ports):
        key = (port.get("protocol") or "", port.get("port") or 0)
        if key in numbers:
            shown = go_structs.shown(go_structs.SERVICE_PORT, {"protocol": key[0], "port": key[1]})
            wrong.append(fields.duplicate(f"spec.ports[{index}]", shown))
        numbers.add(key)
    return wrong


def _source_ranges(obj: objects.Object, spec: _Spec, old: objects.Object | None, before: _Spec) -> list[FieldError]:
    is_one = spec.get("type") == "LoadBalancer"
    if ranges := spec.get("loadBalancerSourceRanges"):
        path = "spec.LoadBalancerSourceRanges"
        wrong = [] if is_one else [fields.forbidden(path, _LB_ONLY)]
        kept = [cidr.strip() for cidr in before.get("loadBalancerSourceRanges") or ()]
        for index, cidr in enumerate(ranges):
            wrong += fields.all_invalid(f"{path}[{index}]", cidr.strip(), content.cidr(cidr.strip(), kept))
        return wrong
    text = objects.annotations(obj).get(_SOURCE_RANGES)
    if text is None:
        return []
    path = f"metadata.annotations[{_SOURCE_RANGES}]"
    wrong = [] if is_one else [fields.forbidden(path, _LB_ONLY)]
    if text.strip() and (old is None or objects.annotations(old).get(_SOURCE_RANGES) != text):
        for cidr in text.strip().split(","):
            wrong += fields.all_invalid(path, cidr.strip(), content.cidr(cidr.strip()))
    return wrong


def _load_balancer(spec: _Spec) -> list[FieldError]:
    is_one, allocate = spec.get("type") == "LoadBalancer", spec.get("allocateLoadBalancerNodePorts")
    wrong: list[FieldError] = []
    if allocate is not None and not is_one:
        wrong.append(fields.forbidden("spec.allocateLoadBalancerNodePorts", _LB_ONLY))
    if allocate is None and is_one:
        wrong.append(fields.required("allocateLoadBalancerNodePorts"))
    return wrong + _class(spec)


def _class(spec: _Spec) -> list[FieldError]:
    name, path = spec.get("loadBalancerClass"), "spec.loadBalancerClass"
    if name is None:
        return []
    if spec.get("type") != "LoadBalancer":
        return [fields.forbidden(path, _LB_ONLY)]
    return fields.all_invalid(path, name, content.qualified_name(name))


def _traffic(spec: _Spec) -> list[FieldError]:
    wrong: list[FieldError] = []
    policy, path = spec.get("externalTrafficPolicy") or "", "spec.externalTrafficPolicy"
    if not is_reached_from_outside(spec):
        if policy:
            wrong.append(fields.invalid(path, policy, "may only be set for externally-accessible services"))
    elif not policy:
        wrong.append(fields.required(path))
    else:
        wrong += fields.one_of(path, policy, POLICIES)
    check = spec.get("healthCheckNodePort") or 0
    if check and not needs_health_check(spec):
        text = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        wrong.append(fields.invalid("spec.healthCheckNodePort", check, text))
    elif check:
        wrong += fields.all_invalid("spec.healthCheckNodePort", check, content.port_number(check))
    internal = spec.get("internalTrafficPolicy")
    if internal is not None:
        wrong += fields.one_of("spec.internalTrafficPolicy", internal, POLICIES)
    elif spec.get("type") in ("ClusterIP", "LoadBalancer", "NodePort"):
        wrong.append(fields.required("spec.internalTrafficPolicy"))
    if (distribution := spec.get("trafficDistribution")) is not None:
        wrong += fields.one_of("spec.trafficDistribution", distribution, _DISTRIBUTIONS)
    return wrong
