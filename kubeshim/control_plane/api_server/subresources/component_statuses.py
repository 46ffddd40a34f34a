"""``componentstatuses``: whether the control plane's parts are well, found out when somebody asks. Nothing is stored.

Upstream asks the health ports of controller manager and scheduler at its own side, and the store. Ours may run
elsewhere and need no port; what tells of them over the API is the Lease each of them holds and renews while it works.
"""

import datetime
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kubeshim import clock
from kubeshim.control_plane.api_server import request, response, stored
from kubeshim.control_plane.api_server.verbs import operation, selection
from kubeshim.control_plane.cluster_store import store as stores
from kubeshim.machinery import errors, objects, resources

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

_LEASES = resources.GroupVersionResource("coordination.k8s.io", "v1", "leases")
_NAMESPACE = "kube-system"

Check = Callable[["servers.Server"], str]
"""What is wrong; empty where nothing is."""


def lease_problem(lease: objects.Object | None, now: datetime.datetime) -> str:
    """Why the holder of a Lease cannot be said to be well."""
    spec = (lease or {}).get("spec") or {}
    if not spec.get("holderIdentity") or not spec.get("renewTime"):
        return "nobody holds the component's Lease"
    silent = (now - clock.parse_rfc3339(spec["renewTime"])).total_seconds()
    bound = int(spec.get("leaseDurationSeconds") or 0)
    return f"the component's Lease was last renewed {int(silent)}s ago" if silent > bound else ""


def _holds(name: str) -> Check:
    def check(server: "servers.Server") -> str:
        lease = server.storage.reader.get(_LEASES, _NAMESPACE, name)
        return lease_problem(lease, server.clock.now())

    return check


def _store(server: "servers.Server") -> str:
    try:
        server.in_thread(server.store.ping)
    except (stores.StoreError, OSError, RuntimeError) as problem:
        return str(problem)
    return ""


COMPONENTS: dict[str, Check] = {
    "scheduler": _holds("kube-scheduler"),
    "controller-manager": _holds("kube-controller-manager"),
    "etcd-0": _store,
}


def status_of(name: str, problem: str) -> objects.Object:
    condition = {"type": "Healthy", "status": "False" if problem else "True", "message": problem or "ok"}
    return {"kind": "ComponentStatus", "apiVersion": "v1", "metadata": {"name": name}, "conditions": [condition]}


class ComponentStatuses:
    def handle(self, asked: request.Request, server: "servers.Server") -> request.Response:
        assert asked.resource is not None and asked.user is not None
        info = asked.info
        response.form(asked, asked.resource)
        if info.verb == "get":
            check = COMPONENTS.get(info.name)
            if check is None:
                raise errors.APIStatusError(f"Component not found: {info.name}", code=500, reason="")
            item = _stored(info.name, check(server))
            return response.of_stored(asked, server, asked.resource, item)
        chosen = selection.of(operation.Operation(server, asked.resource, asked.user), asked)
        matches = chosen.matches()
        found = [_stored(name, check(server)) for name, check in COMPONENTS.items()]
        kept = [item for item in found if matches is None or matches(item)]
        metadata: dict[str, Any] = {}
        return response.of_list(asked, server, asked.resource, kept, metadata)


def _stored(name: str, problem: str) -> stored.Stored:
    return stored.Stored(name, stored.encode(status_of(name, problem)), 0, 0)


COMPONENT_STATUSES = ComponentStatuses()
