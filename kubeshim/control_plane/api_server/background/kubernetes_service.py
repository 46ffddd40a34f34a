"""The Service ``kubernetes`` in ``default``, and the endpoint that is this server.

It has no selector, so its endpoints are ours to write: the address the server advertises, as Endpoints for who still
reads those and as an EndpointSlice. Checked again every ``PERIOD`` seconds.
"""

import ipaddress
from typing import TYPE_CHECKING

from kubeshim import pki
from kubeshim.control_plane.api_server.background import namespaces, reconcile
from kubeshim.machinery import objects, resources

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

SERVICES = resources.GroupVersionResource("", "v1", "services")
ENDPOINTS = resources.GroupVersionResource("", "v1", "endpoints")
SLICES = resources.GroupVersionResource("discovery.k8s.io", "v1", "endpointslices")
PERIOD = 10.0
_NAME, _NAMESPACE = "kubernetes", "default"


def run(server: "servers.Server") -> None:
    while not server.stopping.is_set():
        if server.storage.reader.get(namespaces.NAMESPACES, "", _NAMESPACE) is None:
            server.stopping.wait(0.05)
            continue
        ensure(server)
        server.stopping.wait(PERIOD)


def ensure(server: "servers.Server") -> None:
    config = server.config
    primary = config.service_range.split(",")[0]
    reconcile.ensure(server, SERVICES, service(primary, config.advertise_port), _merged_service)
    if ipaddress.ip_address(config.advertise_address).is_loopback:
        return  # pods cannot reach it, and the API refuses such endpoints: the Service stays without
    reconcile.ensure(server, ENDPOINTS, endpoints(config.advertise_address, config.advertise_port), _merged("subsets"))
    part = endpoint_slice(config.advertise_address, config.advertise_port)
    reconcile.ensure(server, SLICES, part, _merged("endpoints", "ports"))


def service(service_range: str, port: int) -> objects.Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata({"component": "apiserver", "provider": "kubernetes"}),
        "spec": {
            "type": "ClusterIP",
            "clusterIP": pki.first_service_ip(service_range),
            "sessionAffinity": "None",
            "ports": [{"name": "https", "protocol": "TCP", "port": 443, "targetPort": port}],
        },
    }


def endpoints(address: str, port: int) -> objects.Object:
    return {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": _metadata({"endpointslice.kubernetes.io/skip-mirror": "true"}),
        "subsets": [{"addresses": [{"ip": address}], "ports": [{"name": "https", "port": port, "protocol": "TCP"}]}],
    }


def endpoint_slice(address: str, port: int) -> objects.Object:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": _metadata({"kubernetes.io/service-name": _NAME}),
        "addressType": "IPv6" if ":" in address else "IPv4",
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
        "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
    }


def _metadata(labels: dict[str, str]) -> objects.Object:
    return {"name": _NAME, "namespace": _NAMESPACE, "labels": labels}


def _merged_service(held: objects.Object, wanted: objects.Object) -> objects.Object | None:
    spec = held.get("spec") or {}
    if spec.get("ports") == wanted["spec"]["ports"] and spec.get("type") == "ClusterIP":
        return None
    return {**held, "spec": {**spec, "ports": wanted["spec"]["ports"], "type": "ClusterIP"}}


def _merged(*fields: str) -> reconcile.Merge:
    def merge(held: objects.Object, wanted: objects.Object) -> objects.Object | None:
        if all(held.get(field) == wanted[field] for field in fields):
            return None
        return {**held, **{field: wanted[field] for field in fields}}

    return merge
