"""Which pods stand behind a Service, and how: what Endpoints and EndpointSlices both tell. Pure."""

from collections.abc import Mapping
from typing import Any

from kubeshim.control_plane.controller_manager import pods
from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object

HEADLESS = "service.kubernetes.io/headless"
TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"


def belongs(pod: Object, *, terminating: bool) -> bool:
    """Whether the pod counts at all: it has an address, has not ended, and is not on its way out (unless wanted)."""
    if not objects.dig(pod, "status", "podIP") and not objects.dig(pod, "status", "podIPs", default=()):
        return False
    if pods.is_finished(pod):
        return False
    return bool(terminating or not objects.is_deleting(pod))


def addresses(pod: Object) -> list[str]:
    """All its addresses, the primary first."""
    listed = [entry["ip"] for entry in objects.dig(pod, "status", "podIPs", default=()) if entry.get("ip")]
    primary = objects.dig(pod, "status", "podIP")
    return listed or ([primary] if primary else [])


def address_of(pod: Object, family: str) -> str | None:
    """Its address of ``IPv4`` or ``IPv6``."""
    return next((one for one in addresses(pod) if family_of(one) == family), None)


def family_of(address: str) -> str:
    return "IPv6" if ":" in address else "IPv4"


def families(service: Object) -> list[str]:
    """The Service's address families; one created before they were defaulted goes by its ClusterIP."""
    given = service["spec"].get("ipFamilies")
    if given:
        return list(given)
    address = str(service["spec"].get("clusterIP") or "")
    return [family_of(address)] if address not in ("", "None") else ["IPv4"]


def is_headless(service: Object) -> bool:
    return bool(service["spec"].get("clusterIP") == "None")


def target_port(pod: Object, port: Mapping[str, Any]) -> int | None:
    """The number of the Service's target port in this pod; None where the pod has no port of that name."""
    target = port.get("targetPort")
    if target is None or target in {"", 0}:
        return int(port["port"])
    if isinstance(target, int):
        return target
    protocol = port.get("protocol") or "TCP"
    containers = [*(pod["spec"].get("containers") or ()), *_sidecars(pod)]
    for container in containers:
        for offered in container.get("ports") or ():
            if offered.get("name") == target and (offered.get("protocol") or "TCP") == protocol:
                return int(offered["containerPort"])
    return None


def _sidecars(pod: Object) -> list[Object]:
    return [one for one in pod["spec"].get("initContainers") or () if one.get("restartPolicy") == "Always"]


def hostname_of(pod: Object, service: Object) -> str:
    """The name under which DNS publishes the pod behind this Service, if it has one."""
    spec = pod["spec"]
    same = spec.get("subdomain") == objects.name(service) and objects.namespace(pod) == objects.namespace(service)
    return str(spec.get("hostname") or "") if same else ""


def selects(service: Object, pod: Object) -> bool:
    selector = service["spec"].get("selector") or {}
    if not selector or service["spec"].get("type") == "ExternalName":
        return False
    labels = objects.labels(pod)
    return all(labels.get(key) == value for key, value in selector.items())


def matters(old: Object, new: Object) -> bool:
    """Whether the pod changed in anything that endpoints show."""
    return _shown(old) != _shown(new)


def _shown(pod: Object) -> tuple[Any, ...]:
    return (
        addresses(pod),
        pod["spec"].get("nodeName"),
        pods.is_ready(pod),
        pods.is_finished(pod),
        objects.is_deleting(pod),
        objects.labels(pod),
        pod["spec"].get("hostname"),
        pod["spec"].get("subdomain"),
    )


def target_of(pod: Object) -> dict[str, str]:
    return {
        "kind": "Pod",
        "namespace": objects.namespace(pod),
        "name": objects.name(pod),
        "uid": objects.uid(pod),
    }
