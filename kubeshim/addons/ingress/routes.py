"""From Ingresses, their classes, Services, EndpointSlices and Secrets to a table of routes: a pure function.

Everything in the table is already free of doubt: names are resolved to addresses, conflicts are decided, certificates
belong to their keys. What could not be done is in ``Routes.problems``, to be told as events.
"""

import dataclasses
import urllib.parse
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from kubeshim.addons.ingress import certificates
from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object

CONTROLLER = "kubeshim.io/ingress"
"""``spec.controller`` of the IngressClasses that are ours."""
ANY_HOST = "*"
UNSERVED = "unserved"
"""The backend of those whose Service cannot be served: it answers 503."""

_CLASS_ANNOTATION = "kubernetes.io/ingress.class"
_SERVICE_LABEL = "kubernetes.io/service-name"
_PRINTABLE = "".join(chr(code) for code in range(0x21, 0x7F))
_PROTOCOLS = {"https": "https", "HTTPS": "https", "kubernetes.io/h2c": "h2c"}


class Server(NamedTuple):
    address: str
    port: int


@dataclasses.dataclass(frozen=True, slots=True)
class Backend:
    """One port of one Service and who answers there now."""

    name: str
    """``NAMESPACE:SERVICE:PORT``."""
    servers: tuple[Server, ...]
    protocol: str = "http"
    """What the servers speak: ``http``, ``https`` or ``h2c``, by the port's ``appProtocol``."""


@dataclasses.dataclass(frozen=True, slots=True)
class Certificate:
    """A key pair and the hosts it is for; none: those that it names itself."""

    name: str
    pem: bytes
    hosts: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """What could not be done for an Ingress, as the reason and message of an event."""

    ingress: str
    reason: str
    message: str


@dataclasses.dataclass(frozen=True, slots=True)
class Routes:
    """``exact`` and ``prefix`` lead from (host, path) to the name of a backend.

    A host is a name, a wildcard ``*.DOMAIN`` or ``ANY_HOST``; a prefix's path ends in ``/``; paths are encoded as they
    stand in a request.
    """

    hosts: tuple[str, ...]
    exact: Mapping[tuple[str, str], str]
    prefix: Mapping[tuple[str, str], str]
    default: str
    """Where everything else goes; empty: a 404."""
    backends: tuple[Backend, ...]
    certificates: tuple[Certificate, ...]
    problems: tuple[Problem, ...]


class Cluster:
    """The objects that routes are made of, by the names they are called."""

    def __init__(self, services: Iterable[Object], slices: Iterable[Object], secrets: Iterable[Object]) -> None:
        self.services = {objects.key(service): service for service in services}
        self.secrets = {objects.key(secret): secret for secret in secrets}
        self._slices: dict[str, list[Object]] = {}
        for piece in slices:
            name = objects.labels(piece).get(_SERVICE_LABEL)
            if name:
                self._slices.setdefault(f"{objects.namespace(piece)}/{name}", []).append(piece)

    def servers(self, service: str, port_name: str) -> tuple[Server, ...]:
        """Ready endpoints, or where none is those that still serve while they end; sorted."""
        ready, ending = set(), set()
        for piece in self._slices.get(service, ()):
            ports = [port for port in piece.get("ports") or () if (port.get("name") or "") == port_name]
            for endpoint in piece.get("endpoints") or ():
                conditions = endpoint.get("conditions") or {}
                found = {Server(endpoint["addresses"][0], port["port"]) for port in ports if port.get("port")}
                if conditions.get("ready", True) is not False:
                    ready |= found
                elif conditions.get("serving") and conditions.get("terminating"):
                    ending |= found
        return tuple(sorted(ready or ending))


def is_ours(ingress: Object, classes: Mapping[str, Object]) -> bool:
    """By its class, or by the annotation that came before classes had a field."""
    name = objects.dig(ingress, "spec", "ingressClassName") or objects.annotations(ingress).get(_CLASS_ANNOTATION)
    return bool(name) and objects.dig(classes.get(str(name)), "spec", "controller") == CONTROLLER


def in_order(ingresses: Iterable[Object], classes: Iterable[Object]) -> list[Object]:
    """Those that are ours, the oldest first."""
    by_name = {objects.name(entry): entry for entry in classes}
    ours = [ingress for ingress in ingresses if is_ours(ingress, by_name) and not objects.is_deleting(ingress)]
    return sorted(ours, key=lambda entry: (str(entry["metadata"].get("creationTimestamp") or ""), objects.key(entry)))


def build(
    ingresses: Iterable[Object],
    classes: Iterable[Object],
    services: Iterable[Object],
    slices: Iterable[Object],
    secrets: Iterable[Object],
) -> Routes:
    """The table. Nothing is raised: what is wrong with one Ingress leaves the others as they are."""
    builder = _Builder(Cluster(services, slices, secrets))
    for ingress in in_order(ingresses, classes):
        builder.add(ingress)
    return builder.routes()


