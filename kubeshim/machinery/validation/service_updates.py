"""What a Service may become, and what its status may say."""

from collections.abc import Mapping
from typing import Any

from kubeshim.machinery import objects
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import content, fields, services, warnings

_ONCE_SET = "may not change once set"
_MODES = ("Proxy", "VIP")
_HINTS, _MODE = "service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode"

_Spec = Mapping[str, Any]


def update(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    spec, before = obj.get("spec") or {}, old.get("spec") or {}
    wrong: list[FieldError] = []
    if "ExternalName" not in (spec.get("type"), before.get("type")):
        headless, was_headless = services.is_headless(spec), services.is_headless(before)
        if not (headless and was_headless):
            wrong += _addresses(spec, before)
        if not headless and not was_headless:
            wrong += _families(spec, before)
    name = spec.get("loadBalancerClass")
    if spec.get("type") == before.get("type") == "LoadBalancer" and name != before.get("loadBalancerClass"):
        wrong.append(fields.invalid("spec.loadBalancerClass", name, _ONCE_SET))
    both = services.needs_health_check(spec) and services.needs_health_check(before)
    if both and spec.get("healthCheckNodePort") != before.get("healthCheckNodePort"):
        wrong.append(fields.forbidden("spec.healthCheckNodePort", fields.IMMUTABLE))
    return wrong + services.service(obj, old)


def _addresses(spec: _Spec, before: _Spec) -> list[FieldError]:
    new, old, path = spec.get("clusterIPs") or [], before.get("clusterIPs") or [], "spec.clusterIPs"
    if len(new) == len(old):
        return [fields.invalid(f"{path}[{index}]", new, _ONCE_SET) for index, ip in enumerate(old) if ip != new[index]]
    wrong: list[FieldError] = []
    if old and not new:
        wrong.append(fields.invalid(path + "[0]", new or None, "primary clusterIP can not be unset"))
    if old and new and old[0] != new[0]:
        wrong.append(fields.invalid(path + "[0]", new, _ONCE_SET))
    if len(old) > len(new) == 1:
        wrong += _single_stack(spec, "clusterIP")
    return wrong


def _families(spec: _Spec, before: _Spec) -> list[FieldError]:
    new, old, path = spec.get("ipFamilies") or [], before.get("ipFamilies") or [], "spec.ipFamilies[0]"
    if len(new) == len(old):
        return [fields.invalid(path, new, _ONCE_SET) for index, family in enumerate(old) if family != new[index]]
    wrong: list[FieldError] = []
    if len(old) > len(new) and not spec.get("clusterIPs"):
        wrong.append(fields.invalid(path, new or None, "primary ipFamily can not be unset"))
    if old and new and old[0] != new[0]:
        wrong.append(fields.invalid(path, spec.get("clusterIPs"), _ONCE_SET))
    if len(old) > len(new) == 1:
        wrong += _single_stack(spec, "ipFamily")
    return wrong


def _single_stack(spec: _Spec, what: str) -> list[FieldError]:
    policy = spec.get("ipFamilyPolicy")
    if policy == "SingleStack":
        return []
    text = f"must be set to 'SingleStack' when releasing the secondary {what}"
    return [fields.invalid("spec.ipFamilyPolicy", policy, text)]


def status(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    """The status door."""
    balancer = objects.dig(obj, "status", "loadBalancer", default={}) or {}
    found, path = balancer.get("ingress") or (), "status.loadBalancer.ingress"
    if found and objects.dig(obj, "spec", "type") != "LoadBalancer":
        return [fields.forbidden(path, "may only be used when `spec.type` is 'LoadBalancer'")]
    earlier = objects.dig(old, "status", "loadBalancer", "ingress", default=()) or ()
    kept = [one["ip"] for one in earlier if one.get("ip")]
    wrong: list[FieldError] = []
    for index, one in enumerate(found):
        place, ip, mode = f"{path}[{index}]", one.get("ip") or "", one.get("ipMode")
        if ip:
            wrong += fields.all_invalid(place + ".ip", ip, content.ip(ip, kept))
        if mode is None and ip:
            wrong.append(fields.required(place + ".ipMode", "must be specified when `ip` is set"))
        elif mode is not None and not ip:
            wrong.append(fields.forbidden(place + ".ipMode", "may not be specified when `ip` is not set"))
        elif mode is not None:
            wrong += fields.one_of(place + ".ipMode", mode, _MODES)
        if hostname := one.get("hostname"):
            wrong += host(hostname, place + ".hostname")
    return wrong


def host(hostname: str, path: str) -> list[FieldError]:
    """A load balancer's name."""
    wrong = fields.all_invalid(path, hostname, content.dns_subdomain(hostname))
    if content.sloppy_ip(hostname) is not None:
        wrong.append(fields.invalid(path, hostname, "must be a DNS name, not an IP address"))
    return wrong


def warn(obj: objects.Object) -> list[str]:
    """What is allowed but most likely not meant."""
    spec = obj.get("spec") or {}
    found: list[str] = []
    kind, external = spec.get("type"), spec.get("externalIPs") or ()
    if _HINTS in objects.annotations(obj):
        found.append(f"annotation {_HINTS} is deprecated, please use {_MODE} instead")
    if (spec.get("clusterIP") or "") not in ("", "None"):
        for index, address in enumerate(spec.get("clusterIPs") or ()):
            found += warnings.address(address, f"spec.clusterIPs[{index}]")
    headless = kind == "ClusterIP" and spec.get("clusterIP") == "None"
    if headless:
        if spec.get("loadBalancerIP"):
            found.append("spec.loadBalancerIP is ignored for headless services")
        if external:
            found.append("spec.externalIPs is ignored for headless services")
        if spec.get("sessionAffinity") != "None":
            found.append("spec.SessionAffinity is ignored for headless services")
    for index, address in enumerate(external):
        found += warnings.address(address, f"spec.externalIPs[{index}]")
    if external and not headless and kind != "ExternalName":
        found.append("spec.externalIPs is deprecated and may no longer be implemented in some clusters")
    if address := spec.get("loadBalancerIP"):
        found += warnings.address(address, "spec.loadBalancerIP")
    for index, cidr in enumerate(spec.get("loadBalancerSourceRanges") or ()):
        found += warnings.network(cidr, f"spec.loadBalancerSourceRanges[{index}]")
    if kind == "ExternalName" and external:
        found.append('spec.externalIPs is ignored when spec.type is "ExternalName"')
    if kind != "ExternalName" and spec.get("externalName"):
        found.append('spec.externalName is ignored when spec.type is not "ExternalName"')
    if spec.get("trafficDistribution") == "PreferClose":
        found.append('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"')
    return found


def warn_status(obj: objects.Object) -> list[str]:
    """Of a load balancer's addresses."""
    return [
        text
        for index, entry in enumerate(objects.dig(obj, "status", "loadBalancer", "ingress", default=()) or ())
        if entry.get("ip")
        for text in warnings.address(entry["ip"], f"status.loadBalancer.ingress[{index}]")
    ]
