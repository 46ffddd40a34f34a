"""One HTTP/1.1 exchange with a kubelet, a pod or a service: on gevent's sockets, streamed both ways.

A connection is used once and closed: what goes this way is rare and long. After a 101 the socket belongs to the
caller, with ``rest`` being what was read beyond the head.
"""

import re
import ssl
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import httptools
from gevent import socket as gevent_socket

from kubeshim.wire import transport

CONNECT_TIMEOUT = 10.0
_READ = 64 << 10
_HEAD_LIMIT = 256 << 10
_INFORMATIONAL = range(100, 200)
_HEAD_END = re.compile(rb"\r?\n\r?\n")
"""Bare line feeds are taken as well (RFC 9112, 2.2): CGI programs write them."""


class BadAnswer(OSError):
    """The other side closed early, or what it says is not HTTP."""


def connect(host: str, port: int, tls: ssl.SSLContext | None = None, name: str = "") -> Any:
    """A connected socket; with ``tls``, the certificate must be for ``name`` (default: the host). Raises OSError."""
    sock = gevent_socket.create_connection((host, port), timeout=CONNECT_TIMEOUT)
    try:
        sock.setsockopt(gevent_socket.IPPROTO_TCP, gevent_socket.TCP_NODELAY, 1)
        for option in transport.KEEPALIVE:
            sock.setsockopt(*option)
        if tls is not None:
            sock = tls.wrap_socket(sock, server_hostname=name or host)
        sock.settimeout(None)
    except BaseException:
        sock.close()
        raise
    return sock


def client_tls(ca: str = "", certificate: str = "", key: str = "", *, verify: bool = True) -> ssl.SSLContext:
    """A client's context for gevent's sockets. ``verify=False`` is for backends nobody vouches for."""
    import gevent.ssl

    context: ssl.SSLContext = gevent.ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if verify:
        context.load_verify_locations(ca)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate:
        context.load_cert_chain(certificate, key)
    return context


class Exchange:
    """A request sent and its response being read."""

    def __init__(self, sock: Any) -> None:
        self.socket = sock
        self.status = 0
        self.reason = ""
        self.headers: list[tuple[str, str]] = []
        self.head = b""
        """The head as it came."""
        self.rest = b""
        self._method = ""
        self._parser: Any = None
        self._chunks: list[bytes] = []
        self._complete = False

    # --- sending --------------------------------------------------------------------------------------------------

    def send(
        self,
        method: str,
        target: str,
        headers: Sequence[tuple[str, str]],
        body: Iterable[bytes] = (),
        *,
        chunked: bool = False,
    ) -> None:
        """Sends a whole request. Unless ``chunked``, the headers say how long the body is. Raises OSError."""
        self._method = method
        lines = [
            f"{method} {target} HTTP/1.1\r\n",
            *(f"{name.title()}: {value}\r\n" for name, value in headers),
            "\r\n",
        ]
        self.socket.sendall("".join(lines).encode("latin-1"))
        for part in body:
            if part:
                self.socket.sendall(b"%x\r\n%b\r\n" % (len(part), part) if chunked else part)
        if chunked:
            self.socket.sendall(b"0\r\n\r\n")

    # --- receiving ------------------------------------------------------------------------------------------------

    def read_head(self) -> None:
        """Reads up to the response's head, passing over 100 and 103. Raises OSError."""
        while True:
            self._read_one_head()
            if self.status == 101 or self.status not in _INFORMATIONAL:
                return

    def _read_one_head(self) -> None:
        data = self.rest
        while (end := _HEAD_END.search(data)) is None:
            if len(data) > _HEAD_LIMIT:
                raise BadAnswer("the head of the response is too long")
            more = self.socket.recv(_READ)
            if not more:
                raise BadAnswer("EOF" if not data else "unexpected EOF")
            data += more
        # the parser, which reads this head again for the body, insists on CRLF
        first, *lines = re.split("\r?\n", data[: end.start()].decode("latin-1"))
        self.head, self.rest = "\r\n".join([first, *lines, "", ""]).encode("latin-1"), data[end.end() :]
        version, _, status = first.partition(" ")
        code, _, self.reason = status.partition(" ")
        if not version.startswith("HTTP/1.") or not code.isdecimal():
            raise BadAnswer(f"malformed HTTP response {first[:60]!r}")
        self.status = int(code)
        self.headers = []
        for line in lines:
            name, colon, value = line.partition(":")
            if colon:
                self.headers.append((name, value.strip()))

    def header(self, name: str) -> str:
        """The first header of that name (lower case), or ``""``."""
        return next((value for given, value in self.headers if given.lower() == name), "")

    @property
    def has_body(self) -> bool:
        return self._method != "HEAD" and self.status not in (204, 304) and self.status not in _INFORMATIONAL

    def body(self) -> Iterator[bytes]:
        """The body as it comes, chunked coding removed; closes the socket at its end."""
        try:
            if self.has_body:
                yield from self._body()
        finally:
            self.close()

    def _body(self) -> Iterator[bytes]:
        parser = httptools.HttpResponseParser(self)
        data = self.head + self.rest
        while True:
            try:
                parser.feed_data(data)
            except httptools.HttpParserError as problem:
                raise BadAnswer(str(problem)) from problem
            yield from self._taken()
            if self._complete:
                return
            data = self.socket.recv(_READ)
            if not data:
                # Without a length the end of the connection is the end of the body; otherwise it was cut off.
                if self.header("content-length") or "chunked" in self.header("transfer-encoding").lower():
                    raise BadAnswer("unexpected EOF")
                return

    def _taken(self) -> list[bytes]:
        chunks, self._chunks = self._chunks, []
        return chunks

    def on_body(self, data: bytes) -> None:
        """httptools' callback."""
        self._chunks.append(data)

    def on_message_complete(self) -> None:
        """httptools' callback."""
        self._complete = True

    def close(self) -> None:
        """May be called from another greenlet: whoever reads finds the connection closed."""
        transport.GEVENT.abort(self.socket)
        self.socket.close()
