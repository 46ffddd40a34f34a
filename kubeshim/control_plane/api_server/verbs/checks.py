"""What every object must be before it is written: metadata, then what its kind's strategy says."""

from kubeshim.control_plane.api_server.verbs import operation
from kubeshim.machinery import errors, objects
from kubeshim.machinery.validation import metadata


def new(op: operation.Operation, obj: objects.Object) -> None:
    """Raises ``errors.Invalid`` for what is wrong with an object to be created."""
    strategy = op.strategy
    problems = metadata.validate(op.resource, obj)
    problems += strategy.permitted(op.resource, obj, None, op.asker())
    problems += strategy.validate(op.resource, obj) + strategy.validate_create(op.resource, obj)
    if problems:
        raise errors.invalid(op.resource.group, _kind(op, obj), objects.name(obj), problems)
    op.warnings += strategy.warnings(op.resource, obj, None)


def changed(op: operation.Operation, obj: objects.Object, old: objects.Object) -> None:
    """Raises ``errors.Invalid`` for what is wrong with a changed object, or with the change."""
    strategy, resource = op.strategy, op.resource
    problems = metadata.validate_update(resource, obj, old) * 2  # once for all kinds, once by the kind's own rules
    problems += strategy.permitted(resource, obj, old, op.asker())
    if op.subresource == "status":
        problems += strategy.validate_status_update(resource, obj, old)
    elif op.restrict is not None:
        problems += strategy.validate(resource, obj)  # the change itself ``restrict`` has judged
    else:
        problems += strategy.validate_change(resource, obj, old)
    if problems:
        raise errors.invalid(resource.group, _kind(op, obj), objects.name(obj), problems)
    warn = strategy.status_warnings if op.subresource == "status" else strategy.warnings
    op.warnings += warn(resource, obj, old)


def _kind(op: operation.Operation, obj: objects.Object) -> str:
    """What the object says it is: of a custom type that may be another than it should be."""
    return str(obj.get("kind") or op.resource.kind)
