"""The other kinds of the core group."""

import base64
from typing import Any

from kubeshim.machinery import objects
from kubeshim.machinery.defaults import pods, values


def service(obj: objects.Object) -> None:
    spec = values.child(obj, "spec")
    values.fill_text(spec, "sessionAffinity", "None")
    values.fill_text(spec, "type", "ClusterIP")
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP":
        affinity = values.child(values.child(spec, "sessionAffinityConfig"), "clientIP")
        values.fill(affinity, "timeoutSeconds", 10800)
    for port in values.children(spec, "ports"):
        values.fill_text(port, "protocol", "TCP")
        if port.get("targetPort") in (None, 0, ""):
            port["targetPort"] = port.get("port")
    if spec["type"] in ("NodePort", "LoadBalancer") or (spec["type"] == "ClusterIP" and spec.get("externalIPs")):
        values.fill_text(spec, "externalTrafficPolicy", "Cluster")
    if spec["type"] in ("ClusterIP", "NodePort", "LoadBalancer"):
        values.fill(spec, "internalTrafficPolicy", "Cluster")
    if spec["type"] == "LoadBalancer":
        values.fill(spec, "allocateLoadBalancerNodePorts", True)
    for ingress in objects.dig(obj, "status", "loadBalancer", "ingress", default=()):
        if ingress.get("ip"):
            values.fill(ingress, "ipMode", "VIP")


def endpoints(obj: objects.Object) -> None:
    for subset in values.children(obj, "subsets"):
        for port in values.children(subset, "ports"):
            values.fill_text(port, "protocol", "TCP")


def secret(obj: objects.Object) -> None:
    """``stringData`` is write-only: it goes into ``data``, over what is there."""
    values.fill_text(obj, "type", "Opaque")
    texts: Any = obj.pop("stringData", None)
    if isinstance(texts, dict) and texts:
        data = values.child(obj, "data")
        for key, text in texts.items():
            data[key] = base64.b64encode(str(text).encode()).decode()


def namespace(obj: objects.Object) -> None:
    """Every namespace carries its own name as a label, for selectors."""
    metadata = values.child(obj, "metadata")
    if metadata.get("name"):
        values.child(metadata, "labels")["kubernetes.io/metadata.name"] = metadata["name"]
    values.fill_text(values.child(obj, "status"), "phase", "Active")


def node(obj: objects.Object) -> None:
    status = obj.get("status") or {}
    if status.get("capacity") and not status.get("allocatable"):
        status["allocatable"] = dict(status["capacity"])


def persistent_volume(obj: objects.Object) -> None:
    spec = values.child(obj, "spec")
    values.fill_text(spec, "persistentVolumeReclaimPolicy", "Retain")
    values.fill(spec, "volumeMode", "Filesystem")
    values.fill_text(values.child(obj, "status"), "phase", "Pending")
    pods.volume_source(spec)


def persistent_volume_claim(obj: objects.Object) -> None:
    spec = values.child(obj, "spec")
    values.fill(spec, "volumeMode", "Filesystem")
    values.fill_text(values.child(obj, "status"), "phase", "Pending")


def limit_range(obj: objects.Object) -> None:
    for limit in values.children(values.child(obj, "spec"), "limits"):
        if limit.get("type") != "Container":
            continue
        default = dict(limit.get("default") or {})
        request = dict(limit.get("defaultRequest") or {})
        for name, amount in (limit.get("max") or {}).items():
            default.setdefault(name, amount)
        for name, amount in default.items():
            request.setdefault(name, amount)
        for name, amount in (limit.get("min") or {}).items():
            request.setdefault(name, amount)
        if default:
            limit["default"] = default
        if request:
            limit["defaultRequest"] = request


def replication_controller(obj: objects.Object) -> None:
    spec = values.child(obj, "spec")
    values.fill(spec, "replicas", 1)
    template = spec.get("template")
    labels = objects.dig(template, "metadata", "labels", default={})
    if labels:
        if not spec.get("selector"):
            spec["selector"] = dict(labels)
        metadata = values.child(obj, "metadata")
        if not metadata.get("labels"):
            metadata["labels"] = dict(labels)
    pods.template(template)
