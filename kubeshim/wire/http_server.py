"""An HTTP/1.1 server for WSGI applications over sockets it is given, with what a Kubernetes API needs.

A connection is one greenlet or thread: TLS handshake, then request after request. The application runs as soon as
the headers are in; ``wsgi.input`` reads the rest of the body when asked, so a body nobody may send is never read,
and ``Expect: 100-continue`` is answered by the first read. A response that is a list of one ``bytes`` goes out in one
piece with its length, anything else as a stream: chunked, each item flushed as it comes.

``environ["wire.connection"]`` is the ``Connection``: the client's certificate, whether the client has gone, and
``hijack`` for protocols that begin as HTTP.

Limits: headers at most ``max_header_bytes`` (431), bodies ``max_body_bytes`` (``wsgi.input`` raises ``BodyTooLarge``,
413 if the application lets it pass). Time limits are deadlines on the connection which one reaper looks at every
second: setting a deadline costs nothing, and nobody can hold a connection open by dripping bytes (the deadline is for
the whole handshake, header or body, not for each read). What the application does has no deadline here.

Closing: ``stop`` closes listeners and idle connections at once, gives busy ones ``grace`` seconds, then cuts them.
Listening sockets are duplicated and never shut down: another process may keep them open for who comes next.
"""

import contextlib
import dataclasses
import logging
import math
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from kubeshim.wire import http_connection, http_message, http_response
from kubeshim.wire import transport as transports

_log = logging.getLogger(__name__)

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

