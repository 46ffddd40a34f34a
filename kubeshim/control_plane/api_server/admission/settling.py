"""An object that somebody else has changed, brought into the form of its type again."""

from typing import TYPE_CHECKING

from kubeshim.control_plane.api_server.custom_resources import bodies as custom_bodies
from kubeshim.machinery import defaults, errors, objects, resources
from kubeshim.machinery.codecs import strict
from kubeshim.machinery.validation import decoding

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers


def settle(server: "servers.Server", resource: resources.Resource, obj: objects.Object) -> None:
    """Prunes and defaults ``obj`` in place. Raises 500 where it is not of any form its type has, as upstream."""
    group, version = resources.split_api_version(obj.get("apiVersion") or "")
    gvk = resources.GroupVersionKind(group, version, str(obj.get("kind") or ""))
    custom = server.custom.get(gvk)
    if custom is not None:
        custom_bodies.shape(custom, obj)
        return
    try:
        schema = server.schema(gvk)
    except LookupError as problem:
        raise errors.InternalError(f'Internal error occurred: no kind "{gvk.kind}" is registered') from problem
    try:
        decoding.decode(obj, schema, gvk)
    except errors.BadRequest as problem:
        raise errors.InternalError(f"Internal error occurred: {problem}") from problem
    strict.prune(obj, schema)
    defaults.apply(gvk, obj)
