"""Gives Services of type LoadBalancer their addresses, one of each of their families, out of the nodes' networks.

Which are taken is read from the Services themselves, so there is nothing to lose and nothing to clean up: an address
is free when its Service is gone or of another type. One worker: two must not pick the same. A Service with a
``loadBalancerClass`` is somebody else's, and so is one whose status names an address already.
"""

import ipaddress
from collections.abc import Iterable

from kubeshim.client import kinds
from kubeshim.control_plane.controller_manager import controller, endpoints, host_routes
from kubeshim.machinery import errors, objects
from kubeshim.machinery.objects import Object

_RETRY = 30.0


class ServiceLBController(controller.Controller):
    name = "service-lb"
    component = "service-controller"
    workers = 1

    def register(self) -> None:
        self._given: dict[str, list[str]] = {}
        """What was written, or may have been, and the cache does not show yet: nobody else may have it."""
        if not self.context.options.load_balancer_range:
            return
        texts = self.context.options.load_balancer_range.split(",")
        self._ranges = {endpoints.family_of(text): ipaddress.ip_network(text) for text in texts}
        self._services = self.informer(kinds.SERVICES)
        self._services.add_handler(added=self._seen, updated=lambda _, new: self._seen(new), deleted=self._gone)

    def _seen(self, service: Object) -> None:
        if is_ours(service) or host_routes.addresses(service) or objects.key(service) in self._given:
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
            self._given.pop(key, None)
            if service["spec"].get("type") != "LoadBalancer" and any(self._has(address) for address in present):
                self._write(service, [])
            return None
        if (service.get("status") or {}).get("loadBalancer", {}).get("ingress"):
            self._given.pop(key, None)
            return None
        self.recorder.event(service, "Normal", "EnsuringLoadBalancer", "Ensuring load balancer")
        asked = service["spec"].get("loadBalancerIP") or ""
        chosen = []
        for family in endpoints.families(service):
            if family not in self._ranges:
                continue
            wanted = asked if asked and endpoints.family_of(asked) == family else ""
            found = first_free(self._ranges[family], self._taken(key), wanted)
            if found is None:
                what = wanted or f"any of {self._ranges[family]}"
                text = f"Error syncing load balancer: failed to ensure load balancer: {what} is not available"
                self.recorder.event(service, "Warning", "SyncLoadBalancerFailed", text)
                return _RETRY
            chosen.append(found)
        self._given[key] = [*chosen, *self._given.get(key, ())]
        self._write(service, chosen)
        self.recorder.event(service, "Normal", "EnsuredLoadBalancer", "Ensured load balancer")
        return None

    def _has(self, address: str) -> bool:
        return any(ipaddress.ip_address(address) in network for network in self._ranges.values())

    def _taken(self, key: str) -> set[str]:
        taken = {address for other, given in list(self._given.items()) if other != key for address in given}
        for other in self._services.list():
            if other["spec"].get("type") == "LoadBalancer":
                taken.update(host_routes.addresses(other))
        return taken

    def _write(self, service: Object, addresses: list[str]) -> None:
        ingress = [{"ip": address, "ipMode": "VIP"} for address in addresses] or None
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


def first_free(
    pool: ipaddress.IPv4Network | ipaddress.IPv6Network, taken: Iterable[str], asked: str = ""
) -> str | None:
    """The address asked for if it may be had, else the lowest; the network's first and last are nobody's."""
    used = set(taken)
    if asked:
        try:
            number = int(ipaddress.ip_address(asked)) - int(pool.network_address)
        except ValueError:
            return None
        return asked if 0 < number < pool.num_addresses - 1 and asked not in used else None
    candidates = (str(pool[number]) for number in range(1, min(pool.num_addresses - 1, len(used) + 2)))
    return next((address for address in candidates if address not in used), None)
