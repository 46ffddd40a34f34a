"""An open watch: frames off the wire as they come, and a stop that works while a read is blocked."""

import http.client
import logging
import socket
import threading
from collections.abc import Iterator
from typing import Any

import orjson
import urllib3
import urllib3.exceptions

from kubeshim.machinery import errors
from kubeshim.machinery.objects import Object

_log = logging.getLogger(__name__)


class Watch(Iterator[tuple[str, Object]]):
    """Iterates ``(type, object)``: ``ADDED``, ``MODIFIED``, ``DELETED``, ``BOOKMARK``.

    Ends when the server ends the stream, when the connection breaks and when ``stop`` is called: to who resumes
    from the last resourceVersion these are all the same. An ``ERROR`` event is raised as the error it carries.
    """

    def __init__(self, response: urllib3.BaseHTTPResponse) -> None:
        self._response = response
        self._socket = _socket_of(response)
        self._stopped = threading.Event()
        self._events = self._read()

    def __next__(self) -> tuple[str, Object]:
        return next(self._events)

    def __enter__(self) -> "Watch":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def stop(self) -> None:
        """Ends the iteration, from any thread."""
        self._stopped.set()
        if self._socket is not None:
            try:
                # The plain socket's method: SSLSocket's own would take the TLS state from under the reader.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
            except OSError:
                _log.debug("the watch's connection was closed already")

    def close(self) -> None:
        """Gives the connection up; for the thread that iterates."""
        self._stopped.set()
        self._response.close()

    def _read(self) -> Iterator[tuple[str, Object]]:
        rest = b""
        try:
            for chunk in self._response.stream(65536):
                lines = (rest + chunk).split(b"\n") if rest else chunk.split(b"\n")
                rest = lines.pop()
                for line in lines:
                    if line:
                        yield _event(line)
        except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError) as error:
            _log.debug("watch ended: %s", error)
        except ValueError:  # a read of what stop() closed; else a frame that is not JSON
            if not self._stopped.is_set():
                raise
        finally:
            self._response.close()


def _event(line: bytes) -> tuple[str, Object]:
    event = orjson.loads(line)
    kind, obj = str(event["type"]), event["object"]
    if kind == "ERROR":
        raise errors.from_status(obj)
    return kind, obj


def _socket_of(response: Any) -> socket.socket | None:
    """The connection's socket: urllib3 has no public way to interrupt a blocked read."""
    connection = getattr(response, "connection", None)
    found = getattr(connection, "sock", None)
    if found is None:
        raw = getattr(getattr(getattr(response, "_fp", None), "fp", None), "raw", None)
        found = getattr(raw, "_sock", None)
    return found
