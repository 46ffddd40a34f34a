"""The cluster as the metrics server sees it: nodes and pods out of the API, figures out of kubelets.

Nothing is kept between requests, connections neither: it is asked seldom, and idle it shall cost nothing.
"""

import http.client
from typing import Any
from urllib import parse

import orjson

from kubeshim.client import kinds, rest
from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object

KUBELET_SECONDS = 3.0
"""How long a kubelet may be silent; others wait for it, and so does who asks."""
_KUBELET_PORT = 10250
_PARTIAL = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_RUNNING = "status.phase=Running"


class Cluster:
    """``scraper.Source``, and the objects that figures belong to. Connections are opened ``within``."""

    def __init__(self, client: rest.Client, within: rest.Within | None = None) -> None:
        self._client = client
        self._within = within
        self._tls = rest.tls_context(client.config)
        self._kubelets: dict[str, tuple[str, int]] = {}

    def nodes(self) -> list[str]:
        """Raises ``APIStatusError`` or ``rest.Unreachable``."""
        found = self._client.list(kinds.NODES)["items"]
        self._kubelets = {objects.name(node): where for node in found if (where := _kubelet(node))}
        return list(self._kubelets)

    def read(self, node: str) -> str:
        """Asks the node's kubelet, with the identity the API server knows us by. Raises ``OSError``."""
        host, port = self._kubelets[node]
        connection = http.client.HTTPSConnection(host, port, timeout=KUBELET_SECONDS, context=self._tls)
        try:
            if self._within is None:
                connection.connect()
            else:
                self._within(connection.connect)
            connection.request("GET", "/metrics/resource", headers={"User-Agent": "metrics-server"})
            answer = connection.getresponse()
            text = answer.read().decode("utf-8", "replace")
        except http.client.HTTPException as problem:
            raise OSError(f"{type(problem).__name__}: {problem}") from problem
        finally:
            connection.close()
        if answer.status != http.HTTPStatus.OK:
            raise OSError(f"{answer.status} {answer.reason}: {text[:200]}")
        return text

    def node_objects(self, labels: str, fields: str) -> list[Object]:
        return self._metadata("/api/v1/nodes", labels, fields)

    def running_pods(self, namespace: str, labels: str, fields: str) -> list[Object]:
        path = f"/api/v1/namespaces/{parse.quote(namespace, safe='')}/pods" if namespace else "/api/v1/pods"
        return self._metadata(path, labels, f"{fields},{_RUNNING}" if fields else _RUNNING)

    def _metadata(self, path: str, labels: str, fields: str) -> list[Object]:
        params: dict[str, Any] = {"labelSelector": labels, "fieldSelector": fields}
        answer = self._client.raw("GET", path, headers={"Accept": _PARTIAL}, params=params)
        found: list[Object] = orjson.loads(answer.data).get("items") or []
        return found


def _kubelet(node: Object) -> tuple[str, int] | None:
    """Where it listens, if it has said so."""
    addresses = objects.dig(node, "status", "addresses", default=())
    address = next((entry["address"] for entry in addresses if entry.get("type") == "InternalIP"), "")
    port = objects.dig(node, "status", "daemonEndpoints", "kubeletEndpoint", "Port", default=0) or _KUBELET_PORT
    return (address, port) if address else None
