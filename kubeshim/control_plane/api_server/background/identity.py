"""The Lease by which this API server can be told from others, renewed for as long as it runs."""

import base64
import hashlib
import socket
import uuid
from typing import TYPE_CHECKING

from kubeshim import clock
from kubeshim.control_plane.api_server.background import namespaces
from kubeshim.machinery import errors, objects, resources

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

LEASES = resources.GroupVersionResource("coordination.k8s.io", "v1", "leases")
NAMESPACE = "kube-system"
PERIOD = 10.0
_SECONDS = 3600


def run(server: "servers.Server") -> None:
    holder = f"{name(socket.gethostname())}_{uuid.uuid4()}"
    while not server.stopping.is_set():
        if server.storage.reader.get(namespaces.NAMESPACES, "", NAMESPACE) is None:
            server.stopping.wait(0.05)
            continue
        renew(server, socket.gethostname(), holder)
        server.stopping.wait(PERIOD)


def name(host: str) -> str:
    digest = hashlib.sha256(host.encode()).digest()[:16]
    return "apiserver-" + base64.b32encode(digest).decode().rstrip("=").lower()


def renew(server: "servers.Server", host: str, holder: str) -> None:
    now = clock.rfc3339_micro(server.clock.now())
    held = server.storage.reader.get(LEASES, NAMESPACE, name(host))
    labels = {"apiserver.kubernetes.io/identity": "kube-apiserver", "kubernetes.io/hostname": host}
    spec = {"holderIdentity": holder, "leaseDurationSeconds": _SECONDS, "renewTime": now}
    metadata: objects.Object = {"name": name(host), "namespace": NAMESPACE, "labels": labels}
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
    try:
        if held is None:
            server.client.create(LEASES, lease, NAMESPACE)
        else:
            server.client.update(LEASES, {**lease, "metadata": {**held["metadata"], "labels": labels}})
    except (errors.Conflict, errors.AlreadyExists):
        pass  # renewed by another process of this host
