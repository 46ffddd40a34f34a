"""ComponentStatuses: who of the control plane is well, made up at the moment of asking and stored nowhere.

Upstream asks fixed ports of its own machine. Here a component may run anywhere: it is well as long as it renews the
lease by which it leads. The store is named ``etcd-0``, as its users look for it; it is well if it answers.
"""

import datetime
from typing import TYPE_CHECKING

from kubeshim import clock
from kubeshim.control_plane.api_server import request, response, stored
from kubeshim.control_plane.api_server.subresources import call
from kubeshim.control_plane.api_server.verbs import selection
from kubeshim.machinery import errors, objects, resources

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

_LEASES = resources.GroupVersionResource("coordination.k8s.io", "v1", "leases")
_LEADERS = {"controller-manager": "kube-controller-manager", "scheduler": "kube-scheduler"}
_STORE = "etcd-0"


class ComponentStatuses:
    def handle(self, asked: request.Request, server: "servers.Server") -> request.Response:
        op = call.operation_of(asked, server)
        if asked.info.verb == "get":
            found = next((one for one in statuses(server) if objects.name(one) == op.name), None)
            if found is None:
                raise errors.InternalError(f"Component not found: {op.name}", reason="")
            return response.of_object(asked, server, op.resource, found)
        if asked.info.verb != "list":
            raise errors.MethodNotAllowed("the server does not allow this method on the requested resource")
        response.form(asked, op.resource)
        matches = selection.of(op, asked).matches()
        items = [stored.Stored(objects.key(one), stored.encode(one), 0, 0) for one in statuses(server)]
        return response.of_list(
            asked, server, op.resource, [item for item in items if matches is None or matches(item)], {}
        )


def statuses(server: "servers.Server") -> list[objects.Object]:
    now = server.clock.now()
    leaders = [
        status(name, problem(server.storage.reader.get(_LEASES, "kube-system", lease), lease, now))
        for name, lease in _LEADERS.items()
    ]
    return [*leaders, status(_STORE, "")]


def problem(lease: objects.Object | None, name: str, now: datetime.datetime) -> str:
    """Why the holder of a lease is not well, or nothing."""
    spec = (lease or {}).get("spec") or {}
    if not spec.get("holderIdentity") or not spec.get("renewTime"):
        return f"nobody holds the lease kube-system/{name}"
    silent = (now - clock.parse_rfc3339(spec["renewTime"])).total_seconds()
    if silent <= int(spec.get("leaseDurationSeconds") or 0):
        return ""
    return f"{spec['holderIdentity']} has not renewed the lease kube-system/{name} for {silent:.0f} s"


def status(name: str, trouble: str) -> objects.Object:
    condition = {"type": "Healthy", "status": "False" if trouble else "True", "message": trouble or "ok"}
    return {"kind": "ComponentStatus", "apiVersion": "v1", "metadata": {"name": name}, "conditions": [condition]}


STATUSES = ComponentStatuses()
