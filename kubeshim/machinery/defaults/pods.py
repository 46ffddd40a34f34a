"""Pods, pod templates, containers and the volumes of both.

A template gets less than a pod: requests from limits, ``enableServiceLinks`` and host ports are filled in only when
the pod itself is made, and only there a negative grace period becomes one second.
"""

import functools
from typing import Any

from kubeshim.machinery import objects, pod_resources
from kubeshim.machinery.defaults import values


def pod(obj: objects.Object) -> None:
    spec = values.child(obj, "spec")
    pod_spec(spec)
    if spec["terminationGracePeriodSeconds"] < 0:
        spec["terminationGracePeriodSeconds"] = 1
    values.fill(spec, "enableServiceLinks", True)
    for field in ("containers", "initContainers"):
        for container in values.children(spec, field):
            _requests_from_limits(container.get("resources"))
    if spec.get("resources"):
        _pod_level_resources(spec)
    if spec.get("hostNetwork"):
        _host_ports(spec)


def pod_template(obj: objects.Object) -> None:
    """A ``PodTemplate`` object."""
    template(obj.get("template"))


def template(obj: Any) -> None:
    """A pod template inside a workload."""
    if isinstance(obj, dict):
        pod_spec(values.child(obj, "spec"))


def pod_spec(spec: objects.Object) -> None:
    if not spec.get("restartPolicy"):
        spec["restartPolicy"] = "Always"
    if spec.get("terminationGracePeriodSeconds") is None:
        spec["terminationGracePeriodSeconds"] = 30
    if not spec.get("dnsPolicy"):
        spec["dnsPolicy"] = "ClusterFirst"
    if spec.get("securityContext") is None:
        spec["securityContext"] = {}
    if not spec.get("schedulerName"):
        spec["schedulerName"] = "default-scheduler"
    _service_account(spec)
    for container in spec.get("containers") or ():
        _container(container)
    for container in spec.get("initContainers") or ():
        _container(container)
    for container in spec.get("ephemeralContainers") or ():
        _container(container)
    for item in spec.get("volumes") or ():
        volume(item)


def _service_account(spec: objects.Object) -> None:
    """``serviceAccount`` is the old name of ``serviceAccountName``: both are always the same."""
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account


@functools.lru_cache(maxsize=4096)
def pull_policy(image: str) -> str:
    """``Always`` for the tag ``latest``, said or implied; ``IfNotPresent`` for any other tag or a bare digest."""
    name, at, _ = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    return "Always" if tag == "latest" or not (tag or at) else "IfNotPresent"


def _container(container: objects.Object) -> None:
    if not container.get("imagePullPolicy"):
        container["imagePullPolicy"] = pull_policy(str(container.get("image") or ""))
    if not container.get("terminationMessagePath"):
        container["terminationMessagePath"] = "/dev/termination-log"
    if not container.get("terminationMessagePolicy"):
        container["terminationMessagePolicy"] = "File"
    if container.get("resources") is None:
        container["resources"] = {}
    for port in container.get("ports") or ():
        if not port.get("protocol"):
            port["protocol"] = "TCP"
    for variable in container.get("env") or ():
        if (source := variable.get("valueFrom")) is not None:
            _value_source(source)
    for field in ("livenessProbe", "readinessProbe", "startupProbe"):
        if (probe := container.get(field)) is not None:
            _probe(probe)
    lifecycle = container.get("lifecycle")
    if lifecycle:
        for hook in ("postStart", "preStop"):
            if (action := (lifecycle.get(hook) or {}).get("httpGet")) is not None:
                _http_get(action)


def _value_source(source: objects.Object) -> None:
    """An environment variable's or a downward volume item's source."""
    if (field := source.get("fieldRef")) is not None:
        values.fill_text(field, "apiVersion", "v1")
    if (resource := source.get("resourceFieldRef")) is not None:
        values.fill(resource, "divisor", "0")


def _probe(probe: objects.Object) -> None:
    for field, value in (
        ("timeoutSeconds", 1),
        ("periodSeconds", 10),
        ("successThreshold", 1),
        ("failureThreshold", 3),
    ):
        if not probe.get(field):
            probe[field] = value
    if (action := probe.get("httpGet")) is not None:
        _http_get(action)
    if (action := probe.get("grpc")) is not None:
        values.fill(action, "service", "")


