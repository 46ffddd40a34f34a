"""Keeps the kube-dns Service's endpoints to the nodes there are, ready as the nodes are.

Cluster DNS answers in every node's agent, so the Service has no selector and its slice names the nodes' addresses.
Hints keep each node's questions with its own server, so that none waits for a node that has just died.

A Service with a selector is somebody's own DNS: then nothing is done here. Where no node is Ready all are called so:
a last hope costs nothing, and it may be us who cannot see.
"""

from collections.abc import Iterable
from typing import Any

from kubeshim.client import kinds
from kubeshim.control_plane.controller_manager import controller, host_routes
from kubeshim.machinery import errors, objects
from kubeshim.machinery.objects import Object

NAMESPACE, NAME = "kube-system", "kube-dns"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
_KEY = f"{NAMESPACE}/{NAME}"


class DNSEndpointsController(controller.Controller):
    name = "dns-endpoints"
    workers = 1

    def register(self) -> None:
        self._nodes = self.informer(kinds.NODES)
        self._nodes.add_handler(added=self._changed, updated=self._node_updated, deleted=self._changed)
        self._services = self.informer(kinds.SERVICES)
        self._slices = self.informer(kinds.ENDPOINT_SLICES)
        for one in (self._services, self._slices):
            one.add_handler(added=self._named, updated=lambda _, new: self._named(new), deleted=self._named)

    def _changed(self, _: Object) -> None:
        self.queue.add(_KEY)

    def _node_updated(self, old: Object, new: Object) -> None:
        if endpoints([old]) != endpoints([new]) or host_routes.is_ready(old) != host_routes.is_ready(new):
            self.queue.add(_KEY)

    def _named(self, obj: Object) -> None:
        if objects.key(obj) == _KEY:
            self.queue.add(_KEY)

    def sync(self, key: str) -> None:
        service = self._services.get(key)
        if service is None or objects.is_deleting(service) or service["spec"].get("selector"):
            return
        wanted = slice_of(service, self._nodes.list())
        present = self._slices.get(key)
        if present is None:
            try:
                self.client.create(kinds.ENDPOINT_SLICES, wanted)
            except errors.AlreadyExists:
                self.queue.add_after(key, 1.0)
            return
        if objects.labels(present).get(MANAGED_BY) != wanted["metadata"]["labels"][MANAGED_BY]:
            return
        if any(present.get(field) != wanted[field] for field in ("endpoints", "ports")):
            fresh = {**present, "endpoints": wanted["endpoints"], "ports": wanted["ports"]}
            self.client.update(kinds.ENDPOINT_SLICES, fresh)


def slice_of(service: Object, nodes: Iterable[Object]) -> Object:
    """The slice as it shall be (pure)."""
    ports = [
        {"name": port.get("name", ""), "port": port["targetPort"], "protocol": port.get("protocol", "TCP")}
        for port in service["spec"]["ports"]
        if isinstance(port.get("targetPort"), int)
    ]
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": NAME,
            "namespace": NAMESPACE,
            "labels": {host_routes.SERVICE_NAME: NAME, MANAGED_BY: "kubeshim"},
        },
        "addressType": "IPv4",
        "endpoints": endpoints(nodes),
        "ports": ports,
    }


def endpoints(nodes: Iterable[Object]) -> list[dict[str, Any]]:
    every = sorted((node for node in nodes if host_routes.internal_address(node)), key=objects.name)
    hopeless = not any(map(host_routes.is_ready, every))
    return [
        {
            "addresses": [host_routes.internal_address(node)],
            "nodeName": objects.name(node),
            "conditions": {"ready": hopeless or host_routes.is_ready(node)},
            "hints": {"forNodes": [{"name": objects.name(node)}]},
        }
        for node in every
    ]
