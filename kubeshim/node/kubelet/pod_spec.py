"""Reading a pod's spec: its containers in their kinds, its ports, its grace."""

import hashlib
import json
from collections.abc import Iterator

from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object


def spec(pod: Object) -> Object:
    found: Object = pod.get("spec") or {}
    return found


def containers(pod: Object) -> list[Object]:
    return list(spec(pod).get("containers") or ())


def init_containers(pod: Object) -> list[Object]:
    return list(spec(pod).get("initContainers") or ())


def ephemeral_containers(pod: Object) -> list[Object]:
    return list(spec(pod).get("ephemeralContainers") or ())


def every(pod: Object) -> Iterator[Object]:
    yield from init_containers(pod)
    yield from containers(pod)
    yield from ephemeral_containers(pod)


def find(pod: Object, name: str) -> Object | None:
    return next((container for container in every(pod) if container["name"] == name), None)


def is_sidecar(container: Object) -> bool:
    """An init container that keeps running beside the others (``restartPolicy: Always``)."""
    return bool(container.get("restartPolicy") == "Always")


def is_init(pod: Object, name: str) -> bool:
    return any(container["name"] == name for container in init_containers(pod))


def restart_policy(pod: Object) -> str:
    return str(spec(pod).get("restartPolicy") or "Always")


def host_network(pod: Object) -> bool:
    return bool(spec(pod).get("hostNetwork"))


def grace_period(pod: Object) -> int:
    """Seconds: the delete request's where there is one, else the spec's."""
    asked = objects.dig(pod, "metadata", "deletionGracePeriodSeconds")
    if asked is None:
        asked = spec(pod).get("terminationGracePeriodSeconds")
    return 30 if asked is None else int(asked)


def hostname(pod: Object) -> str:
    """At most 63 characters, as the kernel and DNS want it; never ending in ``-`` or ``.``."""
    name = spec(pod).get("hostnameOverride") or spec(pod).get("hostname") or objects.name(pod)
    return str(name)[:63].rstrip("-.")


def domain(pod: Object, cluster_domain: str) -> str:
    """The pod's own domain where it has a subdomain, else empty."""
    if spec(pod).get("hostnameOverride"):
        return ""
    subdomain = spec(pod).get("subdomain")
    return f"{subdomain}.{objects.namespace(pod)}.svc.{cluster_domain}" if subdomain else ""


def field_path(pod: Object, name: str) -> str:
    """How events name a container: ``spec.containers{web}``."""
    if any(container["name"] == name for container in containers(pod)):
        return f"spec.containers{{{name}}}"
    if is_init(pod, name):
        return f"spec.initContainers{{{name}}}"
    return f"spec.ephemeralContainers{{{name}}}"


def fingerprint(container: Object) -> str:
    """Changes when the container must be made anew: its name or image changed."""
    text = json.dumps([container["name"], container.get("image", "")])
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def is_terminal(pod: Object) -> bool:
    return objects.dig(pod, "status", "phase") in ("Succeeded", "Failed")


STATIC_SOURCE = "kubernetes.io/config.source"
STATIC_HASH = "kubernetes.io/config.hash"
MIRROR = "kubernetes.io/config.mirror"


def is_static(pod: Object) -> bool:
    """Whether it comes from a file of the node. A pod of the API cannot claim so: its UID is the server's."""
    return bool(objects.uid(pod)) and objects.annotations(pod).get(STATIC_HASH) == objects.uid(pod)


def is_mirror(pod: Object) -> bool:
    return MIRROR in objects.annotations(pod)
