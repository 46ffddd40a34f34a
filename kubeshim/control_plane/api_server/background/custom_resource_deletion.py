"""Empties a definition that is being deleted: every instance is deleted, and when the last is gone, so is it.

Instances with finalizers take their time; the type is served until then, so that whoever holds them can let go.
Meanwhile somebody may take our finalizer away by force, and make the definition anew: its instances are left alone.
"""

from typing import TYPE_CHECKING

import gevent

from kubeshim import clock
from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server.custom_resources import catalog, conditions, custom_type
from kubeshim.control_plane.api_server.strategies import customresourcedefinition as strategies
from kubeshim.control_plane.api_server.verbs import delete, operation
from kubeshim.machinery import errors, objects, resources

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

_LOOK_AGAIN = 30.0
_AT_ONCE = 100
_ATTEMPTS = 10


def empty(server: "servers.Server", name: str) -> None:
    """Returns when the definition has lost our finalizer, or is gone."""
    crd = server.storage.reader.get(catalog.DEFINITIONS, "", name)
    if crd is None or not _is_ours(crd):
        return
    uid = objects.uid(crd)
    if not conditions.is_true(crd, "Established"):
        _write(server, name, uid, "NeverEstablished", "resource was never established", done=True)
        return
    _write(server, name, uid, "InstanceDeletionInProgress", "CustomResource deletion is in progress", done=False)
    resource = custom_type.of(crd)[0].resource
    if server.custom.is_new(resource) and not _delete_all(server, resource, name, uid):
        return
    _write(server, name, uid, "InstanceDeletionCompleted", "removed all instances", done=True)


def _is_ours(crd: objects.Object) -> bool:
    return objects.is_deleting(crd) and strategies.CLEANUP in (crd["metadata"].get("finalizers") or ())


def _is_meant(server: "servers.Server", name: str, uid: str) -> bool:
    """Whether the definition is still there and still to be emptied, and not another one of its name."""
    crd = server.storage.reader.get(catalog.DEFINITIONS, "", name)
    return crd is not None and objects.uid(crd) == uid and _is_ours(crd)


def _delete_all(server: "servers.Server", resource: resources.Resource, name: str, uid: str) -> bool:
    """Deletes what there is, and waits until nothing is left; False where it shall not go on."""
    watcher = server.storage.watch(resource)
    try:
        while not server.stopping.is_set() and _is_meant(server, name, uid):
            found = server.storage.list(resource).items
            if not found:
                return True
            for index, item in enumerate(found, 1):
                if not objects.is_deleting(item.obj):
                    _delete(server, resource, item.namespace, item.name)
                if index % _AT_ONCE == 0:
                    gevent.sleep(0)
                    if not _is_meant(server, name, uid):
                        return False
            if not server.storage.list(resource, limit=1).items:
                return True
            watcher.wait(_LOOK_AGAIN)
            watcher.buffer.clear()
            if watcher.stopped:
                server.storage.unwatch(resource, watcher)
                watcher = server.storage.watch(resource)
        return False
    finally:
        server.storage.unwatch(resource, watcher)


def _delete(server: "servers.Server", resource: resources.Resource, namespace: str, name: str) -> None:
    op = operation.Operation(server, resource, request.API_SERVER, namespace, name)
    try:
        delete.delete(op, {})
    except errors.NotFound:
        pass  # somebody else was faster


def _write(server: "servers.Server", name: str, uid: str, reason: str, message: str, *, done: bool) -> None:
    for _ in range(_ATTEMPTS):
        item = server.client.stored(catalog.DEFINITIONS, name)
        if item is None or objects.uid(item.obj) != uid:
            return
        crd = item.copy()
        condition = conditions.condition("Terminating", not done, reason, message)
        conditions.put(crd, condition, clock.rfc3339(server.clock.now()))
        if done:
            finalizers = crd["metadata"].get("finalizers") or []
            crd["metadata"]["finalizers"] = [entry for entry in finalizers if entry != strategies.CLEANUP]
        try:
            server.client.update(catalog.DEFINITIONS, crd, subresource="status")
        except errors.NotFound:
            return
        except errors.Conflict:
            continue
        return
    raise errors.Conflict(f"the definition {name} is being changed all the time")
