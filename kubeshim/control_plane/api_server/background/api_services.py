"""An APIService for each group-version that this server serves itself: ``Local``, and always available.

Those of the built-in groups are made at the start; those of custom resources come and go with their definitions. One
that somebody deletes or changes is looked at again at once.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from gevent import event as gevent_event

from kubeshim import clock
from kubeshim.control_plane.api_server.background import reconcile
from kubeshim.machinery import builtin, errors, groups, objects, resources

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

API_SERVICES = resources.GroupVersionResource("apiregistration.k8s.io", "v1", "apiservices")
PERIOD = 60.0
_AUTOMATIC = "kube-aggregator.kubernetes.io/automanaged"
_AT_START, _ALWAYS = "onstart", "true"


def run(server: "servers.Server") -> None:
    changed = gevent_event.Event()
    server.registry.on_change(changed.set)
    server.storage.subscribe(API_SERVICES, lambda _: changed.set())
    while not server.stopping.is_set():
        changed.clear()
        ensure(server, changed.set)
        changed.wait(PERIOD)


def ensure(server: "servers.Server", again: Callable[[], None] = lambda: None) -> None:
    """``again`` asks for another look soon: somebody else was faster."""
    built_in = {(resource.group, resource.version) for resource in builtin.load()}
    served = {(resource.group, resource.version) for resource in server.registry}
    for group, version in sorted(served):
        wanted = api_service(group, version, _AT_START if (group, version) in built_in else _ALWAYS)
        reconcile.ensure(server, API_SERVICES, wanted, _merged)
        if not _available(server, objects.name(wanted)):
            again()
    for held in server.storage.reader.list(API_SERVICES):
        key = objects.dig(held, "spec", "group", default="") or "", objects.dig(held, "spec", "version", default="")
        if objects.labels(held).get(_AUTOMATIC) == _ALWAYS and key not in served:
            try:
                server.client.delete(API_SERVICES, objects.name(held))
            except errors.NotFound:
                pass


def api_service(group: str, version: str, automatic: str) -> objects.Object:
    group_priority, version_priority = groups.priority(group, version)
    spec: objects.Object = {
        "version": version,
        "groupPriorityMinimum": group_priority,
        "versionPriority": version_priority,
    }
    if group:
        spec["group"] = group
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": f"{version}.{group}", "labels": {_AUTOMATIC: automatic}},
        "spec": spec,
    }


def _merged(held: objects.Object, wanted: objects.Object) -> objects.Object | None:
    """One that somebody has pointed elsewhere is left alone, as upstream leaves it."""
    if objects.dig(held, "spec", "service") is not None or objects.labels(held).get(_AUTOMATIC) != _ALWAYS:
        return None
    return None if held.get("spec") == wanted["spec"] else {**held, "spec": wanted["spec"]}


def _available(server: "servers.Server", name: str) -> bool:
    """False where it could not be said, because the object has been changed in that moment."""
    held = server.storage.reader.get(API_SERVICES, "", name)
    if held is None or objects.dig(held, "spec", "service") is not None:
        return True
    known = objects.condition(held, "Available")
    if known is not None and (known.get("status"), known.get("reason")) == ("True", "Local"):
        return True
    condition = {
        "type": "Available", "status": "True", "reason": "Local", "message": "Local APIServices are always available",
        "lastTransitionTime": clock.rfc3339(server.clock.now()),
    }  # fmt: skip
    try:
        server.client.update(API_SERVICES, {**held, "status": {"conditions": [condition]}}, subresource="status")
    except (errors.Conflict, errors.NotFound):
        return False
    return True
