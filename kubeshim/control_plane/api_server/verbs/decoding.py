"""From a request's body to an object: media type, kind, strictness, types, defaults."""

import functools

from kubeshim.control_plane.api_server import native, representations, request
from kubeshim.control_plane.api_server.custom_resources import bodies as custom_bodies
from kubeshim.control_plane.api_server.verbs import operation
from kubeshim.machinery import defaults, managed_fields, objects, resources
from kubeshim.machinery.codecs import bodies, negotiation
from kubeshim.machinery.validation import decoding

_NO_MESSAGE = (
    "object *unstructured.Unstructured does not implement the protobuf marshalling interface and cannot be encoded to "
    "a protobuf message"
)


def read(
    op: operation.Operation, asked: request.Request, gvk: resources.GroupVersionKind | None = None
) -> objects.Object:
    """The body as an object of ``gvk`` (by default the resource's), defaults filled in. Raises 400 and 415."""
    expected = gvk or op.resource.gvk
    media_type = negotiation.content_type(asked.header("content-type"))
    if media_type == negotiation.PROTOBUF and not representations.has_message(expected):
        raise bodies.cannot_be_handled(expected, _NO_MESSAGE)
    strictly = op.field_validation != "Ignore"
    read_body = custom_bodies.read if op.server.custom.get(expected) is not None else bodies.read
    reading = functools.partial(read_body, asked.body, media_type, expected, strictly=strictly)
    obj, duplicates = native.read(asked.body, reading)
    complete(op, obj, expected, duplicates)
    return obj


def complete(
    op: operation.Operation, obj: objects.Object, gvk: resources.GroupVersionKind, duplicates: list[str]
) -> None:
    """Holds a parsed object against its type, in place, and fills in defaults."""
    custom = op.server.custom.get(gvk)
    if custom is not None:
        custom_bodies.complete(custom, obj, duplicates, op.field_validation, op.warnings.append)
        return
    schema = op.server.schema(gvk)
    managed_fields.keep_reset(obj)
    decoding.decode(obj, schema, gvk)
    bodies.check(obj, schema, duplicates, op.field_validation, op.warnings.append, gvk)  # type: ignore[arg-type]
    defaults.apply(gvk, obj)
