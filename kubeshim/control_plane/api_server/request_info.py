"""From method, path and query to what is asked: upstream's ``RequestInfo`` rules.

    /api/v1/namespaces/NS/pods/NAME/log        get      pods/log
    /apis/apps/v1/watch/deployments            watch    deployments     (the deprecated form)
    /api/v1/namespaces/NS/services/NAME/proxy/a/b  METHOD's verb, services/proxy, parts keep a and b
    /api/v1/namespaces/NS                      get      namespaces NS; its namespace is NS, too
    /api/v1/pods?fieldSelector=metadata.name=X list     … and the name is X, for authorization

Whatever does not look like a resource is a non-resource request whose verb is the lower-cased method.
"""

from collections.abc import Mapping

from kubeshim.control_plane.api_server import request
from kubeshim.machinery import selectors

_VERBS = {"POST": "create", "GET": "get", "HEAD": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_NAMESPACE_SUBRESOURCES = {"status", "finalize"}
_SPECIAL = {"proxy", "watch"}
_UNDETERMINED = "unable to determine kind and namespace from url"


def parse(method: str, path: str, query: Mapping[str, list[str]]) -> request.RequestInfo:
    """Never fails: what makes no sense is a non-resource request."""
    plain = request.RequestInfo(path, method.lower())
    parts = path.strip("/").split("/")
    if len(parts) < 3:
        return plain
    prefix = parts[0]
    if prefix == "apis":
        group, rest = parts[1], parts[2:]
        if len(rest) < 2:
            return plain
    elif prefix == "api":
        group, rest = "", parts[1:]
    else:
        return plain
    version, rest = rest[0], rest[1:]
    verb = _VERBS.get(method, "")
    special = rest[0] if rest and rest[0] in _SPECIAL else ""
    if special:
        if len(rest) < 2:
            return request.RequestInfo(path, verb, malformed=f"{_UNDETERMINED}, {path}")
        verb, rest = special, rest[1:]
    namespace, rest = _namespace(rest)
    if not rest or not rest[0]:
        return plain
    resource = rest[0]
    name = rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 and verb != "proxy" else ""
    if not name and verb == "get":
        verb, name = _list_or_watch(query)
    elif not name and verb == "delete":
        verb = "deletecollection"
    return request.RequestInfo(
        path, verb, True, prefix, group, version, namespace, resource, subresource, name, tuple(rest),
        api_watch=special == "watch",
    )  # fmt: skip


def _namespace(rest: list[str]) -> tuple[str, list[str]]:
    """``namespaces/NS/pods/X`` → ``NS, [pods, X]``; a namespace itself stays a resource in itself."""
    if not rest or rest[0] != "namespaces":
        return "", rest
    if len(rest) < 2:
        return "", rest
    if len(rest) > 2 and rest[2] not in _NAMESPACE_SUBRESOURCES:
        return rest[1], rest[2:]
    return rest[1], rest


def _list_or_watch(query: Mapping[str, list[str]]) -> tuple[str, str]:
    """The verb of a GET of a collection, and the one name its field selector asks for."""
    verb = "watch" if is_true(query.get("watch", [""])[0]) and "watch" in query else "list"
    name = ""
    selector = query.get("fieldSelector")
    if selector and selector[0]:
        try:
            name = selectors.parse_fields(selector[0]).exact("metadata.name") or ""
        except selectors.SelectorError:
            name = ""
    return verb, name


def is_true(text: str) -> bool:
    """A boolean query parameter as upstream reads it: present and not ``false`` or ``0``."""
    return text.lower() not in ("false", "0")
