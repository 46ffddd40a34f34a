"""The namespaces of the system."""

from typing import TYPE_CHECKING

from kubeshim.control_plane.api_server.background import reconcile
from kubeshim.machinery import resources

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

NAMESPACES = resources.GroupVersionResource("", "v1", "namespaces")
NAMES = ("kube-system", "kube-public", "kube-node-lease", "default")


def ensure(server: "servers.Server") -> None:
    for name in NAMES:
        wanted = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        reconcile.ensure(server, NAMESPACES, wanted)
