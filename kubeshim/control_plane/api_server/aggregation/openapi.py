"""OpenAPI of other servers: v3 documents are passed on, v2 is fetched and merged when somebody asks for all of it."""

import logging
from typing import TYPE_CHECKING, Any

import orjson

from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server.aggregation import backend, endpoints, proxy, swagger

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

_log = logging.getLogger(__name__)


def v3_document(asked: request.Request, server: "servers.Server", path: str) -> request.Response | None:
    """The document of a group-version (``apis/GROUP/VERSION``) from who serves it."""
    _, group, version = path.split("/")
    registration = server.aggregation.remote.get((group, version))
    return None if registration is None else proxy.handle(asked, server, registration)


def v2_documents(server: "servers.Server") -> dict[str, bytes]:
    """The whole documents of those who have one, by their group-version's path."""
    found = {}
    for registration in list(server.aggregation.remote.values()):
        if not registration.available:
            continue
        try:
            address = endpoints.find(server, registration)
            status, body = backend.fetch(server, registration, address, "/openapi/v2")
        except (endpoints.NoEndpoint, backend.Unreachable) as problem:
            _log.warning("no OpenAPI v2 of %s: %s", registration.name, problem)
            continue
        if status == 200:
            found[registration.path] = body
    return found


def merged(ours: dict[str, Any], theirs: dict[str, bytes]) -> dict[str, Any]:
    """Ours with what others serve; what is no document is left out."""
    for prefix, body in theirs.items():
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError:
            continue
        if isinstance(document, dict):
            ours = swagger.merge(ours, document, prefix)
    return ours
