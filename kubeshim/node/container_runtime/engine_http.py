"""HTTP/1.1 to the engine over its unix socket: keep-alive requests, streamed answers, hijacked connections.

The docker SDK costs 2 to 15 ms more for a call (requests, adapters, models) and hides the raw socket; this is the
part of HTTP the engine speaks, no more. Connections that are idle wait in a stack shared by all threads; a
connection belongs to one request at a time. A request on a connection that the engine has closed meanwhile is
sent again on a fresh one, only where no byte of an answer had come.
"""

import json
import select
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib import parse

from kubeshim.node.container_runtime import runtime

SOCKET = "/var/run/docker.sock"
"""Where the machine's own engine listens."""
_IDLE_KEPT = 8
_READ_SIZE = 65536
_HEAD_LIMIT = 65536


class EngineError(runtime.RuntimeFailure):
    """An answer of 400 and above. ``message`` is the engine's own text."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Connection:
    """One connection with what has been read from it and not yet used."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.buffer = bytearray()
        self.used = False

    def close(self) -> None:
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()

    def stale(self) -> bool:
        """Whether the other side closed (or wrote something unasked) while the connection was idle."""
        return bool(self.buffer) or self.readable(0.0)

    def readable(self, timeout: float) -> bool:
        """Whether there is something to read (or the end) within ``timeout`` seconds; for any descriptor number."""
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return bool(poll.poll(timeout * 1000))

    def fill(self) -> bool:
        """Reads more; False at the end of the stream."""
        data = self.sock.recv(_READ_SIZE)
        self.buffer += data
        return bool(data)

    def take(self, size: int) -> bytes:
        while len(self.buffer) < size:
            if not self.fill():
                raise ConnectionError("the engine closed the connection in the middle of an answer")
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        return data

    def line(self) -> bytes:
        while (end := self.buffer.find(b"\r\n")) < 0:
            if len(self.buffer) > _HEAD_LIMIT or not self.fill():
                raise ConnectionError("the engine's answer has no end of line")
        line = bytes(self.buffer[:end])
        del self.buffer[: end + 2]
        return line


class Answer:
    """The head of a response; the body is read by ``chunks`` or ``body``."""

    def __init__(self, connection: Connection, status: int, headers: Mapping[str, str]) -> None:
        self.connection = connection
        self.status = status
        self.headers = headers
        self.finished = False

    def chunks(self, stop: Callable[[], bool] | None = None, poll: float = 1.0) -> Iterator[bytes]:
        """Body parts as they come. With ``stop``, looks at it every ``poll`` seconds of silence."""
        if self.status in (101, 204, 304):
            self.finished = True
            return
        if self.headers.get("transfer-encoding") == "chunked":
            yield from self._chunked(stop, poll)
        elif "content-length" in self.headers:
            yield from self._sized(int(self.headers["content-length"]))
        else:
            yield from self._until_end(stop, poll)

    def _waits(self, stop: Callable[[], bool] | None, poll: float) -> bool:
        """Waits for bytes; False once ``stop`` says so."""
        connection = self.connection
        while stop is not None and not connection.buffer:
            if stop():
                return False
            if connection.readable(poll):
                break
        return True

    def _chunked(self, stop: Callable[[], bool] | None, poll: float) -> Iterator[bytes]:
        while self._waits(stop, poll):
            size = int(self.connection.line().split(b";", 1)[0], 16)
            data = self.connection.take(size)
            self.connection.take(2)
            if size == 0:
                self.finished = True
                return
            yield data

    def _sized(self, size: int) -> Iterator[bytes]:
        if size:
            yield self.connection.take(size)
        self.finished = True

    def _until_end(self, stop: Callable[[], bool] | None, poll: float) -> Iterator[bytes]:
        connection = self.connection
        while self._waits(stop, poll):
            if not connection.buffer and not connection.fill():
                return
            yield connection.take(len(connection.buffer))

    def body(self) -> bytes:
        return b"".join(self.chunks())


