"""GET of one object, from the cache's bytes."""

from kubeshim.control_plane.api_server import request, response, stored
from kubeshim.control_plane.api_server.verbs import operation, options, versions
from kubeshim.machinery import errors


def get(op: operation.Operation) -> stored.Stored:
    """Raises ``errors.NotFound``."""
    found = op.server.storage.get(op.resource, op.namespace, op.name)
    if found is None:
        raise errors.not_found(op.resource.group, op.resource.plural, op.name)
    return found


def handle(op: operation.Operation, asked: request.Request) -> request.Response:
    response.form(asked, op.resource)
    if options.boolean(asked, "export"):
        raise errors.BadRequest("the export parameter, deprecated since v1.14, is no longer supported")
    if "resourceVersion" in asked.query:
        try:
            revision = versions.parse(asked.param("resourceVersion"))
        except versions.MalformedVersion as malformed:
            raise malformed.unexpected() from None
        versions.wait_for(op, revision)
    return response.of_stored(asked, op.server, op.resource, get(op))
