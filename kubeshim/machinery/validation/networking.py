"""Ingresses and their classes."""

from collections.abc import Mapping
from typing import Any

from kubeshim.machinery import objects
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import content, fields, prefixed, service_updates

_PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
_CLASS_ANNOTATION = "kubernetes.io/ingress.class"
_FORBIDDEN_PARTS = ("//", "/./", "/../", "%2f", "%2F")
_FORBIDDEN_ENDS = ("/..", "/.")


def ingress(obj: objects.Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    wrong: list[FieldError] = []
    rules, backend = spec.get("rules") or [], spec.get("defaultBackend")
    if not rules and backend is None:
        text = "either `defaultBackend` or `rules` must be specified"
        wrong.append(fields.invalid("spec", spec.get("rules"), text))
    if backend is not None:
        wrong += _backend(backend, "spec.defaultBackend")
    for index, rule in enumerate(rules):
        wrong += _rule(rule, f"spec.rules[{index}]")
    for index, tls in enumerate(spec.get("tls") or ()):
        for place, host in enumerate(tls.get("hosts") or ()):
            wrong += _host(host, f"spec.tls[{index}].hosts[{place}]")
        if name := tls.get("secretName"):
            wrong += fields.all_invalid(f"spec.tls[{index}].secretName", name, content.dns_subdomain(name))
    if (name := spec.get("ingressClassName")) is not None:
        wrong += fields.all_invalid("spec.ingressClassName", name, content.dns_subdomain(name))
    return wrong


def ingress_create(obj: objects.Object) -> list[FieldError]:
    name, said = objects.dig(obj, "spec", "ingressClassName"), objects.annotations(obj).get(_CLASS_ANNOTATION)
    if said is None or name is None or said == name:
        return []
    text = "must match `ingressClassName` when both are specified"
    return [fields.invalid(f"annotations.{_CLASS_ANNOTATION}", said, text)]


def ingress_status(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    earlier = objects.dig(old, "status", "loadBalancer", "ingress", default=()) or ()
    kept = [one["ip"] for one in earlier if one.get("ip")]
    wrong: list[FieldError] = []
    for index, one in enumerate(objects.dig(obj, "status", "loadBalancer", "ingress", default=()) or ()):
        path = f"status.loadBalancer.ingress[{index}]"
        if ip := one.get("ip"):
            wrong += fields.all_invalid(path + ".ip", ip, content.ip(ip, kept))
        if hostname := one.get("hostname"):
            wrong += service_updates.host(hostname, path + ".hostname")
    return wrong


def warn_ingress(obj: objects.Object, old: objects.Object | None = None) -> list[str]:
    if old is not None or objects.dig(obj, "spec", "ingressClassName") is not None:
        return []
    if _CLASS_ANNOTATION not in objects.annotations(obj):
        return []
    return [f"annotation \"{_CLASS_ANNOTATION}\" is deprecated, please use 'spec.ingressClassName' instead"]


def _host(host: str, path: str) -> list[FieldError]:
    check = content.wildcard_subdomain if "*" in host else content.dns_subdomain
    return fields.all_invalid(path, host, check(host))


def _rule(rule: Mapping[str, Any], path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    if host := rule.get("host"):
        if content.sloppy_ip(host) is not None:
            wrong.append(fields.invalid(path + ".host", host, "must be a DNS name, not an IP address"))
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
        return _reference(resource, path + ".resource")
    if service is None:
        return [fields.invalid(path, "", "resource or service backend is required")]
    name, port = service.get("name") or "", service.get("port") or {}
    wrong: list[FieldError] = []
    if not name:
        wrong.append(fields.required(path + ".service.name"))
    else:
        wrong += fields.all_invalid(path + ".service.name", name, content.dns_label(name))
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


def _reference(found: Mapping[str, Any], path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    if (group := found.get("apiGroup")) is not None:
        wrong += fields.all_invalid(path + ".apiGroup", group, content.dns_subdomain(group))
    for field in ("kind", "name"):
        if text := found.get(field):
            wrong += fields.all_invalid(f"{path}.{field}", text, content.path_segment(text))
        else:
            wrong.append(fields.required(f"{path}.{field}"))
    return wrong


def ingress_class(obj: objects.Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    controller = spec.get("controller") or ""
    if not controller:
        return [fields.required("spec.controller", "at least one controller is required")]
    wrong: list[FieldError] = []
    if len(controller.encode()) > 250:
        wrong.append(fields.too_long("spec.controller", 250))
    wrong += prefixed.path(controller, "spec.controller")
    if (parameters := spec.get("parameters")) is not None:
        wrong += _reference(parameters, "spec.parameters") + _scope(parameters, "spec.parameters")
    return wrong


def _scope(parameters: Mapping[str, Any], path: str) -> list[FieldError]:
    scope, namespace = parameters.get("scope"), parameters.get("namespace")
    if scope is None:
        return [fields.required(path + ".scope")]
    if scope not in ("Cluster", "Namespace"):
        return [fields.not_supported(path + ".scope", scope, ("Cluster", "Namespace"))]
    if scope == "Namespace":
        if namespace is None:
            return [fields.required(path + ".namespace", "`parameters.scope` is set to 'Namespace'")]
        return fields.all_invalid(path + ".namespace", namespace, content.dns_label(namespace))
    if namespace is not None:
        return [fields.forbidden(path + ".namespace", "`parameters.scope` is set to 'Cluster'")]
    return []


def ingress_class_update(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    new, before = objects.dig(obj, "spec", "controller"), objects.dig(old, "spec", "controller")
    return fields.immutable("spec.controller", new, before)
