"""The ServiceCIDR ``kubernetes``, the range ClusterIPs come from as the server was told; and the life of all ranges.

A range carries a finalizer and says that it is ready. One that is deleted gives out nothing more from then on, and goes
when no address in it is left that no other range covers; until then it says why it stays.
"""

import ipaddress
from typing import TYPE_CHECKING

from gevent import event as gevent_event

from kubeshim import clock
from kubeshim.control_plane.api_server.background import addresses, reconcile
from kubeshim.machinery import errors, objects, resources

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

RANGES = resources.GroupVersionResource("networking.k8s.io", "v1", "servicecidrs")
NAME = "kubernetes"
FINALIZER = "networking.k8s.io/service-cidr-finalizer"
PERIOD = 60.0
_MANAGER = "service-cidr-controller"
_STILL_USED = "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR"


def ensure(server: "servers.Server") -> None:
    wanted: objects.Object = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": NAME},
        "spec": {"cidrs": server.config.service_range.split(",")},
    }
    reconcile.ensure(server, RANGES, wanted)
    tend_all(server)


def run(server: "servers.Server") -> None:
    changed = gevent_event.Event()
    for watched in (RANGES, addresses.ADDRESSES, addresses.SERVICES):
        server.storage.subscribe(watched, lambda _: changed.set())
    while not server.stopping.is_set():
        changed.wait(PERIOD)
        changed.clear()
        tend_all(server)


def tend_all(server: "servers.Server") -> None:
    for held in server.storage.reader.list(RANGES):
        try:
            _tend(server, held)
        except (errors.Conflict, errors.NotFound):
            pass  # whoever changed it makes us look again


def _tend(server: "servers.Server", held: objects.Object) -> None:
    finalizers, ready = objects.dig(held, "metadata", "finalizers", default=[]), objects.condition(held, "Ready") or {}
    if objects.dig(held, "metadata", "deletionTimestamp"):
        if FINALIZER not in finalizers:
            return
        if not in_use(server, held):
            _set_finalizers(server, held, [name for name in finalizers if name != FINALIZER])
        elif ready.get("reason") != "Terminating":
            _report(server, held, "False", "Terminating", _STILL_USED)
        return
    if FINALIZER not in finalizers:
        _set_finalizers(server, held, [*finalizers, FINALIZER])
    if ready.get("status") != "True":
        which = "default Service CIDR" if objects.name(held) == NAME else "Service CIDR"
        _report(server, held, "True", "", f"Kubernetes {which} is ready")


def in_use(server: "servers.Server", held: objects.Object) -> bool:
    """Whether an address lies in this range and in no other one that stays."""
    own = _networks(held)
    others = [
        network
        for one in server.storage.reader.list(RANGES)
        if objects.name(one) != objects.name(held) and not objects.dig(one, "metadata", "deletionTimestamp")
        for network in _networks(one)
    ]
    # A Service may have got an address of which no object has been made yet.
    taken = {objects.name(shown) for shown in server.storage.reader.list(addresses.ADDRESSES)}
    taken |= {one for service in server.storage.reader.list(addresses.SERVICES) for one in addresses.held(service)}
    for address in map(ipaddress.ip_address, taken):
        if any(address in network for network in own) and not any(address in network for network in others):
            return True
    return False


def _networks(held: objects.Object) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    return [ipaddress.ip_network(text) for text in objects.dig(held, "spec", "cidrs", default=())]


def _set_finalizers(server: "servers.Server", held: objects.Object, finalizers: list[str]) -> None:
    version = objects.resource_version(held)
    patch = {"metadata": {"finalizers": finalizers or None, "resourceVersion": version}}
    server.client.patch(RANGES, objects.name(held), patch, manager=_MANAGER)


def _report(server: "servers.Server", held: objects.Object, status: str, reason: str, message: str) -> None:
    condition = {
        "type": "Ready", "status": status, "reason": reason, "message": message,
        "lastTransitionTime": clock.rfc3339(server.clock.now()),
    }  # fmt: skip
    applied = {
        "apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": {"name": objects.name(held)},
        "status": {"conditions": [condition]},
    }  # fmt: skip
    server.client.patch(
        RANGES, objects.name(held), applied, kind="apply", subresource="status", force=True, manager=_MANAGER
    )
