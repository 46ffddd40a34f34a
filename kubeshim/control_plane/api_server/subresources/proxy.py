"""The proxy subresource of pods, services and nodes: any method, bodies streamed both ways, upgrades passed through.

``/api/v1/namespaces/NS/services/https:web:443/proxy/a/b?c`` asks the service's endpoint for ``/a/b?c``. Credentials
stay here; the backend learns where it was called from by ``X-Forwarded-*``.
"""

import functools
import posixpath
import ssl
import zlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any
from urllib import parse

from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server.subresources import (
    kubelets,
    outgoing,
    pipes,
    pod_streams,
    proxy_rewrite,
    proxy_targets,
)
from kubeshim.machinery import errors

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

HOP_BY_HOP = frozenset(
    ("connection", "proxy-connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer",
     "transfer-encoding", "upgrade")
)  # fmt: skip
_PLAIN = "/$&+,:;=@"
"""What Go leaves as it is in paths, beside letters, digits and ``-_.~``."""
_KEPT_BACK = ("authorization", "x-remote-", "impersonate-")
_CHUNK = 64 << 10
_HTML_LIMIT = 16 << 20


class Proxy:
    """For one of ``pods``, ``services``, ``nodes``."""

    def __init__(self, plural: str) -> None:
        self._plural = plural

    def handle(self, asked: request.Request, server: "servers.Server") -> request.Response:
        info = asked.info
        prefix, path = split_path(asked)
        pod_streams.admit_connect(asked, server, {"apiVersion": "v1", "kind": _OPTIONS[self._plural], "path": path})
        upgrading = pod_streams.is_upgrade(asked)
        if upgrading:
            pod_streams.ensure_may_create(asked, server)
        if not path and not upgrading and asked.method in ("GET", "HEAD"):
            # A page at a path without a slash would resolve its relative links one level too high.
            query = asked.environ.get("QUERY_STRING", "")
            location = prefix + "/" + (f"?{query}" if query else "")
            return request.Response(301, [("Location", location)], b"")
        target = proxy_targets.find(server, self._plural, info.namespace, info.name, insecure())
        return _forward(asked, target, prefix, path or "/", upgrading)


_OPTIONS = {"pods": "PodProxyOptions", "services": "ServiceProxyOptions", "nodes": "NodeProxyOptions"}


@functools.cache
def insecure() -> ssl.SSLContext:
    """Pods and services bring certificates of their own making."""
    return outgoing.client_tls(verify=False)


def split_path(asked: request.Request) -> tuple[str, str]:
    """(the path up to and with ``proxy``, what follows).

    What follows is read, cleaned and written anew, as upstream does: many clients escape the slashes of a path they put
    into another one (``proxy/a%2Fb``), and the backend is asked for ``/a/b``.
    """
    raw = str(asked.environ.get("RAW_URI") or asked.path).partition("?")[0]
    segments = raw.split("/")
    index = segments.index("proxy", segments.index(asked.info.resource) + 2)
    prefix, rest = "/".join(segments[: index + 1]), segments[index + 1 :]
    if not rest:
        return prefix, ""
    said = b"/" + parse.unquote_to_bytes("/".join(rest)).lstrip(b"/")
    path = posixpath.normpath(said)
    if said.endswith(b"/") and path != b"/":
        path += b"/"
    return prefix, parse.quote_from_bytes(path, safe=_PLAIN)


def _forward(
    asked: request.Request, target: proxy_targets.Target, prefix: str, path: str, upgrading: bool
) -> request.Response:
    query = asked.environ.get("QUERY_STRING", "")
    try:
        exchange = outgoing.Exchange(outgoing.connect(target.host, target.port, target.tls))
    except OSError as problem:
        raise _unreachable(target, problem) from problem
    # From here on a client that leaves takes the backend's connection with it.
    if not upgrading:
        pipes.close_when_gone(asked, exchange)
    try:
        headers, body, chunked = request_parts(asked, upgrading)
        exchange.send(asked.method, path + (f"?{query}" if query else ""), headers, body, chunked=chunked)
        exchange.read_head()
    except OSError as problem:
        exchange.close()
        raise _unreachable(target, problem) from problem
    if exchange.status == 101 and upgrading:
        return request.Response(101, takeover=pipes.takeover(exchange))
    return _answer(exchange, target, prefix, path)


