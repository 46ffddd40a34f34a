"""The cluster DNS as Kubernetes shows it: the kube-dns Service and the slices that lead to the nodes' servers.

The Service has no selector: DNS runs in each node's agent, so the slices name the nodes' own addresses.
"""

from typing import Any

from kubeshim.cluster import components, configuration

SERVICE_PATH = "/api/v1/namespaces/kube-system/services/kube-dns"
SLICE_PATH = "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices/kube-dns"
_PORTS = (("dns", "UDP"), ("dns-tcp", "TCP"))


def service(config: configuration.Configuration) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": "kube-dns",
            "namespace": "kube-system",
            "labels": {
                "k8s-app": "kube-dns",
                "kubernetes.io/cluster-service": "true",
                "kubernetes.io/name": "CoreDNS",
            },
        },
        "spec": {
            "clusterIP": config.ranges.dns_service,
            "ports": [
                {"name": name, "port": 53, "protocol": protocol, "targetPort": components.DNS_PORT}
                for name, protocol in _PORTS
            ],
        },
    }


def endpoint_slice(config: configuration.Configuration) -> dict[str, Any]:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "kube-dns",
            "namespace": "kube-system",
            "labels": {
                "kubernetes.io/service-name": "kube-dns",
                "endpointslice.kubernetes.io/managed-by": "kubeshim",
            },
        },
        "addressType": "IPv4",
        "endpoints": [
            {
                "addresses": [node.address],
                "nodeName": node.name,
                "conditions": {"ready": True},
                "hints": {"forNodes": [{"name": node.name}]},
            }
            for node in config.nodes
        ],
        "ports": [{"name": name, "port": components.DNS_PORT, "protocol": protocol} for name, protocol in _PORTS],
    }
