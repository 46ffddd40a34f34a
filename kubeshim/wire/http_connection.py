"""One client's connection, and the body of the request it is sending."""

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kubeshim.wire import http_message
from kubeshim.wire import transport as transports

if TYPE_CHECKING:
    from kubeshim.wire import http_server

_READ = 64 << 10
_DRAIN_LIMIT = 16 << 20
"""An unread request body is read and dropped up to this size, because many clients look for the answer only after they
have sent all of it, and closing at once would take the answer from them."""
_DRAIN_TIMEOUT = 5.0
_EARLY_LIMIT = 256 << 10
_ONE_SEND = 16 << 10
"""Bytes that fit one TLS record, and surely the socket of a client that reads."""


class BodyTooLarge(Exception):
    """The request's body is larger than ``limit`` bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"request body larger than {limit} bytes")
        self.limit = limit


class ClientGone(OSError):
    """The client closed the connection in the middle of its request."""


class Connection:
    """One client's connection, as the application sees it."""

    def __init__(self, server: "http_server.Server", sock: transports.Socket, address: Any, local_port: int) -> None:
        self.server = server
        self.socket = sock
        self.remote: str = address[0] if isinstance(address, tuple) else ""
        self.remote_port: int = address[1] if isinstance(address, tuple) else 0
        self.local_port = local_port
        self.deadline = math.inf
        self.busy = False
        self.hijacked = False
        self.gone = False
        self.cache: dict[str, Any] = {}
        """What an application wants to remember for as long as the connection lasts (who its certificate names)."""
        self.parser = http_message.Parser()
        self._certificate: bytes | None = None
        self._certificate_known = False
        self._gone_callbacks: list[Callable[[], None]] = []
        self._stop_watching: Callable[[], None] | None = None
        self._early = b""
        self.request: http_message.Incoming | None = None
        """The request being answered."""

    def peer_certificate(self) -> bytes | None:
        """The client's verified certificate in DER, or None."""
        if not self._certificate_known:
            get = getattr(self.socket, "getpeercert", None)
            self._certificate = get(binary_form=True) if get else None
            self._certificate_known = True
        return self._certificate

    def on_gone(self, callback: Callable[[], None]) -> None:
        """Has ``callback`` called when the client leaves before this response is complete.

        It is called once, from a greenlet or thread of its own; it must only hand over.
        """
        if self.gone:
            callback()
            return
        self._gone_callbacks.append(callback)
        self.watch()

    def watch(self) -> None:
        """Looks for the client's leaving, if anybody wants to know and the request has been read: not before, because
        watching takes what the client sends."""
        if not self._gone_callbacks or self._stop_watching is not None:
            return
        if self.request is not None and not self.request.complete:
            return
        transport = self.server.transport
        self._stop_watching = transport.when_gone(self.socket, self._has_gone, self._came_early)

    def _has_gone(self) -> None:
        self.gone = True
        for callback in self._gone_callbacks:
            callback()

    def _came_early(self, data: bytes) -> None:
        self._early += data
        if len(self._early) > _EARLY_LIMIT:
            self.abort()

    def end_watching(self) -> None:
        """The response is complete: reading is the server's again."""
        self._gone_callbacks = []
        if self._stop_watching is not None:
            self._stop_watching()
            self._stop_watching = None

    def hijack(self) -> tuple[transports.Socket, bytes]:
        """Takes the connection out of the server: its socket and what was read beyond the request.

        The socket is the caller's to close; the server writes nothing more.
        """
        self.end_watching()
        self.hijacked = True
        self.deadline = math.inf
        buffered = (self.parser.upgraded or b"") + self._early
        self._early = b""
        return self.socket, buffered

    def abort(self) -> None:
        """Cuts the connection; whoever waits on it finds it closed."""
        self.server.transport.abort(self.socket)

    def read(self) -> bytes:
        """Whatever comes next; empty at the end."""
        if self._early:
            data, self._early = self._early, b""
            return data
        try:
            data = self.socket.recv(_READ)
        except OSError:
            return b""
        return data  # type: ignore[no-any-return]

    def write(self, data: bytes) -> None:
        """Raises OSError where the client does not take it."""
        self.deadline = time.monotonic() + self.server.limits.write_timeout
        if len(data) <= _ONE_SEND:
            # Nearly always the kernel takes it whole, and ``sendall`` costs as much again as the sending.
            sent = self.socket.send(data)
            if sent < len(data):
                self.socket.sendall(data[sent:])
        else:
            self.socket.sendall(data)
        self.deadline = math.inf


class Body:
    """``wsgi.input``: what was read of the body, and the rest from the socket on demand."""

    __slots__ = ("_connection", "_expect", "_message", "limit")

    def __init__(self, connection: Connection, message: http_message.Incoming, expect: bool) -> None:
        self._connection = connection
        self._message = message
        self._expect = expect
        self.limit: int | None = connection.server.limits.max_body_bytes
        """None lifts the limit: for who streams the body on."""

    def read(self, size: int = -1) -> bytes:
        """All of the body, or up to ``size`` bytes of it; empty at its end."""
        message = self._message
        self._check()
        if size < 0:
            while not message.complete:
                self.fill()
            data = message.chunks[0] if len(message.chunks) == 1 else b"".join(message.chunks)
            message.chunks = []
            return data
        while not message.chunks and not message.complete:
            self.fill()
        if not message.chunks:
            return b""
        data = message.chunks.pop(0)
        if len(data) > size:
            message.chunks.insert(0, data[size:])
            data = data[:size]
        return data

    def fill(self) -> None:
        connection = self._connection
        if self._expect:
            self._expect = False
            connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if connection.deadline is math.inf or self.limit is None:
            connection.deadline = time.monotonic() + connection.server.limits.body_timeout
        data = connection.read()
        if not data:
            raise ClientGone("the client closed the connection while sending its request")
        connection.parser.feed(data)
        if self._message.complete:
            connection.deadline = math.inf
            connection.watch()
        self._check()

    def _check(self) -> None:
        if self.limit is None:
            return
        message = self._message
        if message.size > self.limit:
            raise BodyTooLarge(self.limit)
        if not message.complete and not message.size:
            length = message.header(b"content-length")
            if length and int(length) > self.limit:
                raise BodyTooLarge(self.limit)

    def drain(self) -> bool:
        """Reads what is left so that the next request can follow; False where that is too much."""
        message = self._message
        if message.complete:
            return True
        if self._expect:
            return False
        self.limit = message.size + _DRAIN_LIMIT
        end = time.monotonic() + _DRAIN_TIMEOUT
        try:
            while not message.complete and time.monotonic() < end:
                self.fill()
                message.chunks = []
        except (BodyTooLarge, OSError, http_message.Malformed):
            return False
        return message.complete

    def readline(self, size: int = -1) -> bytes:
        whole = self.read()
        cut = whole.find(b"\n") + 1 or len(whole)
        if 0 <= size < cut:
            cut = size
        if whole[cut:]:
            self._message.chunks = [whole[cut:]]
        return whole[:cut]

    def readlines(self, hint: int = -1) -> list[bytes]:
        return self.read().splitlines(keepends=True)

    def __iter__(self) -> Any:
        return iter(self.readlines())