def _http_get(action: objects.Object) -> None:
    values.fill_text(action, "path", "/")
    values.fill_text(action, "scheme", "HTTP")


def _requests_from_limits(resources: Any) -> None:
    """What has a limit and no request is requested in full."""
    limits = (resources or {}).get("limits")
    if not limits:
        return
    requests = resources.get("requests")
    if requests is None:
        requests = resources["requests"] = {}
    for name, amount in limits.items():
        if name not in requests:
            requests[name] = amount


_POD_LEVEL = ("cpu", "memory")
_HUGE_PAGES = "hugepages-"


def _pod_level_resources(spec: objects.Object) -> None:
    """Resources of the pod as a whole, where some are given: from its containers', then requests from limits."""
    resources = spec["resources"]
    if not (resources.get("limits") or resources.get("requests")):
        return
    containers = {"spec": {field: spec.get(field) or () for field in ("containers", "initContainers")}}
    for name, amount in pod_resources.total(containers, "limits").items():
        if name.startswith(_HUGE_PAGES) and name not in (resources.get("requests") or {}):
            values.fill(values.child(resources, "limits"), name, str(amount))
    if not resources.get("limits"):
        return
    requests = values.child(resources, "requests")
    for name, amount in pod_resources.total(containers, "requests").items():
        if name in _POD_LEVEL:
            values.fill(requests, name, str(amount))
    for name, limit in resources["limits"].items():
        if name in _POD_LEVEL or name.startswith(_HUGE_PAGES):
            values.fill(requests, name, limit)
    if not requests:
        del resources["requests"]


def _host_ports(spec: objects.Object) -> None:
    for field in ("containers", "initContainers"):
        for container in values.children(spec, field):
            for port in container.get("ports") or ():
                if not port.get("hostPort"):
                    port["hostPort"] = port.get("containerPort") or 0


_MODES = ("secret", "configMap", "downwardAPI", "projected")
_VOLUME_META = frozenset(("name",))


def volume(item: objects.Object) -> None:
    """A pod's volume; one without any source is an ``emptyDir``."""
    if not any(value is not None for key, value in item.items() if key not in _VOLUME_META):
        item["emptyDir"] = {}
        return
    for field in _MODES:
        source = item.get(field)
        if source is not None and source.get("defaultMode") is None:
            source["defaultMode"] = 420
    for entry in (item.get("downwardAPI") or {}).get("items") or ():
        _value_source(entry)
    for source in (item.get("projected") or {}).get("sources") or ():
        if (token := source.get("serviceAccountToken")) is not None:
            values.fill(token, "expirationSeconds", 3600)
        for entry in (source.get("downwardAPI") or {}).get("items") or ():
            _value_source(entry)
    if item.get("image") is not None:
        values.fill_text(item["image"], "pullPolicy", pull_policy(str(item["image"].get("reference") or "")))
    if (claim := (item.get("ephemeral") or {}).get("volumeClaimTemplate")) is not None:
        values.fill(values.child(claim, "spec"), "volumeMode", "Filesystem")
    volume_source(item)


def volume_source(item: objects.Object) -> None:
    """The sources that pods and persistent volumes share."""
    if item.get("hostPath") is not None:
        values.fill(item["hostPath"], "type", "")
    if item.get("iscsi") is not None:
        values.fill_text(item["iscsi"], "iscsiInterface", "default")
    if item.get("rbd") is not None:
        for field, value in (("pool", "rbd"), ("user", "admin"), ("keyring", "/etc/ceph/keyring")):
            values.fill_text(item["rbd"], field, value)
    if item.get("azureDisk") is not None:
        disk = item["azureDisk"]
        for field, value in (("cachingMode", "ReadWrite"), ("kind", "Shared"), ("fsType", "ext4")):
            values.fill(disk, field, value)
        values.fill(disk, "readOnly", False)
    if item.get("scaleIO") is not None:
        values.fill_text(item["scaleIO"], "storageMode", "ThinProvisioned")
        values.fill_text(item["scaleIO"], "fsType", "xfs")
