"""Ingresses, their classes, and network policies."""

import ipaddress
from collections.abc import Mapping
from typing import Any

from kubeshim.machinery import objects
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import content, fields, metadata

_PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_CLASS_ANNOTATION = "kubernetes.io/ingress.class"
_FORBIDDEN_PARTS = ("//", "/./", "/../", "%2f", "%2F")
_FORBIDDEN_ENDS = ("/..", "/.")


def ingress(obj: objects.Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    wrong: list[FieldError] = []
    for index, tls in enumerate(spec.get("tls") or ()):
        for place, host in enumerate(tls.get("hosts") or ()):
            wrong += _host(host, f"spec.tls[{index}].hosts[{place}]")
        if name := tls.get("secretName"):
            wrong += fields.all_invalid(f"spec.tls[{index}].secretName", name, content.dns_subdomain(name))
    rules, backend = spec.get("rules") or (), spec.get("defaultBackend")
    if not rules and backend is None:
        wrong.append(fields.invalid("spec", [], "either `defaultBackend` or `rules` must be specified"))
    if backend is not None:
        wrong += _backend(backend, "spec.defaultBackend")
    for index, rule in enumerate(rules):
        wrong += _rule(rule, f"spec.rules[{index}]")
    if (name := spec.get("ingressClassName")) is not None:
        wrong += fields.all_invalid("spec.ingressClassName", name, content.dns_subdomain(name))
    return wrong


def ingress_create(obj: objects.Object) -> list[FieldError]:
    name = objects.dig(obj, "spec", "ingressClassName")
    if _CLASS_ANNOTATION in objects.annotations(obj) and name is not None:
        path = f"annotations.{_CLASS_ANNOTATION}"
        value = objects.annotations(obj)[_CLASS_ANNOTATION]
        return [fields.invalid(path, value, "can not be set when the class field is also set")]
    return []


def _host(host: str, path: str) -> list[FieldError]:
    check = content.wildcard_subdomain if "*" in host else content.dns_subdomain
    return fields.all_invalid(path, host, check(host))


def _rule(rule: Mapping[str, Any], path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    if host := rule.get("host"):
        try:
            ipaddress.ip_address(host)
            wrong.append(fields.invalid(path + ".host", host, "must be a DNS name, not an IP address"))
        except ValueError:
            wrong += _host(host, path + ".host")
    http = rule.get("http")
    if http is None:
        return wrong
    paths = http.get("paths") or ()
    if not paths:
        wrong.append(fields.required(path + ".http.paths"))
    for index, entry in enumerate(paths):
        wrong += _path(entry, f"{path}.http.paths[{index}]")
    return wrong


def _path(entry: Mapping[str, Any], path: str) -> list[FieldError]:
    kind, text = entry.get("pathType"), entry.get("path") or ""
    wrong: list[FieldError] = []
    if kind is None:
        return [fields.required(path + ".pathType", "pathType must be specified")]
    if kind in ("Exact", "Prefix"):
        if not text.startswith("/"):
            wrong.append(fields.invalid(path + ".path", text, "must be an absolute path"))
        for part in _FORBIDDEN_PARTS:
            if part in text:
                wrong.append(fields.invalid(path + ".path", text, f"must not contain '{part}'"))
        for end in _FORBIDDEN_ENDS:
            if text.endswith(end):
                wrong.append(fields.invalid(path + ".path", text, f"cannot end with '{end}'"))
    elif kind == "ImplementationSpecific":
        if text and not text.startswith("/"):
            wrong.append(fields.invalid(path + ".path", text, "must be an absolute path"))
    else:
        wrong.append(fields.not_supported(path + ".pathType", kind, _PATH_TYPES))
    return wrong + _backend(entry.get("backend") or {}, path + ".backend")


def _backend(backend: Mapping[str, Any], path: str) -> list[FieldError]:
    service, resource = backend.get("service"), backend.get("resource")
    if service is not None and resource is not None:
        return [fields.invalid(path, "", "cannot set both resource and service backends")]
    if resource is not None:
        return [fields.required(f"{path}.resource.{name}") for name in ("kind", "name") if not resource.get(name)]
    if service is None:
        return [fields.required(path, "service or resource backend is required")] if not backend else []
    name, port = service.get("name") or "", service.get("port") or {}
    wrong: list[FieldError] = []
    if not name:
        wrong.append(fields.required(path + ".service.name"))
    else:
        wrong += fields.all_invalid(path + ".service.name", name, content.dns_1035_label(name))
    number, label = port.get("number") or 0, port.get("name") or ""
    if label and number:
        text = "cannot set both port name & port number"
        wrong.append(fields.invalid(path, "", text))
    elif label:
        wrong += fields.all_invalid(path + ".service.port.name", label, content.port_name(label))
    elif number:
        wrong += fields.all_invalid(path + ".service.port.number", number, content.port_number(number))
    else:
        wrong.append(fields.required(path, "port name or number is required"))
    return wrong


def ingress_class(obj: objects.Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    controller = spec.get("controller") or ""
    wrong: list[FieldError] = []
    if len(controller) > 250:
        wrong.append(fields.too_long("spec.controller", 250))
    wrong += fields.all_invalid("spec.controller", controller, content.domain_prefixed_path(controller))
    if (parameters := spec.get("parameters")) is not None:
        path = "spec.parameters"
        wrong += [fields.required(f"{path}.{name}") for name in ("kind", "name") if not parameters.get(name)]
        scope = parameters.get("scope")
        if scope not in ("Cluster", "Namespace"):
            wrong.append(fields.not_supported(path + ".scope", scope or "", ("Cluster", "Namespace")))
        elif scope == "Namespace" and not parameters.get("namespace"):
            text = "`parameters.scope` is set to 'Namespace'"
            wrong.append(fields.required(path + ".namespace", text))
        elif scope == "Cluster" and parameters.get("namespace"):
            text = "`parameters.scope` is set to 'Cluster'"
            wrong.append(fields.forbidden(path + ".namespace", text))
    return wrong


def ingress_class_update(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    new, before = objects.dig(obj, "spec", "controller"), objects.dig(old, "spec", "controller")
    return fields.immutable("spec.controller", new, before)


def network_policy(obj: objects.Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    wrong = metadata.label_selector(spec.get("podSelector"), "spec.podSelector")
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(direction) or ()):
            path = f"spec.{direction}[{index}]"
            for place, port in enumerate(rule.get("ports") or ()):
                wrong += _policy_port(port, f"{path}.ports[{place}]")
            for place, peer in enumerate(rule.get(peers) or ()):
                wrong += _peer(peer, f"{path}.{peers}[{place}]")
    kinds = spec.get("policyTypes") or []
    if len(kinds) > 2:
        wrong.append(fields.invalid("spec.policyTypes", kinds, "may not specify more than two policyTypes"))
        return wrong
    for index, kind in enumerate(kinds):
        wrong += fields.one_of(f"spec.policyTypes[{index}]", kind, ("Egress", "Ingress"))
    return wrong


def _policy_port(port: Mapping[str, Any], path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    protocol = port.get("protocol")
    if protocol is not None:
        wrong += fields.one_of(path + ".protocol", protocol, ("SCTP", "TCP", "UDP"))
    number, end = port.get("port"), port.get("endPort")
    if isinstance(number, str):
        wrong += fields.all_invalid(path + ".port", number, content.port_name(number))
        if end is not None:
            text = "may not be specified when `port` is non-numeric"
            wrong.append(fields.invalid(path + ".endPort", end, text))
    elif number is not None:
        wrong += fields.all_invalid(path + ".port", number, content.port_number(number))
        if end is not None:
            if end < number:
                text = "must be greater than or equal to `port`"
                wrong.append(fields.invalid(path + ".endPort", end, text))
            wrong += fields.all_invalid(path + ".endPort", end, content.port_number(end))
    elif end is not None:
        wrong.append(fields.invalid(path + ".endPort", end, "may not be specified when `port` is not specified"))
    return wrong


def _peer(peer: Mapping[str, Any], path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    given = 0
    for field in ("podSelector", "namespaceSelector"):
        if (selector := peer.get(field)) is not None:
            given += 1
            wrong += metadata.label_selector(selector, f"{path}.{field}")
    block = peer.get("ipBlock")
    if block is not None:
        wrong += _block(block, path + ".ipBlock")
    if not given and block is None:
        wrong.append(fields.required(path, "must specify a peer"))
    elif given and block is not None:
        text = "may not specify both ipBlock and another peer"
        wrong.append(fields.forbidden(path, text))
    return wrong


def _block(block: Mapping[str, Any], path: str) -> list[FieldError]:
    cidr = block.get("cidr") or ""
    if not cidr:
        return [fields.required(path + ".cidr")]
    if wrong := fields.all_invalid(path + ".cidr", cidr, content.cidr(cidr)):
        return wrong
    outer = ipaddress.ip_network(cidr)
    wrong = []
    for index, hole in enumerate(block.get("except") or ()):
        place = f"{path}.except[{index}]"
        complaints = fields.all_invalid(place, hole, content.cidr(hole))
        wrong += complaints
        if complaints:
            continue
        inner = ipaddress.ip_network(hole)
        inside = inner.version == outer.version and inner != outer and inner.subnet_of(outer)  # type: ignore[arg-type]
        if not inside:
            wrong.append(fields.invalid(place, hole, f"must be a strict subset of `cidr`: {fields.quote(cidr)}"))
    return wrong
