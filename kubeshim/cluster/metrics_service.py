"""Resource metrics as Kubernetes shows them: a Service that leads to the first node's agent, and its APIService.

They are made once. Whoever installs a metrics server of his own points the APIService at it, and it stays there.
"""

import base64
import pathlib
from typing import Any

from kubeshim.cluster import api, components, configuration

NAME = "metrics-server"
SERVICE_PATH = f"/api/v1/namespaces/kube-system/services/{NAME}"
SLICE_PATH = f"/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices/{NAME}"
API_SERVICE_PATH = "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io"
_LABELS = {"k8s-app": NAME}


def install(admin: api.API, config: configuration.Configuration, authority: pathlib.Path) -> None:
    """Does nothing where the group is registered already. Raises ``api.APIError``."""
    try:
        admin.call("GET", API_SERVICE_PATH)
        return
    except api.APIError as error:
        if error.status != 404:
            raise
    admin.apply(SERVICE_PATH, service())
    admin.apply(SLICE_PATH, endpoint_slice(config))
    admin.apply(API_SERVICE_PATH, api_service(authority.read_bytes()))


def service() -> dict[str, Any]:
    """It has no selector: what it leads to is no pod."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME, "namespace": "kube-system", "labels": _LABELS},
        "spec": {
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": components.METRICS_PORT}],
        },
    }


def endpoint_slice(config: configuration.Configuration) -> dict[str, Any]:
    """The node whose agent serves metrics."""
    node = next(node for node in config.nodes if node.control_plane)
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": NAME,
            "namespace": "kube-system",
            "labels": {
                **_LABELS,
                "kubernetes.io/service-name": NAME,
                "endpointslice.kubernetes.io/managed-by": "kubeshim",
            },
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [node.address], "nodeName": node.name, "conditions": {"ready": True}}],
        "ports": [{"name": "https", "port": components.METRICS_PORT, "protocol": "TCP"}],
    }


def api_service(authority: bytes) -> dict[str, Any]:
    """``authority`` is the PEM of who signed the server's certificate."""
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1beta1.metrics.k8s.io", "labels": _LABELS},
        "spec": {
            "group": "metrics.k8s.io",
            "version": "v1beta1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "service": {"name": NAME, "namespace": "kube-system", "port": 443},
            "caBundle": base64.b64encode(authority).decode(),
        },
    }
