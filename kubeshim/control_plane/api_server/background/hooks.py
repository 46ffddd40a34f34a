"""What ``/livez?verbose`` and its kin list beside the bare necessities, under the names of upstream's start hooks.

Each stands for the work here that does what the hook's does: it is well while that work is running, without having
failed. Names that upstream has had at one time or another are both there.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from kubeshim.control_plane.api_server.aggregation import availability
from kubeshim.control_plane.api_server.background import (
    api_services,
    custom_resource_definitions,
    flow_schemas,
    identity,
    kubernetes_service,
    service_cidr,
)
from kubeshim.machinery import objects

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

Check = Callable[["servers.Server"], None]
Work = Callable[["servers.Server"], None]


class NotYet(Exception):
    """The hook has not finished, or what it started has failed."""


def _running(work: Work) -> Check:
    def check(server: "servers.Server") -> None:
        if work not in server.working:
            raise NotYet(f"{work.__module__} is not running")

    return check


def _loaded(server: "servers.Server") -> None:
    """Caches, admission, custom types and aggregation are filled before the server answers anybody."""
    if not server.started:
        raise NotYet("the caches are being filled")


def _registered(server: "servers.Server") -> None:
    """Every group-version that is served here has its APIService."""
    names = {objects.name(held) for held in server.storage.reader.list(api_services.API_SERVICES)}
    missing = {f"{resource.version}.{resource.group}" for resource in server.registry} - names
    if missing:
        raise NotYet(f"missing APIService: {sorted(missing)}")


_HOOKS: dict[str, Check] = {
    "start-apiserver-admission-initializer": _loaded,
    "start-kube-apiserver-admission-initializer": _loaded,
    "generic-apiserver-start-informers": _loaded,
    "priority-and-fairness-config-consumer": _running(flow_schemas.run),
    "priority-and-fairness-filter": _loaded,
    "storage-object-count-tracker-hook": _loaded,
    "start-apiextensions-informers": _loaded,
    "start-apiextensions-controllers": _running(custom_resource_definitions.run),
    "crd-informer-synced": _loaded,
    "start-kube-apiserver-identity-lease-controller": _running(identity.run),
    "bootstrap-controller": _running(kubernetes_service.run),
    "start-kubernetes-service-cidr-controller": _running(service_cidr.run),
    "start-kube-aggregator-informers": _loaded,
    "apiservice-registration-controller": _loaded,
    "apiservice-discovery-controller": _running(availability.run),
    "apiservice-status-available-controller": _running(availability.run),
    "apiservice-status-local-available-controller": _running(api_services.run),
    "apiservice-status-remote-available-controller": _running(availability.run),
    "kube-apiserver-autoregistration": _running(api_services.run),
    "apiservice-openapi-controller": _loaded,
    "apiservice-openapiv3-controller": _loaded,
}


def install(server: "servers.Server") -> None:
    checks = {f"poststarthook/{name}": check for name, check in _HOOKS.items()}
    checks["autoregister-completion"] = _registered
    for name, check in checks.items():
        server.health.live[name] = lambda check=check: check(server)  # type: ignore[misc]