def prefix_path(path: str) -> str:
    """With ``/`` at the end, so that ``/a`` matches ``/a`` and ``/a/b`` but not ``/ab``."""
    return encoded(path).rstrip("/") + "/"


def encoded(path: str) -> str:
    """As it stands in a request's first line: nothing but printable ASCII."""
    return urllib.parse.quote(path, safe=_PRINTABLE)


class _Builder:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._hosts: dict[str, None] = {}
        self._exact: dict[tuple[str, str], str] = {}
        self._prefix: dict[tuple[str, str], str] = {}
        self._fallback: dict[tuple[str, str], str] = {}
        """What a host's own default backend takes where no rule says otherwise."""
        self._default = ""
        self._backends: dict[str, Backend] = {}
        self._certificates: list[Certificate] = []
        self._certified: set[str] = set()
        self._problems: list[Problem] = []

    def routes(self) -> Routes:
        return Routes(
            hosts=tuple(sorted(self._hosts)),
            exact=dict(sorted(self._exact.items())),
            prefix=dict(sorted({**self._fallback, **self._prefix}.items())),
            default=self._default,
            backends=tuple(self._backends[name] for name in sorted(self._backends)),
            certificates=tuple(self._certificates),
            problems=tuple(self._problems),
        )

    def add(self, ingress: Object) -> None:
        spec = ingress.get("spec") or {}
        own_default = self._backend(ingress, spec["defaultBackend"]) if spec.get("defaultBackend") else ""
        self._default = self._default or own_default
        for rule in spec.get("rules") or ():
            host = str(rule.get("host") or ANY_HOST).lower()
            self._hosts[host] = None
            for path in objects.dig(rule, "http", "paths", default=()):
                self._add_path(ingress, host, path)
            if own_default:
                self._fallback.setdefault((host, "/"), own_default)
        for number, entry in enumerate(spec.get("tls") or ()):
            self._add_certificate(ingress, number, entry)

    def _add_path(self, ingress: Object, host: str, path: Mapping[str, Any]) -> None:
        backend = self._backend(ingress, path["backend"])
        text = path.get("path") or "/"
        if path.get("pathType") == "Exact":
            self._exact.setdefault((host, encoded(text)), backend)
        else:
            self._prefix.setdefault((host, prefix_path(text)), backend)

    def _backend(self, ingress: Object, backend: Mapping[str, Any]) -> str:
        """The name of the backend, made on its first mention."""
        wanted = backend.get("service")
        if wanted is None:
            return self._unserved(ingress, "only Services can be backends")
        key = f"{objects.namespace(ingress)}/{wanted['name']}"
        service = self._cluster.services.get(key)
        if service is None:
            return self._unserved(ingress, f"service {key} does not exist")
        if objects.dig(service, "spec", "type") == "ExternalName":
            return self._unserved(ingress, f"service {key} is of type ExternalName, which leads out of the cluster")
        port = _service_port(service, wanted.get("port") or {})
        if port is None:
            return self._unserved(ingress, f"service {key} has no TCP port {_port_text(wanted.get('port') or {})}")
        name = f"{key.replace('/', ':')}:{port['port']}"
        if name not in self._backends:
            servers = self._cluster.servers(key, str(port.get("name") or ""))
            self._backends[name] = Backend(name, servers, _PROTOCOLS.get(port.get("appProtocol") or "", "http"))
        return name

    def _unserved(self, ingress: Object, why: str) -> str:
        self._problem(ingress, "BackendUnavailable", why)
        return UNSERVED

    def _problem(self, ingress: Object, reason: str, message: str) -> None:
        found = Problem(objects.key(ingress), reason, message)
        if found not in self._problems:
            self._problems.append(found)

    def _add_certificate(self, ingress: Object, number: int, entry: Mapping[str, Any]) -> None:
        """One for hosts that no older Ingress has a certificate for."""
        name = entry.get("secretName")
        if not name:
            return
        key = f"{objects.namespace(ingress)}/{name}"
        try:
            pem = certificates.pem_of(self._cluster.secrets.get(key))
        except certificates.Unusable as error:
            self._problem(ingress, "CertificateUnavailable", f"secret {key}: {error}")
            return
        given = [str(host).lower() for host in entry.get("hosts") or ()]
        hosts = tuple(host for host in dict.fromkeys(given) if host not in self._certified)
        if given and not hosts:
            return
        self._certified.update(hosts)
        label = f"{objects.namespace(ingress)}_{objects.name(ingress)}_{number}"
        self._certificates.append(Certificate(label, pem, hosts))


def _service_port(service: Object, wanted: Mapping[str, Any]) -> Mapping[str, Any] | None:
    for port in objects.dig(service, "spec", "ports", default=()):
        if port.get("protocol", "TCP") != "TCP":
            continue
        if port.get("name") == wanted["name"] if wanted.get("name") else port["port"] == wanted.get("number"):
            return dict(port)
    return None


def _port_text(wanted: Mapping[str, Any]) -> str:
    return str(wanted.get("name") or wanted.get("number"))
