"""Whether an object's name and namespace are those of the path."""

from kubeshim.control_plane.api_server.verbs import operation
from kubeshim.machinery import errors, objects


def check(op: operation.Operation, metadata: objects.Object) -> None:
    """Fills in what the object leaves out. Raises ``errors.BadRequest`` where it says something else."""
    name = metadata.get("name") or op.name
    if name != op.name:
        raise errors.BadRequest(f"the name of the object ({name}) does not match the name on the URL ({op.name})")
    metadata["name"] = name
    if not op.resource.namespaced:
        return
    space = metadata.get("namespace") or op.namespace
    if space != op.namespace:
        raise errors.BadRequest(
            f"the namespace of the object ({space}) does not match the namespace on the URL ({op.namespace})"
        )
    metadata["namespace"] = space
