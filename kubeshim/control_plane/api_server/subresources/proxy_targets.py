"""What ``[scheme:]name[:port]`` leads to: the address of a pod, of a ready endpoint of a service, or of a node.

Services are resolved here, inside the server, and never through the kernel's rules: the proxy works where the
server's machine has none.
"""

import dataclasses
import ipaddress
import random
import ssl
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kubeshim.control_plane.api_server.subresources import kubelets, pods
from kubeshim.machinery import errors, objects, resources

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

SERVICES = resources.GroupVersionResource("", "v1", "services")
SLICES = resources.GroupVersionResource("discovery.k8s.io", "v1", "endpointslices")
SERVICE_LABEL = "kubernetes.io/service-name"


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """Where to connect. ``tls`` is None for plain HTTP."""

    scheme: str
    host: str
    port: int
    tls: ssl.SSLContext | None = None

    @property
    def authority(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def split(text: str) -> tuple[str, str, str] | None:
    """(scheme, name, port) of ``name``, ``name:port``, ``scheme:name:port``; None for anything else."""
    parts = text.split(":")
    match len(parts):
        case 1:
            scheme, name, port = "", parts[0], ""
        case 2:
            scheme, name, port = "", parts[0], parts[1]
        case 3:
            scheme, name, port = parts
        case _:
            return None
    return (scheme, name, port) if name and scheme in ("", "http", "https") else None


def find(server: "servers.Server", plural: str, namespace: str, text: str, insecure: ssl.SSLContext) -> Target:
    """``insecure`` is the context for pods' and services' own TLS, which nobody can verify. Raises an API error."""
    found = split(text)
    if found is None:
        raise errors.BadRequest(f'invalid {plural.removesuffix("s")} request "{text}"')
    scheme, name, port = found
    if plural == "nodes":
        return _node(server, scheme, name, port, insecure)
    if plural == "pods":
        where, number = _pod(server, namespace, name, port, scheme)
    else:
        where, number = _service(server, namespace, name, port)
    scheme = scheme or "http"
    if not is_proxyable(where):
        raise errors.BadRequest("address not allowed")
    return Target(scheme, where, number, insecure if scheme == "https" else None)


def is_proxyable(address: str) -> bool:
    """The proxy must not be a way to what only listens to the server's own machine."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return not (parsed.is_loopback or parsed.is_link_local or parsed.is_unspecified or parsed.is_multicast)


def _pod(server: "servers.Server", namespace: str, name: str, port: str, scheme: str) -> tuple[str, int]:
    pod = server.storage.reader.get(pods.PODS, namespace, name)
    if pod is None:
        raise errors.not_found("", "pods", name)
    if not port:
        declared = [
            entry["containerPort"]
            for container in objects.dig(pod, "spec", "containers", default=())
            for entry in container.get("ports") or ()
        ]
        number = declared[0] if declared else _default_port(scheme)
    else:
        number = _number(port)
    return str(objects.dig(pod, "status", "podIP", default="")), number


def _default_port(scheme: str) -> int:
    return 443 if scheme == "https" else 80


def _number(port: str) -> int:
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise errors.BadRequest(f'invalid port "{port}"')
    return int(port)


def _service(server: "servers.Server", namespace: str, name: str, port: str) -> tuple[str, int]:
    service = server.storage.reader.get(SERVICES, namespace, name)
    if service is None:
        raise errors.not_found("", "services", name)
    declared = objects.dig(service, "spec", "ports", default=())
    if port.isdecimal():
        names = [entry.get("name") or "" for entry in declared if entry.get("port") == int(port)]
        if not names:
            raise errors.ServiceUnavailable(f'no service port {port} found for service "{name}"')
        port = names[0]
    candidates = list(_serving(slices(server, namespace, name), port))
    random.shuffle(candidates)
    for endpoint, number in candidates:
        if _is_pod(server, namespace, endpoint):
            return endpoint["addresses"][0], number
    raise errors.ServiceUnavailable(f'no endpoints available for service "{name}"')


def slices(server: "servers.Server", namespace: str, name: str) -> list[objects.Object]:
    """The EndpointSlices of a Service."""
    found = server.storage.reader.list(SLICES, namespace)
    return [part for part in found if objects.labels(part).get(SERVICE_LABEL) == name]


def _is_pod(server: "servers.Server", namespace: str, endpoint: objects.Object) -> bool:
    """Whether the address is a pod's of the namespace: through a proxy nobody shall reach what is not the caller's."""
    target = endpoint.get("targetRef") or {}
    if target.get("namespace") != namespace:
        return False
    pod = server.storage.reader.get(pods.PODS, namespace, target.get("name") or "")
    own = objects.dig(pod, "status", "podIPs", default=()) if pod is not None else ()
    return endpoint["addresses"][0] in [entry.get("ip") for entry in own]


def ready(parts: list[objects.Object], port: str) -> list[tuple[str, int]]:
    """(address, number) of every ready endpoint that serves the port of that name over TCP."""
    return [(endpoint["addresses"][0], number) for endpoint, number in _serving(parts, port)]


def _serving(parts: list[objects.Object], port: str) -> Iterator[tuple[objects.Object, int]]:
    for part in parts:
        numbers = [
            entry["port"]
            for entry in part.get("ports") or ()
            if (entry.get("name") or "") == port and entry.get("port") and entry.get("protocol", "TCP") == "TCP"
        ]
        for endpoint in part.get("endpoints") or ():
            if objects.dig(endpoint, "conditions", "ready", default=True):
                yield from ((endpoint, number) for number in numbers)


def _node(server: "servers.Server", scheme: str, name: str, port: str, insecure: ssl.SSLContext) -> Target:
    node = server.storage.reader.get(kubelets.NODES, "", name)
    if node is None:
        raise errors.not_found("", "nodes", name)
    host, kubelet_port = kubelets.host(node), kubelets.port(node)
    if not is_proxyable(host):
        raise errors.BadRequest("address not allowed")
    if not port or _number(port) == kubelet_port:
        return Target("https", host, kubelet_port, kubelets.tls(server))
    scheme = scheme or "http"
    return Target(scheme, host, _number(port), insecure if scheme == "https" else None)
