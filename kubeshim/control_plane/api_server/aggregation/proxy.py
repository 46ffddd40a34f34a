"""Requests for a group-version of another server: passed on as they are, in the name of the user we know.

Refusals of the way there are plain text with 503, as upstream's; all else is the other server's own answer. Watches
are streams like any body; upgrades (consoles of virtual machines, say) become a pipe.
"""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import gevent

from kubeshim.control_plane.api_server import filters, request, response
from kubeshim.control_plane.api_server.aggregation import backend, endpoints
from kubeshim.control_plane.api_server.aggregation import registration as registrations
from kubeshim.control_plane.api_server.subresources import outgoing, pipes, pod_streams
from kubeshim.control_plane.api_server.subresources import proxy as proxies

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

_OURS = frozenset(("audit-id", "host"))


def handle(
    asked: request.Request, server: "servers.Server", registration: registrations.Registration
) -> request.Response:
    """The request has been authenticated and authorized."""
    if not registration.available:
        return unavailable("service unavailable")
    try:
        address = endpoints.find(server, registration)
    except endpoints.NoEndpoint:
        server.aggregation.look_again(registration.name)
        return unavailable("service unavailable")
    upgrading = pod_streams.is_upgrade(asked)
    exchange: outgoing.Exchange | None = None
    try:
        exchange = backend.connect(server, registration, address)
        # From here on a client that leaves takes the other server's connection with it.
        if not upgrading:
            pipes.close_when_gone(asked, exchange)
        with _time_limit(asked, server):
            _send(asked, exchange, address, upgrading)
            exchange.read_head()
    except OSError as problem:
        if exchange is not None:
            exchange.close()
        server.aggregation.look_again(registration.name)
        return unavailable(f"error trying to reach service: {problem}")
    if exchange.status == 101 and upgrading:
        return request.Response(101, takeover=pipes.takeover(exchange))
    return _answer(exchange)


def unavailable(text: str) -> request.Response:
    return response.plain(503, text)


@contextlib.contextmanager
def _time_limit(asked: request.Request, server: "servers.Server") -> Iterator[None]:
    """For the head of the answer; a watch may begin as late as it likes."""
    if filters.is_long_running(asked.info):
        yield
        return
    with gevent.Timeout(server.config.request_timeout, TimeoutError("context deadline exceeded")):
        yield


def _send(asked: request.Request, exchange: outgoing.Exchange, address: tuple[str, int], upgrading: bool) -> None:
    assert asked.user is not None
    headers, body, chunked = proxies.request_parts(asked, upgrading)
    headers = [(name, value) for name, value in headers if name.lower() not in _OURS]
    headers += [("Host", backend.shown(address)), ("Audit-Id", asked.audit_id), *backend.user_headers(asked.user)]
    target = str(asked.environ.get("RAW_URI") or asked.path).partition("?")[0]
    query = asked.environ.get("QUERY_STRING", "")
    exchange.send(asked.method, target + (f"?{query}" if query else ""), headers, body, chunked=chunked)


def _answer(exchange: outgoing.Exchange) -> request.Response:
    dropped = proxies.HOP_BY_HOP | {name.strip().lower() for name in exchange.header("connection").split(",")}
    headers = [
        (name, value)
        for name, value in exchange.headers
        if name.lower() not in dropped and name.lower() not in _OURS and not name.lower().startswith("access-control-")
    ]
    if not exchange.has_body:
        exchange.close()
        return request.Response(exchange.status, headers, b"")
    return request.Response(exchange.status, headers, exchange.body())
