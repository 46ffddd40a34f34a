"""Whether an object's name and namespace are those of the path."""

from kubeshim.control_plane.api_server.verbs import operation
from kubeshim.machinery import errors, objects


def fit_namespace(op: operation.Operation, metadata: objects.Object) -> None:
    """Fills in the namespace, or takes it out where there is none. Raises ``errors.BadRequest`` for another one."""
    if not op.resource.namespaced:
        metadata.pop("namespace", None)
        return
    space = metadata.get("namespace") or op.namespace
    if space != op.namespace:
        raise errors.BadRequest("the namespace of the provided object does not match the namespace sent on the request")
    metadata["namespace"] = space


def check_name(op: operation.Operation, metadata: objects.Object) -> None:
    """Raises ``errors.BadRequest`` where the object says no name, or another name or namespace."""
    name = metadata.get("name")
    if not name:
        raise errors.BadRequest(
            f"the name of the object ({op.name} based on URL) was undeterminable: name must be provided"
        )
    if name != op.name:
        raise errors.BadRequest(f"the name of the object ({name}) does not match the name on the URL ({op.name})")
    space = metadata.get("namespace")
    if op.resource.namespaced and space and space != op.namespace:
        raise errors.BadRequest(
            f"the namespace of the object ({space}) does not match the namespace on the URL ({op.namespace})"
        )