def _unreachable(target: proxy_targets.Target, problem: OSError) -> errors.ServiceUnavailable:
    return errors.ServiceUnavailable(f"error trying to reach service: {kubelets.dial_error(target.authority, problem)}")


def request_parts(asked: request.Request, upgrading: bool) -> tuple[list[tuple[str, str]], Iterable[bytes], bool]:
    """Headers, body, and whether the body is sent in chunks."""
    listed: list[tuple[str, str]] = list(asked.environ.get("wire.header_list") or asked.headers.items())
    dropped = HOP_BY_HOP | {name.strip().lower() for name in asked.header("connection").split(",")}
    headers = [
        (name, value)
        for name, value in listed
        if name not in dropped
        and not name.startswith(_KEPT_BACK)
        and name not in ("expect", "content-length", "x-forwarded-for", "sec-websocket-protocol")
    ]
    if not asked.header("host"):
        headers.append(("host", "localhost"))
    connection = asked.environ.get("wire.connection")
    forwarded = [asked.header("x-forwarded-for"), getattr(connection, "remote", "")]
    headers += [
        ("X-Forwarded-For", ", ".join(filter(None, forwarded))),
        ("X-Forwarded-Host", asked.header("host")),
        ("X-Forwarded-Proto", str(asked.environ.get("wsgi.url_scheme", "https"))),
        ("X-Forwarded-Uri", str(asked.environ.get("RAW_URI") or asked.path).partition("?")[0]),
    ]
    headers.append(("Connection", "Upgrade" if upgrading else "close"))
    if upgrading:
        headers += [("Upgrade", asked.header("upgrade"))]
    headers += [one for one in pod_streams.upgrade_headers(asked) if one[0] == "Sec-WebSocket-Protocol"]
    if asked.body:
        return [*headers, ("Content-Length", str(len(asked.body)))], [asked.body], False
    if asked.header("transfer-encoding"):
        return [*headers, ("Transfer-Encoding", "chunked")], _stream(asked), True
    if asked.header("content-length"):
        return [*headers, ("Content-Length", asked.header("content-length"))], _stream(asked), False
    return headers, (), False


def _stream(asked: request.Request) -> Iterator[bytes]:
    """The request's body as it comes, of any size."""
    source: Any = asked.environ["wsgi.input"]
    source.limit = None
    while part := source.read(_CHUNK):
        yield part


def _answer(exchange: outgoing.Exchange, target: proxy_targets.Target, prefix: str, path: str) -> request.Response:
    def rewrite(text: str) -> str:
        return proxy_rewrite.url(text, source_host=target.authority, source_path=path, prefix=prefix)

    dropped = HOP_BY_HOP | {name.strip().lower() for name in exchange.header("connection").split(",")}
    headers = [
        (name, rewrite(value) if name.lower() == "location" else value)
        for name, value in exchange.headers
        if name.lower() not in dropped and not name.lower().startswith("access-control-")
    ]
    if exchange.header("content-type").startswith("text/html") and exchange.has_body:
        return _rewritten(exchange, headers, rewrite)
    if not exchange.has_body:
        exchange.close()
        return request.Response(exchange.status, headers, b"")
    return request.Response(exchange.status, headers, exchange.body())


def _rewritten(exchange: outgoing.Exchange, headers: list[tuple[str, str]], rewrite: Any) -> request.Response:
    """An HTML page: read as a whole, unpacked if need be. What cannot be unpacked passes as it is."""
    encoding = exchange.header("content-encoding").lower()
    if encoding not in ("", "identity", "gzip", "deflate"):
        return request.Response(exchange.status, headers, exchange.body())
    parts, size = [], 0
    body = exchange.body()
    for part in body:
        parts.append(part)
        size += len(part)
        if size > _HTML_LIMIT:
            return request.Response(exchange.status, headers, _rest(parts, body))
    document = b"".join(parts)
    try:
        if encoding in ("gzip", "deflate"):
            document = zlib.decompress(document, zlib.MAX_WBITS | 32)
    except zlib.error:
        return request.Response(exchange.status, headers, document)
    kept = [(name, value) for name, value in headers if name.lower() not in ("content-length", "content-encoding")]
    return request.Response(exchange.status, kept, proxy_rewrite.html(document, rewrite))


def _rest(parts: list[bytes], body: Iterator[bytes]) -> Iterator[bytes]:
    yield from parts
    yield from body


PODS, SERVICES, NODES = Proxy("pods"), Proxy("services"), Proxy("nodes")
