"""An IPAddress for each address a Service holds: written when one is taken, taken away when it is given back.

The Services are what counts; the objects only show it. They follow by the Services' events, and everything is
compared once a period, so that what was lost or added by hand is repaired.
"""

import logging
from typing import TYPE_CHECKING

from gevent import event as gevent_event

from kubeshim.control_plane.api_server import storage
from kubeshim.machinery import errors, objects, resources

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

_log = logging.getLogger(__name__)

SERVICES = resources.GroupVersionResource("", "v1", "services")
ADDRESSES = resources.GroupVersionResource("networking.k8s.io", "v1", "ipaddresses")
PERIOD = 60.0
_FAMILY, _MANAGED = "ipaddress.kubernetes.io/ip-family", "ipaddress.kubernetes.io/managed-by"
_ALLOCATOR = "ipallocator.k8s.io"


def run(server: "servers.Server") -> None:
    keeper = Keeper(server)
    server.storage.subscribe(SERVICES, keeper.follow)
    while not server.stopping.is_set():
        try:
            keeper.repair()
            while keeper.changed.wait(PERIOD) and not server.stopping.is_set():
                keeper.catch_up()
        except Exception:
            _log.exception("the addresses of Services could not be written; trying again")
            server.stopping.wait(1.0)


class Keeper:
    """Which addresses are to be looked at again."""

    def __init__(self, server: "servers.Server") -> None:
        self._server = server
        self._holders: dict[str, tuple[str, str]] = {}
        """address → namespace and name of the Service that holds it."""
        self._dirty: set[str] = set()
        self.changed = gevent_event.Event()

    def follow(self, change: storage.Change) -> None:
        before = held(change.previous) if change.previous else set()
        after = held(change.obj) if change.kind != "DELETED" else set()
        key = objects.namespace(change.obj), objects.name(change.obj)
        for address in (before or held(change.obj)) - after:
            if self._holders.get(address) == key:
                del self._holders[address]
        self._holders.update(dict.fromkeys(after, key))
        self._dirty |= before | held(change.obj)
        self.changed.set()

    def catch_up(self) -> None:
        """Writes and deletes what has changed."""
        self.changed.clear()
        while self._dirty:
            self._settle(self._dirty.pop())

    def repair(self) -> None:
        """Looks at everything."""
        listed = {objects.name(one) for one in self._server.storage.reader.list(ADDRESSES) if is_ours(one)}
        self._dirty |= listed | self._holders.keys()
        self.catch_up()

    def _settle(self, address: str) -> None:
        holder = self._holders.get(address)
        present = self._server.storage.reader.get(ADDRESSES, "", address)
        wanted = ip_address(address, holder) if holder else None
        right = present is not None and wanted is not None and _parent(present) == _parent(wanted)
        try:
            if present is not None and not right and (wanted is not None or is_ours(present)):
                self._server.client.delete(ADDRESSES, address)  # its parent never changes: it is made anew
            if wanted is not None and not right:
                self._server.client.create(ADDRESSES, wanted)
        except (errors.AlreadyExists, errors.NotFound):
            self._dirty.add(address)  # somebody else was here: look again


def held(service: objects.Object) -> set[str]:
    """The cluster addresses of a Service."""
    spec = service.get("spec") or {}
    return {ip for ip in spec.get("clusterIPs") or [spec.get("clusterIP")] if ip and ip != "None"}


def is_ours(address: objects.Object) -> bool:
    return objects.labels(address).get(_MANAGED) == _ALLOCATOR


def _parent(address: objects.Object) -> tuple[str, ...]:
    parent = objects.dig(address, "spec", "parentRef", default={})
    return tuple(parent.get(field) or "" for field in ("group", "resource", "namespace", "name"))


def ip_address(address: str, holder: tuple[str, str]) -> objects.Object:
    labels = {_FAMILY: "IPv6" if ":" in address else "IPv4", _MANAGED: _ALLOCATOR}
    parent = {"resource": "services", "namespace": holder[0], "name": holder[1]}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "IPAddress",
        "metadata": {"name": address, "labels": labels},
        "spec": {"parentRef": parent},
    }
