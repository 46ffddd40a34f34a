"""Writing one response: the head, then a body of known length or a stream of chunks."""

import time
from collections.abc import Iterable, Sequence
from email import utils
from typing import Any

from kubeshim.wire import http_connection, http_message

_NO_BODY = {204, 304}


class Responder:
    """``start_response`` and the writing of one response."""

    __slots__ = ("_connection", "_head", "_keep_alive", "_message", "chunked", "started", "status")

    def __init__(self, connection: http_connection.Connection, message: http_message.Incoming) -> None:
        self._connection = connection
        self._message = message
        self._keep_alive = message.keep_alive
        self._head: tuple[str, Sequence[tuple[str, str]]] | None = None
        self.started = False
        self.chunked = False
        self.status = 0

    def start_response(self, status: str, headers: Sequence[tuple[str, str]], exc_info: Any = None) -> Any:
        if exc_info and self.started:
            raise exc_info[1].with_traceback(exc_info[2])
        self._head = (status, headers)
        self.status = int(status[:3])
        return self.write

    def write(self, data: bytes) -> None:
        """WSGI's imperative way out; each call is flushed."""
        if not self.started:
            self._connection.write(self._render(None))
        self._chunk(data)

    def send(self, result: Iterable[bytes]) -> None:
        """Writes the whole response."""
        if isinstance(result, (list, tuple)) and not self.started:
            body = result[0] if len(result) == 1 else b"".join(result)
            head = self._render(len(body))
            if self._message.method == "HEAD" or self.status in _NO_BODY:
                body = b""
            if len(body) < 32 << 10:
                self._connection.write(head + body)
            else:
                self._connection.write(head)
                self._connection.write(body)
            return
        for chunk in result:
            if not self.started:
                self._connection.write(self._render(None))
            self._chunk(chunk)
        if not self.started:
            self._connection.write(self._render(0))
        elif self.chunked:
            self._connection.write(b"0\r\n\r\n")

    def _chunk(self, data: bytes) -> None:
        if not data or self._message.method == "HEAD" or self.status in _NO_BODY:
            return
        self._connection.write(b"%x\r\n%b\r\n" % (len(data), data) if self.chunked else data)

    def _render(self, length: int | None) -> bytes:
        """The head; decides between a length, chunks, and closing at the end."""
        if self._head is None:
            raise RuntimeError("the application did not call start_response")
        self.started = True
        status, headers = self._head
        lines = [f"HTTP/1.1 {status}\r\n"]
        has_length = has_date = False
        for name, value in headers:
            lower = name.lower()
            if lower == "content-length":
                has_length = True
            elif lower == "date":
                has_date = True
            elif lower == "connection":
                self._keep_alive = self._keep_alive and value.lower() != "close"
                continue
            lines.append(f"{name}: {value}\r\n")
        if not has_date:
            lines.append(_date())
        if not has_length and self.status >= 200 and self.status not in _NO_BODY:
            if length is not None:
                lines.append(f"Content-Length: {length}\r\n")
            elif self._message.version == "1.1":
                self.chunked = True
                lines.append("Transfer-Encoding: chunked\r\n")
            else:
                self._keep_alive = False
        if self._connection.server.stopping:
            self._keep_alive = False
        if not self._keep_alive:
            lines.append("Connection: close\r\n")
        elif self._message.version == "1.0":
            lines.append("Connection: keep-alive\r\n")
        lines.append("\r\n")
        head = "".join(lines)
        if "\n" in head.replace("\r\n", ""):
            raise ValueError("a response header contains a line break")
        return head.encode("latin-1")

    @property
    def keep_alive(self) -> bool:
        return self._keep_alive


class _Date:
    """The Date header, made once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._line = ""

    def __call__(self) -> str:
        now = int(time.time())
        if self._second != now:
            self._second = now
            self._line = f"Date: {utils.formatdate(now, usegmt=True)}\r\n"
        return self._line


_date = _Date()
