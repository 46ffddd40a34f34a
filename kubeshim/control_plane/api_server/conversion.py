"""One version of an object made another: what is stored as one type and served as several.

Admission shows an object to webhooks and policies in the version their rules name, and may get it back changed.
"""

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kubeshim.machinery import objects, resources

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers


def equivalents(server: "servers.Server", resource: resources.Resource) -> Iterator[resources.Resource]:
    """The other versions in which the type is served."""
    for other in server.registry:
        if other.storage_prefix == resource.storage_prefix and other.gvr != resource.gvr:
            yield other


def convert(
    server: "servers.Server", obj: objects.Object, source: resources.Resource, target: resources.Resource
) -> objects.Object:
    """A copy of ``obj``, which is of ``source``, as ``target`` serves it; what is of neither stays as it is."""
    made = copy.deepcopy(obj)
    if source.gvr == target.gvr or (obj.get("apiVersion"), obj.get("kind")) != (source.api_version, source.kind):
        return made
    made = server.strategy(source).to_storage(source, made)
    if source.stored_as is not None:
        made = {**made, "apiVersion": source.stored_as.group_version}
    made = server.strategy(target).from_storage(target, made)
    return {**made, "apiVersion": target.api_version, "kind": target.kind}
