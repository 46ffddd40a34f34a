"""The ServiceCIDR ``kubernetes``: the range ClusterIPs come from, as the server was told."""

from typing import TYPE_CHECKING

from kubeshim import clock
from kubeshim.control_plane.api_server.background import reconcile
from kubeshim.machinery import objects, resources

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

RANGES = resources.GroupVersionResource("networking.k8s.io", "v1", "servicecidrs")
NAME = "kubernetes"


def ensure(server: "servers.Server") -> None:
    wanted: objects.Object = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": NAME},
        "spec": {"cidrs": [server.config.service_range]},
    }
    reconcile.ensure(server, RANGES, wanted)
    held = server.client.get(RANGES, NAME)
    if objects.condition(held, "Ready") is None:
        ready = {
            "type": "Ready", "status": "True", "reason": "", "message": "Kubernetes Service CIDR is ready",
            "lastTransitionTime": clock.rfc3339(server.clock.now()),
        }  # fmt: skip
        held.setdefault("status", {})["conditions"] = [ready]
        server.client.update(RANGES, held, subresource="status")
