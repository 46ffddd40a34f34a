"""What handlers of create-only subresources share: the operation, the body, admission, the answer."""

from typing import TYPE_CHECKING, Any

from kubeshim.control_plane.api_server import request, response
from kubeshim.control_plane.api_server.verbs import decoding, operation, options, place
from kubeshim.machinery import apply, errors, objects, resources
from kubeshim.machinery.codecs import negotiation

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

_KINDS = {"create": "CreateOptions", "update": "UpdateOptions", "patch": "PatchOptions"}
_SYSTEM = ("creationTimestamp", "uid", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink")


def operation_of(asked: request.Request, server: "servers.Server") -> operation.Operation:
    """The request as an operation. Raises 422 for bad options."""
    info = asked.info
    assert asked.user is not None and asked.resource is not None
    op = operation.Operation(
        server, asked.resource, asked.user, info.namespace if asked.resource.namespaced else "", info.name,
        info.subresource, warnings=asked.warnings, until=asked.until,
    )  # fmt: skip
    kind = _KINDS.get(info.verb)
    if kind is not None:
        op.options = options.write_options(asked, kind)
        op.dry_run = bool(op.options.get("dryRun"))
        op.field_validation = op.options.get("fieldValidation", "Warn")
        op.manager = options.manager(asked)
    return op


def created(
    asked: request.Request, server: "servers.Server", gvk: resources.GroupVersionKind, *, keep_identity: bool = False
) -> tuple[operation.Operation, objects.Object]:
    """The operation and the body of a POST, admitted. Raises 400, 403, 405, 406, 415, 422.

    ``keep_identity`` leaves what the client says of the uid: it is a condition there. Though the object is stored
    nowhere, its fields get a manager, as upstream.
    """
    if asked.info.verb != "create":
        raise errors.MethodNotAllowed("the server does not allow this method on the requested resource", details={})
    _form(asked)
    op = operation_of(asked, server)
    obj = decoding.read(op, asked, gvk)
    metadata = obj.setdefault("metadata", {})
    place.fit_namespace(op, metadata)
    for field in () if keep_identity else _SYSTEM:
        metadata.pop(field, None)
    apply.track_update(
        None, obj, schema=server.schema(gvk), manager=op.manager, api_version=gvk.group_version,
        subresource=op.subresource, now=server.clock.now(), reset=(),
    )  # fmt: skip
    admit(op, obj)
    return op, obj


def admit(op: operation.Operation, obj: objects.Object) -> None:
    attributes = op.attributes("CREATE", obj, None, op.name or objects.name(obj))
    op.server.admission.mutate(attributes)
    op.server.admission.validate(attributes)


def answer(asked: request.Request, obj: objects.Object, code: int = 201) -> request.Response:
    """An object that is stored nowhere, in the form the client accepts."""
    return response.encoded(asked, _form(asked), obj, code)


def _form(asked: request.Request) -> negotiation.MediaType:
    """What is stored nowhere has no table. Raises ``errors.NotAcceptable``."""
    return negotiation.negotiate(asked.header("accept"), negotiation.STATUS_ONLY)


def success(code: int = 201) -> dict[str, Any]:
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": code}