class Engine:
    """Requests to one engine. Safe to use from any thread."""

    def __init__(self, socket_path: str) -> None:
        self._path = socket_path
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        self._closed = False
        self.prefix = ""
        """``/v1.41``, once the version is agreed."""

    def call(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        *,
        timeout: float = 120.0,
    ) -> Any:
        """One request with a JSON answer (None where the answer is empty)."""
        answer = self._exchange(method, path, query, body, timeout=timeout)
        data = self._finish(answer)
        if answer.status >= 400:
            raise EngineError(answer.status, _message(data))
        return json.loads(data) if data.strip() else None

    def stream(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Answer:
        """A request whose body is read as it comes; the caller closes ``answer.connection``."""
        answer = self._exchange(method, path, query, body, headers=headers, timeout=timeout)
        if answer.status >= 400:
            data = self._finish(answer)
            raise EngineError(answer.status, _message(data))
        return answer

    def hijack(self, path: str, query: Mapping[str, Any] | None = None, body: Any = None) -> Connection:
        """Turns a connection into a raw stream, as attach and exec need it."""
        upgrade = {"Connection": "Upgrade", "Upgrade": "tcp"}
        answer = self._exchange("POST", path, query, body, headers=upgrade, timeout=60.0)
        if answer.status not in (101, 200):
            raise EngineError(answer.status, _message(self._finish(answer)))
        answer.connection.sock.settimeout(None)
        return answer.connection

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _exchange(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None,
        body: Any,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float | None,
    ) -> Answer:
        request = _encode(method, self.prefix + path, query, body, headers or {})
        while True:
            connection = self._connect()
            connection.sock.settimeout(timeout)
            try:
                connection.sock.sendall(request)
                return _read_head(connection)
            except TimeoutError as error:
                connection.close()
                raise runtime.Unavailable(f"{method} {path}: the engine did not answer in {timeout} s") from error
            except OSError as error:
                connection.close()
                if connection.used and not connection.buffer:
                    continue  # closed by the engine while it was idle here; nothing of this request was answered
                raise runtime.Unavailable(f"{method} {path}: {error}") from error

    def _connect(self) -> Connection:
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                break
            if not connection.stale():
                return connection
            connection.close()
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.connect(self._path)
        except OSError as error:
            sock.close()
            raise runtime.Unavailable(f"cannot connect to the Docker engine at {self._path}: {error}") from error
        return Connection(sock)

    def _finish(self, answer: Answer) -> bytes:
        """Reads the body and puts the connection back, or closes it where it cannot be used again."""
        connection = answer.connection
        try:
            data = answer.body()
        except OSError as error:
            connection.close()
            raise runtime.Unavailable(str(error)) from error
        keep = answer.finished and answer.headers.get("connection", "").lower() != "close"
        with self._lock:
            if keep and len(self._idle) < _IDLE_KEPT and not self._closed:
                connection.used = True
                self._idle.append(connection)
                return data
        connection.close()
        return data


def _encode(method: str, path: str, query: Mapping[str, Any] | None, body: Any, headers: Mapping[str, str]) -> bytes:
    if query:
        path += "?" + parse.urlencode({key: _query_value(value) for key, value in query.items() if value is not None})
    lines = [f"{method} {path} HTTP/1.1", "Host: docker", *(f"{key}: {value}" for key, value in headers.items())]
    data = b""
    if isinstance(body, bytes):
        data = body
        lines.append("Content-Type: application/x-tar")
    elif body is not None:
        data = json.dumps(body, separators=(",", ":")).encode()
        lines.append("Content-Type: application/json")
    if method != "GET":
        lines.append(f"Content-Length: {len(data)}")
    return "\r\n".join([*lines, "", ""]).encode() + data


def _query_value(value: Any) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, (dict, list)):
        return json.dumps(value)
    return str(value)


def _read_head(connection: Connection) -> Answer:
    status = int(connection.line().split(b" ", 2)[1])
    headers: dict[str, str] = {}
    while line := connection.line():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    return Answer(connection, status, headers)


def _message(data: bytes) -> str:
    try:
        return str(json.loads(data)["message"])
    except (ValueError, KeyError, TypeError):
        return data.decode("utf-8", "replace").strip()
