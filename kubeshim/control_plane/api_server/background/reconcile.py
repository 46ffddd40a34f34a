"""Making sure that an object is there, and how much of it is ours to keep in shape."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from kubeshim.machinery import errors, objects, resources

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

Merge = Callable[[objects.Object, objects.Object], objects.Object | None]
"""From the object as it is and as it should be to what to write; None leaves it alone."""
_ATTEMPTS = 5


def ensure(
    server: "servers.Server", gvr: resources.GroupVersionResource, wanted: objects.Object, merge: Merge | None = None
) -> None:
    """Creates ``wanted`` where it is missing, and otherwise writes what ``merge`` makes of it."""
    namespace, name = objects.namespace(wanted), objects.name(wanted)
    for _ in range(_ATTEMPTS):
        held = server.storage.reader.get(gvr, namespace, name)
        try:
            if held is None:
                server.client.create(gvr, wanted, namespace)
                return
            changed = merge(held, wanted) if merge is not None else None
            if changed is not None:
                server.client.update(gvr, changed)
            return
        except (errors.AlreadyExists, errors.Conflict):
            continue  # somebody else was here: look again


def with_metadata(held: objects.Object, wanted: objects.Object) -> objects.Object:
    """A copy of ``held`` that has the labels and annotations of ``wanted`` as well."""
    metadata = dict(held["metadata"])
    for field in ("labels", "annotations"):
        added = {**(metadata.get(field) or {}), **(wanted["metadata"].get(field) or {})}
        if added:
            metadata[field] = added
    return {**held, "metadata": metadata}
