"""The end of an object in the store, and of what goes with it."""

import contextlib

from kubeshim.control_plane.api_server import storage, stored
from kubeshim.control_plane.api_server.verbs import operation
from kubeshim.machinery import objects, resources


def remove(op: operation.Operation, item: stored.Stored) -> stored.Stored:
    """Raises ``storage.Stale`` if it is not the same any more."""
    gone = op.server.storage.delete(op.resource, item)
    for gvr in op.strategy.gone_with:
        _remove_other(op, gvr, item)
    return gone


def _remove_other(op: operation.Operation, gvr: resources.GroupVersionResource, item: stored.Stored) -> None:
    """Nobody is asked, and nobody is told that there was none. What finalizers hold, or others write, is left."""
    resource, obj = op.server.registry.get(*gvr), item.obj
    assert resource is not None
    other = op.server.storage.get(resource, objects.namespace(obj), objects.name(obj))
    if other is None or other.obj["metadata"].get("finalizers"):
        return
    with contextlib.suppress(storage.Stale):
        op.server.storage.delete(resource, other)
