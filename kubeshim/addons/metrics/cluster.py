"""The cluster as the metrics server sees it: nodes and pods out of the API, figures out of kubelets.

Nothing is kept between requests, connections neither: it is asked seldom, and idle it shall cost nothing.
"""

import dataclasses
from typing import Any

import orjson

from kubeshim.client import kinds, rest
from kubeshim.machinery import errors, objects
from kubeshim.machinery.objects import Object

_KUBELET_PORT = 10250
_PARTIAL = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_RUNNING = "status.phase=Running"


class Cluster:
    """``scraper.Source``, and the objects that figures belong to. Connections are opened ``within``."""

    def __init__(self, client: rest.Client, within: rest.Within | None = None) -> None:
        self._client = client
        self._within = within
        self._kubelets: dict[str, str] = {}

    def nodes(self) -> list[str]:
        """Raises ``APIStatusError`` or ``rest.Unreachable``."""
        found = self._client.list(kinds.NODES)["items"]
        self._kubelets = {objects.name(node): url for node in found if (url := _kubelet(node))}
        return list(self._kubelets)

    def read(self, node: str) -> str:
        """Asks the node's kubelet, with the identity the API server knows us by. Raises ``OSError``."""
        config = dataclasses.replace(self._client.config, server=self._kubelets[node])
        kubelet = rest.Client(config, user_agent="metrics-server", within=self._within)
        try:
            answer = kubelet.raw("GET", "/metrics/resource", headers={"Accept": "text/plain"})
            return answer.data.decode("utf-8", "replace")
        except errors.APIStatusError as refusal:
            raise OSError(str(refusal)) from refusal
        finally:
            kubelet.close()

    def node_objects(self, labels: str, fields: str) -> list[Object]:
        return self._metadata("/api/v1/nodes", labels, fields)

    def running_pods(self, namespace: str, labels: str, fields: str) -> list[Object]:
        path = f"/api/v1/namespaces/{namespace}/pods" if namespace else "/api/v1/pods"
        return self._metadata(path, labels, f"{fields},{_RUNNING}" if fields else _RUNNING)

    def _metadata(self, path: str, labels: str, fields: str) -> list[Object]:
        params: dict[str, Any] = {"labelSelector": labels, "fieldSelector": fields}
        answer = self._client.raw("GET", path, headers={"Accept": _PARTIAL}, params=params)
        found: list[Object] = orjson.loads(answer.data).get("items") or []
        return found


def _kubelet(node: Object) -> str:
    """Where it listens, or nothing."""
    addresses = objects.dig(node, "status", "addresses", default=())
    address = next((entry["address"] for entry in addresses if entry.get("type") == "InternalIP"), "")
    port = objects.dig(node, "status", "daemonEndpoints", "kubeletEndpoint", "Port", default=0) or _KUBELET_PORT
    if not address:
        return ""
    return f"https://[{address}]:{port}" if ":" in address else f"https://{address}:{port}"