BodyTooLarge = http_connection.BodyTooLarge
ClientGone = http_connection.ClientGone
Connection = http_connection.Connection


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds."""

    max_header_bytes: int = 1 << 20
    max_body_bytes: int = 3 << 20
    handshake_timeout: float = 10.0
    header_timeout: float = 30.0
    body_timeout: float = 60.0
    idle_timeout: float = 180.0
    write_timeout: float = 60.0
    """For one piece of a response; a client that takes nothing for so long is cut off."""


class Server:
    """Serves ``application`` on ``sockets`` (listening already) until ``stop``."""

    def __init__(
        self, application: Application, sockets: Sequence[socket.socket], *, tls: ssl.SSLContext | None = None,
        transport: transports.Transport = transports.THREADS, limits: Limits | None = None,
        max_connections: int = 20_000,
    ) -> None:  # fmt: skip
        self.application = application
        self.transport = transport
        self.limits = limits or Limits()
        self.stopping = False
        self._tls = tls
        self._max_connections = max_connections
        self._connections: set[Connection] = set()
        self._listeners = [(transport.listen(sock), sock.getsockname()) for sock in sockets]
        self._environ: dict[str, Any] = {
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "https" if tls else "http",
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "wsgi.input_terminated": True,
            "SCRIPT_NAME": "",
        }

    def start(self) -> None:
        """Begins to accept; returns at once."""
        for listener, address in self._listeners:
            self.transport.spawn(self._accept_loop, listener, address)
        self.transport.spawn(self._reap_loop)

    def stop(self, grace: float = 5.0) -> None:
        """Stops accepting; busy connections get ``grace`` seconds to finish their response."""
        self.stopping = True
        for listener, _ in self._listeners:
            self.transport.wake(listener)
        end = time.monotonic() + grace
        while True:
            for connection in list(self._connections):  # also those that were being accepted when we began
                if not connection.busy:
                    connection.abort()
            if all(connection.hijacked for connection in list(self._connections)) or time.monotonic() >= end:
                break
            self.transport.sleep(0.01)
        for connection in list(self._connections):
            connection.abort()

    @property
    def connections(self) -> int:
        return len(self._connections)

    def _accept_loop(self, listener: transports.Socket, bound: Any) -> None:
        port = bound[1] if isinstance(bound, tuple) else 0
        while not self.stopping:
            try:
                accepted = self.transport.accept(listener, lambda: self.stopping)
            except OSError as error:
                # Out of descriptors, or a client that left before it was accepted.
                _log.warning("accept: %s", error)
                self.transport.sleep(0.05)
                continue
            if accepted is None:
                break
            sock, address = accepted
            if len(self._connections) >= self._max_connections:
                sock.close()
                continue
            self.transport.spawn(self._serve, sock, address, port)
        self.transport.close(listener)

    def _reap_loop(self) -> None:
        while not self.stopping:
            self.transport.sleep(1.0)
            now = time.monotonic()
            for connection in list(self._connections):
                if connection.deadline < now:
                    connection.abort()

    def _serve(self, sock: transports.Socket, address: Any, port: int) -> None:
        connection = Connection(self, sock, address, port)
        self._connections.add(connection)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for option in transports.KEEPALIVE:  # not once for the listener: some connections may be older than this
                sock.setsockopt(*option)
            if self._tls is not None:
                connection.deadline = time.monotonic() + self.limits.handshake_timeout
                connection.socket = self._tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
                connection.socket.do_handshake()
            while not self.stopping and self._serve_one(connection):
                pass
        except OSError:
            pass
        except Exception:
            _log.exception("connection from %s", connection.remote)
        finally:
            self._connections.discard(connection)
            connection.end_watching()
            if not connection.hijacked:
                self._close(connection)

    def _close(self, connection: Connection) -> None:
        sock = connection.socket
        if isinstance(sock, ssl.SSLSocket) or hasattr(sock, "unwrap"):
            # Tells the peer this is the end and no cut; its answer is not waited for.
            with contextlib.suppress(OSError, ValueError):
                sock.settimeout(0)
                sock.unwrap()
        with contextlib.suppress(OSError):
            sock.close()

    def _serve_one(self, connection: Connection) -> bool:
        """Reads and answers one request; whether another may follow."""
        connection.deadline = time.monotonic() + self.limits.idle_timeout
        connection.busy = False
        try:
            message = self._next(connection)
        except http_message.Malformed:
            self._refuse(connection, "400 Bad Request")
            return False
        if message is None:
            return False
        connection.busy = True
        connection.request = message
        connection.deadline = math.inf
        return self._respond(connection, message)

    def _next(self, connection: Connection) -> http_message.Incoming | None:
        parser = connection.parser
        begun = False
        while not parser.ready:
            data = connection.read()
            if not data:
                return None
            parser.feed(data)
            if not parser.ready:
                if parser.header_bytes > self.limits.max_header_bytes:
                    self._refuse(connection, "431 Request Header Fields Too Large")
                    return None
                if not begun:
                    begun = True
                    connection.deadline = time.monotonic() + self.limits.header_timeout
        message = parser.ready.popleft()
        if sum(len(name) + len(value) for name, value in message.headers) > self.limits.max_header_bytes:
            self._refuse(connection, "431 Request Header Fields Too Large")
            return None
        return message

    def _refuse(self, connection: Connection, status: str) -> None:
        text = status.encode()
        with contextlib.suppress(OSError):
            connection.write(
                b"HTTP/1.1 %b\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (text, len(text), text)
            )

    def _respond(self, connection: Connection, message: http_message.Incoming) -> bool:
        environ = dict(self._environ)
        try:
            http_message.fill_environ(message, environ)
            if message.version == "1.1" and "HTTP_HOST" not in environ:
                raise http_message.Malformed("no Host header")
        except http_message.Malformed:
            self._refuse(connection, "400 Bad Request")
            return False
        expect = not message.complete and message.header(b"expect").lower() == b"100-continue"
        body = http_connection.Body(connection, message, expect)
        environ["wsgi.input"] = body
        environ["wsgi.errors"] = _ERRORS
        environ["wire.connection"] = connection
        environ["REMOTE_ADDR"] = connection.remote
        environ["REMOTE_PORT"] = str(connection.remote_port)
        environ["SERVER_NAME"] = environ.get("HTTP_HOST", "").rpartition(":")[0] or environ.get("HTTP_HOST", "")
        environ["SERVER_PORT"] = str(connection.local_port)
        responder = http_response.Responder(connection, message)
        if not self._run(connection, environ, responder):
            return False
        connection.end_watching()
        if connection.gone or not body.drain() or not responder.keep_alive:
            return False
        if connection.parser.upgraded is not None:
            connection.parser.resume()
        return True

    def _run(self, connection: Connection, environ: dict[str, Any], responder: http_response.Responder) -> bool:
        """Calls the application and sends what it gives; False where the connection cannot go on."""
        result: Iterable[bytes] | None = None
        try:
            result = self.application(environ, responder.start_response)
            if connection.hijacked:
                return False
            responder.send(result)
        except BodyTooLarge:
            if not responder.started:
                self._refuse(connection, "413 Request Entity Too Large")
            return False
        except http_message.Malformed:
            if not responder.started:
                self._refuse(connection, "400 Bad Request")
            return False
        except OSError:
            return False
        except Exception:
            _log.exception("%s %s", environ["REQUEST_METHOD"], environ["PATH_INFO"])
            if not responder.started and not connection.hijacked:
                self._refuse(connection, "500 Internal Server Error")
            return False
        finally:
            close = getattr(result, "close", None)
            if close is not None:
                close()
        return True


class _Errors:
    """``wsgi.errors``: into the log."""

    def write(self, text: str) -> None:
        if text.strip():
            _log.error("%s", text.rstrip())

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        pass


_ERRORS = _Errors()
