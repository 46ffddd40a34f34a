"""Ends watches whose right was revoked: soon after a role or a binding has changed, and within half a minute where the
reason is another (a token that expired, an account or a pod that is gone).
"""

from typing import TYPE_CHECKING

from gevent import event as gevent_event

from kubeshim.machinery import resources

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

_GROUP = "rbac.authorization.k8s.io"
_KINDS = ("roles", "clusterroles", "rolebindings", "clusterrolebindings")
PERIOD = 30.0
_GATHER = 0.1
"""Seconds in which changes are gathered: a chart brings many roles at once."""


def run(server: "servers.Server") -> None:
    changed = gevent_event.Event()
    for plural in _KINDS:
        server.storage.subscribe(resources.GroupVersionResource(_GROUP, "v1", plural), lambda _: changed.set())
    while not server.stopping.is_set():
        if changed.wait(PERIOD):
            server.stopping.wait(_GATHER)
        changed.clear()
        server.open_watches.recheck()
