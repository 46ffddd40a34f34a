"""The two priority classes of the system's own pods."""

from typing import TYPE_CHECKING

from kubeshim.control_plane.api_server import bootstrap_data
from kubeshim.control_plane.api_server.background import reconcile
from kubeshim.machinery import resources

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

CLASSES = resources.GroupVersionResource("scheduling.k8s.io", "v1", "priorityclasses")


def ensure(server: "servers.Server") -> None:
    for name, entry in bootstrap_data.read("priority-classes").items():
        wanted = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}, **entry}
        reconcile.ensure(server, CLASSES, wanted)
