"""Keeps the machine's own route to Services on a node that is Ready.

It runs here because this process stands in the host's network namespace, there is one of it, and it sees a node's
condition change in the very cache that changed it. What to do with the routes is the caller's: ``set_host_routes``.
"""

import itertools

from kubeshim.client import kinds
from kubeshim.control_plane.controller_manager import controller, host_routes
from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object

_KEY = "routes"
_LOOK_AGAIN = 30.0
"""Seconds: a Docker network that was made anew has taken its routes with it."""


class HostRouteController(controller.Controller):
    name = "host-route"
    workers = 1

    def register(self) -> None:
        self._carriers: dict[int, str] = {}
        """By version of IP."""
        if self.context.options.set_host_routes is None:
            return
        self._nodes = self.informer(kinds.NODES)
        self._nodes.add_handler(added=self._changed, updated=self._node_updated, deleted=self._changed)
        self._services = self.informer(kinds.SERVICES)
        self._services.add_handler(added=self._service_seen, updated=self._service_updated, deleted=self._service_seen)
        self._slices = self.informer(kinds.ENDPOINT_SLICES)
        self._slices.add_handler(
            added=self._slice_seen, updated=lambda _, new: self._slice_seen(new), deleted=self._slice_seen
        )
        self.queue.add(_KEY)

    def _changed(self, _: Object) -> None:
        self.queue.add(_KEY)

    def _node_updated(self, old: Object, new: Object) -> None:
        if _told(old) != _told(new):
            self.queue.add(_KEY)

    def _service_seen(self, service: Object) -> None:
        if host_routes.is_local(service):
            self.queue.add(_KEY)

    def _service_updated(self, old: Object, new: Object) -> None:
        self._service_seen(old)
        self._service_seen(new)

    def _slice_seen(self, piece: Object) -> None:
        key = _service_of(piece)
        service = self._services.get(key) if key else None
        if service is not None:
            self._service_seen(service)

    def sync(self, key: str) -> float | None:
        options = self.context.options
        if options.set_host_routes is None:
            return None
        slices: dict[str, list[Object]] = {}
        local = [service for service in self._services.list() if host_routes.is_local(service)]
        if local:
            names = {objects.key(service) for service in local}
            for piece in self._slices.list():
                if (service_key := _service_of(piece)) in names:
                    slices.setdefault(service_key, []).append(piece)
        routes: dict[str, str] = {}
        pools = itertools.zip_longest(
            options.service_cidr.split(","), options.load_balancer_range.split(","), fillvalue=""
        )
        for ranges in pools:
            version = 6 if ":" in ranges[0] else 4
            nodes = host_routes.ready_nodes(self._nodes.list(), version)
            found = host_routes.wanted(nodes, local, slices, ranges, self._carriers.get(version, ""))
            self._carriers[version] = found.get(ranges[0], "") or self._carriers.get(version, "")
            routes |= found
        if routes:
            options.set_host_routes(routes)
        carrier = self._carriers.get(4)
        if options.follow_other_machines is not None and carrier:
            options.follow_other_machines(self._nodes.list(), carrier)
        return _LOOK_AGAIN


def _told(node: Object) -> tuple[object, ...]:
    return *(host_routes.ready_nodes([node], version) for version in (4, 6)), host_routes.seen_elsewhere(node)


def _service_of(piece: Object) -> str:
    name = objects.labels(piece).get(host_routes.SERVICE_NAME)
    return f"{objects.namespace(piece)}/{name}" if name else ""
