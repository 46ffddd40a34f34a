"""Gives Services of type LoadBalancer their addresses, out of a range of the nodes' network.

Which are taken is read from the Services themselves, so there is nothing to lose and nothing to clean up: an address
is free when its Service is gone or of another type. One worker: two must not pick the same. A Service with a
``loadBalancerClass`` is somebody else's, and so is one whose status names an address already.
"""

import ipaddress
from collections.abc import Iterable

from kubeshim.client import kinds
from kubeshim.control_plane.controller_manager import controller, host_routes
from kubeshim.machinery import errors, objects
from kubeshim.machinery.objects import Object

_RETRY = 30.0


class ServiceLBController(controller.Controller):
    name = "service-lb"
    component = "service-controller"
    workers = 1

    def register(self) -> None:
        self._given: dict[str, str] = {}
        """What was written and the cache may not show yet."""
        if not self.context.options.load_balancer_range:
            return
        self._range = ipaddress.IPv4Network(self.context.options.load_balancer_range)
        self._services = self.informer(kinds.SERVICES)
        self._services.add_handler(added=self._seen, updated=lambda _, new: self._seen(new), deleted=self._gone)

    def _seen(self, service: Object) -> None:
        if is_ours(service) or host_routes.addresses(service):
            self.enqueue(service)

    def _gone(self, service: Object) -> None:
        self._given.pop(objects.key(service), None)
        for other in self._services.list():  # may be waiting for the address that became free
            if is_ours(other) and not host_routes.addresses(other):
                self.enqueue(other)

    def sync(self, key: str) -> float | None:
        service = self._services.get(key)
        if service is None or objects.is_deleting(service):
            return None
        present = host_routes.addresses(service)
        if not is_ours(service):
            if service["spec"].get("type") != "LoadBalancer" and any(self._has(address) for address in present):
                self._given.pop(key, None)
                self._write(service, None)
            return None
        if (service.get("status") or {}).get("loadBalancer", {}).get("ingress"):
            return None
        self.recorder.event(service, "Normal", "EnsuringLoadBalancer", "Ensuring load balancer")
        asked = service["spec"].get("loadBalancerIP") or ""
        chosen = first_free(self._range, self._taken(key), asked)
        if chosen is None:
            what = asked or f"any of {self._range}"
            text = f"Error syncing load balancer: failed to ensure load balancer: {what} is not available"
            self.recorder.event(service, "Warning", "SyncLoadBalancerFailed", text)
            return _RETRY
        self._given[key] = chosen
        try:
            self._write(service, chosen)
        except BaseException:
            self._given.pop(key, None)
            raise
        self.recorder.event(service, "Normal", "EnsuredLoadBalancer", "Ensured load balancer")
        return None

    def _has(self, address: str) -> bool:
        return ipaddress.IPv4Address(address) in self._range

    def _taken(self, key: str) -> set[str]:
        taken = {address for other, address in self._given.items() if other != key}
        for other in self._services.list():
            if other["spec"].get("type") == "LoadBalancer":
                taken.update(host_routes.addresses(other))
        return taken

    def _write(self, service: Object, address: str | None) -> None:
        ingress = [{"ip": address, "ipMode": "VIP"}] if address else None
        patch = {
            "metadata": {"resourceVersion": objects.resource_version(service)},
            "status": {"loadBalancer": {"ingress": ingress}},
        }
        try:
            self.client.patch(
                kinds.SERVICES, objects.name(service), patch, objects.namespace(service), subresource="status"
            )
        except errors.NotFound:
            self._given.pop(objects.key(service), None)


def is_ours(service: Object) -> bool:
    """Whether it is a load balancer that nobody else has been named for."""
    spec = service.get("spec") or {}
    return spec.get("type") == "LoadBalancer" and not spec.get("loadBalancerClass")


def first_free(pool: ipaddress.IPv4Network, taken: Iterable[str], asked: str = "") -> str | None:
    """The address asked for if it may be had, else the lowest; the network's first and last are nobody's."""
    used = set(taken)
    candidates = [str(address) for address in pool][1:-1]
    if asked:
        return asked if asked in candidates and asked not in used else None
    return next((address for address in candidates if address not in used), None)
