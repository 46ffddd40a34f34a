"""What stands at which path, and what the router refuses before any handler sees the request.

Upstream has two routers. Built-in types have a route for each path and method, with the media types it takes and gives;
what matches none is refused without looking at the object. Custom types have a handler that goes by the verb alone.

    /api/v1/pods                          GET                       (across namespaces one can only look)
    /api/v1/namespaces/NS/pods            GET POST DELETE
    /api/v1/namespaces/NS/pods/X          GET PUT PATCH DELETE
    /api/v1/namespaces/NS/pods/X/log      as the subresource says
    /api/v1/watch/namespaces/NS/pods[/X]  GET

No built-in type answers HEAD or OPTIONS, but for what is proxied. Source: apiserver ``endpoints/installer.go``,
go-restful's ``CurlyRouter``, apiextensions ``customresource_handler.go``.
"""

import functools

from kubeshim.control_plane.api_server import request
from kubeshim.machinery import errors, resources
from kubeshim.machinery.codecs import negotiation

_ANY = "*/*"
_COLLECTION = (("list", "GET"), ("create", "POST"), ("deletecollection", "DELETE"))
_ITEM = (("get", "GET"), ("update", "PUT"), ("patch", "PATCH"), ("delete", "DELETE"))
_PART = (*_ITEM, ("create", "POST"))
_PROXIED = frozenset(("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"))
_CONNECTIONS = frozenset(("attach", "exec", "portforward", "proxy"))
_OBJECTS = negotiation.OBJECTS.media_types
_STREAMS = tuple(f"{name};stream=watch" for name in negotiation.STREAMS)
_NOT_FOUND = "the server could not find the requested resource"
_NOT_ALLOWED = "the server does not allow this method on the requested resource"


class NoPath(Exception):
    """Nobody serves this path: the answer is no ``Status``, but the plain text of the innermost handler."""


def check(asked: request.Request, resource: resources.Resource) -> None:
    """Refuses what has no route. Raises 404, 405, 406, 415 and ``NoPath``."""
    if resource.strategy == "custom":
        _check_custom(asked.info, resource)
    else:
        _check_built_in(asked, resource)


def not_found() -> errors.NotFound:
    return errors.NotFound(_NOT_FOUND, details={})


def not_allowed() -> errors.MethodNotAllowed:
    return errors.MethodNotAllowed(_NOT_ALLOWED, details={})


def not_supported(resource: resources.Resource, verb: str) -> errors.MethodNotAllowed:
    """A verb that a handler knows, but not this type."""
    details = {"group": resource.group, "kind": resource.plural}
    return errors.MethodNotAllowed(
        f'{verb} is not supported on resources of kind "{resource.group_resource}"',
        details={key: value for key, value in details.items() if value},
    )


def _check_built_in(asked: request.Request, resource: resources.Resource) -> None:
    allowed = methods(asked.info, resource)
    if not allowed:
        raise not_found()
    if asked.method not in allowed:
        raise not_allowed()
    if asked.method == "PATCH" and asked.info.subresource != "proxy":
        essence = asked.header("content-type").partition(";")[0].strip()
        if essence not in negotiation.BUILT_IN_PATCHES:
            raise errors.UnsupportedMediaType("415: Unsupported Media Type", details={})
    given = _given(asked.info)
    if not _acceptable(asked.header("accept"), given):
        listed = ", ".join(given)
        raise errors.NotAcceptable(f"406: Not Acceptable\n\nAvailable representations: {listed}", details={})


def methods(info: request.RequestInfo, resource: resources.Resource) -> frozenset[str]:
    """The methods of a path of a built-in type; none where there is no such path."""
    verbs, depth = resource.verbs, len(info.parts)
    below = bool(info.namespace) and resource.group_resource != "namespaces"
    if info.verb == "proxy" or (below and not resource.namespaced):
        return frozenset()
    across = resource.namespaced and not below
    if info.api_watch:
        watched = "watch" in verbs and (depth == 1 or (depth == 2 and not across))
        return frozenset(("GET",) if watched else ())
    if across:
        return frozenset(("GET",) if depth == 1 and "list" in verbs else ())
    if depth < 3:
        return _methods(verbs, _COLLECTION if depth == 1 else _ITEM)
    declared = resource.subresources.get(info.subresource)
    if declared is None or (depth > 3 and info.subresource != "proxy"):
        return frozenset()
    return _PROXIED if info.subresource == "proxy" else _methods(declared.verbs, _PART)


@functools.lru_cache(maxsize=256)
def _methods(verbs: tuple[str, ...], table: tuple[tuple[str, str], ...]) -> frozenset[str]:
    return frozenset(method for verb, method in table if verb in verbs)


def _given(info: request.RequestInfo) -> tuple[str, ...]:
    """The media types a route answers with."""
    if info.subresource in _CONNECTIONS:
        return (_ANY,)
    if info.subresource == "log":
        return ("text/plain", *_OBJECTS)
    return (*_OBJECTS, *_STREAMS) if info.verb in ("list", "watch") else _OBJECTS


@functools.lru_cache(maxsize=1024)
def _acceptable(accept: str, given: tuple[str, ...]) -> bool:
    """Whether one of the media ranges is given to the letter; parameters, qualities and ``type/*`` do not count."""
    if not accept:
        return True
    named = {clause.partition(";")[0].strip() for clause in accept.split(",")}
    return _ANY in named or _ANY in given or not named.isdisjoint(given)


def _check_custom(info: request.RequestInfo, resource: resources.Resource) -> None:
    if resource.namespaced is not bool(info.namespace) and (info.namespace or info.verb not in ("list", "watch")):
        raise NoPath
    if info.subresource:
        declared = resource.subresources.get(info.subresource)
        if declared is None:
            raise errors.not_found(resource.group, resource.plural, info.name)
        if info.verb not in declared.verbs:
            raise not_supported(resource, info.verb)
    elif info.verb not in resource.verbs:
        raise not_supported(resource, info.verb)
    elif info.verb in ("update", "patch") and not info.name:
        raise errors.BadRequest("name must be provided")
