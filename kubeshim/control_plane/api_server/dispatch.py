"""From what is asked to who answers: verbs, subresources, and the paths that are no resources."""

from typing import TYPE_CHECKING, Any

from kubeshim.control_plane.api_server import documents, request
from kubeshim.control_plane.api_server.aggregation import proxy as aggregation
from kubeshim.control_plane.api_server.subresources import table as subresources
from kubeshim.control_plane.api_server.verbs import operation, options
from kubeshim.control_plane.api_server.verbs import table as verbs
from kubeshim.machinery import errors, resources

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

_OPTIONS = {"create": "CreateOptions", "update": "UpdateOptions", "patch": "PatchOptions"}
_ITEM_VERBS = frozenset(("get", "update", "patch", "delete"))


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
    elif resource.deprecation:
        asked.warnings.append(resource.deprecation)
    _check_scope(info, resource)
    if info.subresource or info.verb == "proxy":
        return _subresource(asked, server, resource)
    if len(info.parts) > 2:
        raise not_found()
    if asked.method in ("POST", "PUT", "PATCH", "DELETE"):
        asked.body = _body(asked)
    special = subresources.SUBRESOURCES.get((resource.group, resource.plural, ""))
    if special is not None:
        return special.handle(asked, server)
    return _verb(asked, server, resource)


def _check_scope(info: request.RequestInfo, resource: resources.Resource) -> None:
    """Across namespaces one can only look; what has no namespace is not found in one."""
    if resource.namespaced and not info.namespace:
        if info.verb in ("create", "deletecollection") and len(info.parts) == 1:
            raise not_allowed()
        if info.verb not in ("watch", "list"):
            raise not_found()
    if not resource.namespaced and info.namespace and resource.group_resource != "namespaces":
        raise not_found()


def _verb(asked: request.Request, server: "servers.Server", resource: resources.Resource) -> request.Response:
    info = asked.info
    handler = verbs.VERBS.get(info.verb)
    if handler is None or info.verb not in resource.verbs or (info.verb == "create" and len(info.parts) > 1):
        raise not_allowed()
    if info.verb in ("update", "patch") and len(info.parts) == 1:
        raise not_allowed()
    return handler(operation_of(asked, server, resource), asked)


def operation_of(asked: request.Request, server: "servers.Server", resource: resources.Resource) -> operation.Operation:
    """The request as an operation. Raises ``errors.Invalid`` for bad options."""
    info = asked.info
    assert asked.user is not None
    namespace = info.namespace if resource.namespaced else ""
    op = operation.Operation(
        server, resource, asked.user, namespace, info.name, info.subresource, warnings=asked.warnings
    )
    kind = _OPTIONS.get(info.verb)
    if kind is not None:
        op.options = options.write_options(asked, kind)
        op.dry_run = bool(op.options.get("dryRun"))
        op.field_validation = op.options.get("fieldValidation", "Warn")
        op.manager = options.manager(asked)
    return op


def _subresource(asked: request.Request, server: "servers.Server", resource: resources.Resource) -> request.Response:
    info = asked.info
    name = info.subresource or "proxy"
    handler: Any = subresources.SUBRESOURCES.get((resource.group, resource.plural, name))
    declared = resource.subresources.get(name)
    if handler is None and declared is None:
        raise not_found()
    if (
        declared is not None
        and info.verb not in declared.verbs
        and name not in ("proxy", "exec", "attach", "portforward")
    ):
        raise not_allowed()
    if name != "proxy" and asked.method in ("POST", "PUT", "PATCH", "DELETE"):
        asked.body = _body(asked)
    if handler is not None:
        answer: request.Response = handler.handle(asked, server)
        return answer
    generic = verbs.SUBRESOURCES.get((name, info.verb))
    if generic is None:
        raise not_allowed()
    return generic(operation_of(asked, server, resource), asked)


def _body(asked: request.Request) -> bytes:
    """All of the body. Raises ``http_connection.BodyTooLarge``."""
    source = asked.environ["wsgi.input"]
    if "wire.connection" in asked.environ:
        return source.read()  # type: ignore[no-any-return]
    return source.read(int(asked.environ.get("CONTENT_LENGTH") or 0))  # type: ignore[no-any-return]


def _no_resource(asked: request.Request, server: "servers.Server") -> request.Response:
    info = asked.info
    if any(known.group == info.group and known.version == info.version for known in server.registry):
        raise not_found()
    return documents.page_not_found()


def not_found() -> errors.NotFound:
    return errors.NotFound("the server could not find the requested resource")


def not_allowed() -> errors.MethodNotAllowed:
    return errors.MethodNotAllowed("the server does not allow this method on the requested resource")
