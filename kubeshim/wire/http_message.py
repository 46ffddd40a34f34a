"""One HTTP/1.1 request as it comes in: fed with bytes, free of sockets.

``Parser`` wraps httptools: it is fed what was read and queues requests as soon as their headers are complete; bodies
grow while they are being read. Sizes are counted here; who reads the socket enforces them.
"""

from collections import deque
from typing import Any
from urllib import parse

import httptools

_NAMES: dict[bytes, tuple[str, str]] = {}
"""Header name as sent → (lower-cased, WSGI's name); bounded because clients choose the names."""
_NAMES_LIMIT = 512


class Malformed(Exception):
    """What was read is not HTTP."""


class Incoming:
    """A request whose headers are complete; ``chunks`` hold as much of the body as was read and not yet taken."""

    __slots__ = ("chunks", "complete", "headers", "keep_alive", "method", "size", "target", "upgrade", "version")

    def __init__(self) -> None:
        self.method = ""
        self.target = b""
        self.version = "1.1"
        self.headers: list[tuple[bytes, bytes]] = []
        self.keep_alive = True
        self.upgrade = False
        self.chunks: list[bytes] = []
        self.size = 0
        """Bytes of body read so far."""
        self.complete = False

    def header(self, name: bytes) -> bytes:
        """The first header of that (lower-case) name, or nothing."""
        for given, value in self.headers:
            if given.lower() == name:
                return value
        return b""


class Parser:
    """Bytes in, ``Incoming`` out."""

    def __init__(self) -> None:
        self.ready: deque[Incoming] = deque()
        self.header_bytes = 0
        """Bytes fed since the last request's headers were complete."""
        self.in_message = False
        self._parser = httptools.HttpRequestParser(self)
        self._current = Incoming()
        self._reading: Incoming | None = None
        self.upgraded: bytes | None = None
        """What came after a request that asks for an upgrade; no more is parsed until ``resume``."""

    def feed(self, data: bytes) -> None:
        """Raises ``Malformed``."""
        if self.upgraded is not None:
            self.upgraded += data
            return
        self.header_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self.upgraded = data[upgrade.args[0] :]
        except httptools.HttpParserError as error:
            raise Malformed(str(error)) from error
        if self._reading is not None or not self.in_message:
            self.header_bytes = 0

    def resume(self) -> None:
        """Goes on with HTTP where an upgrade was asked for and not granted."""
        rest, self.upgraded = self.upgraded or b"", None
        self._parser = httptools.HttpRequestParser(self)
        if rest:
            self.feed(rest)

    def on_message_begin(self) -> None:
        self._current = Incoming()
        self.in_message = True

    def on_url(self, url: bytes) -> None:
        self._current.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._current.headers.append((name, value))

    def on_headers_complete(self) -> None:
        message = self._current
        parser = self._parser
        message.method = parser.get_method().decode("ascii")
        message.version = parser.get_http_version()
        message.keep_alive = parser.should_keep_alive()
        message.upgrade = parser.should_upgrade()
        self._reading = message
        self.ready.append(message)

    def on_body(self, body: bytes) -> None:
        assert self._reading is not None
        self._reading.chunks.append(body)
        self._reading.size += len(body)

    def on_message_complete(self) -> None:
        assert self._reading is not None
        self._reading.complete = True
        self._reading = None
        self.in_message = False


def names(name: bytes) -> tuple[str, str]:
    """``b"Content-Type"`` → ``("content-type", "CONTENT_TYPE")``, ``b"Accept"`` → ``("accept", "HTTP_ACCEPT")``."""
    known = _NAMES.get(name)
    if known is None:
        lower = name.decode("latin-1").lower()
        upper = lower.upper().replace("-", "_")
        known = (lower, upper if upper in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + upper)
        if len(_NAMES) < _NAMES_LIMIT:
            _NAMES[name] = known
    return known


def fill_environ(message: Incoming, environ: dict[str, Any]) -> None:
    """Adds the request's part of a WSGI environ. Raises ``Malformed`` for a target that is no path.

    Besides WSGI's keys: ``wire.headers`` (lower-case name → value, repeated ones joined by ``", "``),
    ``wire.header_list`` (as sent, for headers whose repetition matters) and ``RAW_URI``.
    """
    target = message.target.decode("latin-1")
    path, _, query = target.partition("?")
    if not path.startswith("/"):
        scheme, marker, rest = path.partition("://")
        if not marker or scheme.lower() not in ("http", "https"):
            raise Malformed("the request target is not a path")
        path = "/" + rest.partition("/")[2]
    environ["REQUEST_METHOD"] = message.method
    environ["RAW_URI"] = target
    environ["PATH_INFO"] = parse.unquote_to_bytes(path).decode("latin-1") if "%" in path else path
    environ["QUERY_STRING"] = query
    environ["SERVER_PROTOCOL"] = "HTTP/" + message.version
    headers: dict[str, str] = {}
    listed: list[tuple[str, str]] = []
    for raw_name, raw_value in message.headers:
        lower, key = names(raw_name)
        value = raw_value.decode("latin-1")
        listed.append((lower, value))
        if lower in headers:
            value = f"{headers[lower]}, {value}"
        headers[lower] = value
        # A name with an underscore could pass for another header's WSGI name.
        if "_" not in lower:
            environ[key] = value
    environ["wire.headers"] = headers
    environ["wire.header_list"] = listed
