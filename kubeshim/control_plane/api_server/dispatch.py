"""From what is asked to who answers: verbs, subresources, and the paths that are no resources."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from kubeshim.control_plane.api_server import documents, request, routes
from kubeshim.control_plane.api_server.aggregation import proxy as aggregation
from kubeshim.control_plane.api_server.subresources import table as subresources
from kubeshim.control_plane.api_server.verbs import operation, options
from kubeshim.control_plane.api_server.verbs import table as verbs
from kubeshim.machinery import errors, resources
from kubeshim.machinery.validation import content, fields

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

_ITEM_VERBS = frozenset(("get", "update", "patch", "delete"))
_OPTIONS = {"create": "CreateOptions", "update": "UpdateOptions", "patch": "PatchOptions"}

Handler = Callable[[request.Request, "servers.Server"], request.Response]


def dispatch(asked: request.Request, server: "servers.Server") -> request.Response:
    """The innermost step. Raises ``errors.APIStatusError``."""
    info = asked.info
    elsewhere = server.aggregation.find(info)
    if elsewhere is not None:
        return aggregation.handle(asked, server, elsewhere)
    if not info.is_resource:
        return documents.handle(asked, server)
    resource = server.registry.get(info.group, info.version, info.resource)
    if resource is None:
        return _no_resource(asked, server)
    asked.resource = resource
    if resource.strategy == "custom":
        server.custom.warn(asked, resource)
    try:
        routes.check(asked, resource)
    except routes.NoPath:
        return documents.page_not_found()
    if resource.deprecation:
        asked.warnings.append(resource.deprecation)
        server.metrics.deprecated(asked)
    if info.subresource != "proxy" and asked.method in ("POST", "PUT", "PATCH", "DELETE"):
        asked.body = _body(asked)
    return _handler(info, resource)(asked, server)


def _handler(info: request.RequestInfo, resource: resources.Resource) -> Handler:
    """Who answers: a handler of its own for some subresources and for what is created only, else the verb's."""
    if info.verb == "watch" and "watch" not in resource.verbs:
        raise routes.not_supported(resource, "watch")
    special = subresources.SUBRESOURCES.get((resource.group, resource.plural, info.subresource))
    if special is not None:
        return special.handle
    generic = verbs.SUBRESOURCES.get((info.subresource, info.verb)) if info.subresource else verbs.VERBS.get(info.verb)
    if generic is None:
        raise routes.not_supported(resource, info.verb)
    return lambda asked, server: generic(operation_of(asked, server, resource), asked)


def operation_of(asked: request.Request, server: "servers.Server", resource: resources.Resource) -> operation.Operation:
    """The request as an operation. Raises ``errors.Invalid`` for bad options."""
    info = asked.info
    assert asked.user is not None
    namespace = info.namespace if resource.namespaced else ""
    if info.name and info.verb in _ITEM_VERBS and (wrong := content.path_segment(info.name)):
        raise errors.BadRequest(f"Name parameter invalid: {fields.quote(info.name)}: {';'.join(wrong)}")
    op = operation.Operation(
        server, resource, asked.user, namespace, info.name, info.subresource, warnings=asked.warnings,
        verb=info.verb, until=asked.until,
    )  # fmt: skip
    kind = _OPTIONS.get(info.verb)
    if kind is not None:
        op.options = options.write_options(asked, kind)
        op.dry_run = bool(op.options.get("dryRun"))
        op.field_validation = op.options.get("fieldValidation", "Warn")
        op.manager = options.manager(asked)
    return op


def _body(asked: request.Request) -> bytes:
    """All of the body. Raises ``http_connection.BodyTooLarge``."""
    source = asked.environ["wsgi.input"]
    if "wire.connection" in asked.environ:
        return source.read()  # type: ignore[no-any-return]
    return source.read(int(asked.environ.get("CONTENT_LENGTH") or 0))  # type: ignore[no-any-return]


def _no_resource(asked: request.Request, server: "servers.Server") -> request.Response:
    """In the groups of built-in types the router answers, elsewhere nobody does."""
    if documents.is_built_in(asked.path):
        raise routes.not_found()
    return documents.page_not_found()
