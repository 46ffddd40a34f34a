"""The ServiceCIDR ``kubernetes``: the range ClusterIPs come from, as the server was told; and that ranges are ready."""

from collections import deque
from typing import TYPE_CHECKING

from gevent import event as gevent_event

from kubeshim import clock
from kubeshim.control_plane.api_server import storage
from kubeshim.control_plane.api_server.background import reconcile
from kubeshim.machinery import errors, objects, resources

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

RANGES = resources.GroupVersionResource("networking.k8s.io", "v1", "servicecidrs")
NAME = "kubernetes"
PERIOD = 60.0


def ensure(server: "servers.Server") -> None:
    wanted: objects.Object = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": NAME},
        "spec": {"cidrs": server.config.service_range.split(",")},
    }
    reconcile.ensure(server, RANGES, wanted)
    for held in server.storage.reader.list(RANGES):
        note_ready(server, held)


def run(server: "servers.Server") -> None:
    """Ranges somebody adds are ready as soon as they are there."""
    added: deque[objects.Object] = deque()
    changed = gevent_event.Event()

    def follow(change: storage.Change) -> None:
        if change.kind == "ADDED":
            added.append(change.obj)
            changed.set()

    server.storage.subscribe(RANGES, follow)
    while not server.stopping.is_set():
        changed.wait(PERIOD)
        changed.clear()
        while added:
            note_ready(server, added.popleft())


def note_ready(server: "servers.Server", held: objects.Object) -> None:
    if objects.condition(held, "Ready") is not None or objects.dig(held, "metadata", "deletionTimestamp"):
        return
    ready = {
        "type": "Ready", "status": "True", "reason": "", "message": "Kubernetes Service CIDR is ready",
        "lastTransitionTime": clock.rfc3339(server.clock.now()),
    }  # fmt: skip
    try:
        server.client.update(RANGES, {**held, "status": {"conditions": [ready]}}, subresource="status")
    except (errors.Conflict, errors.NotFound):
        pass  # the step at start looks at all of them again
