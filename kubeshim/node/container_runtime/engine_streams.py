"""What the engine multiplexes: frames of stdout and stderr, log lines, the sessions of exec and attach.

A frame is eight bytes (stream number, three zeros, length big-endian) and its data. With a terminal there are no
frames: all is stdout.
"""

import select
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Iterator

from kubeshim.node.container_runtime import engine_http, runtime

NOT_STARTED = b"OCI runtime exec failed"
"""How the engine's output begins where an exec's program could not be run: it answers 101 before it tries."""
EXITED = "container is in CONTAINER_EXITED state"
_FIRST_LOOK, _LAST_LOOK = 0.25, 5.0
"""Seconds without output after which a session is asked whether it has ended: at first, and at most."""
_LEFT_OVER = 5.0
"""Seconds in which the engine passes on what a container that has ended had still written."""
_STREAMS = {0: "stdout", 1: "stdout", 2: "stderr"}


def frames(chunks: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    """``(stream, data)`` of each frame; frames may be cut anywhere across chunks."""
    buffer = bytearray()
    for chunk in chunks:
        buffer += chunk
        while len(buffer) >= 8:
            stream, size = struct.unpack_from(">BxxxI", buffer)
            if len(buffer) < 8 + size:
                break
            yield _STREAMS.get(stream, "stderr"), bytes(buffer[8 : 8 + size])
            del buffer[: 8 + size]


def lines(parts: Iterable[tuple[str, bytes]], timestamps: bool) -> Iterator[tuple[str, bytes]]:
    """Log entries as they come, one write a frame; the engine cuts lines above 16 KiB into several.

    It stamps every piece; the stamp is kept on the first piece of a line only, so that pieces join.
    """
    inside = {"stdout": False, "stderr": False}
    for stream, data in parts:
        if timestamps and inside[stream]:
            _, _, data = data.partition(b" ")
        inside[stream] = not data.endswith(b"\n")
        if data:
            yield stream, data


def terminal(chunks: Iterable[bytes]) -> Iterator[tuple[str, bytes]]:
    """A terminal's output, cut at line ends; what is left comes last."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield "stdout", line + b"\n"
    if rest:
        yield "stdout", rest


class HijackedSession:
    """A ``runtime.Session`` over a raw connection. ``read`` from one thread, the rest from any.

    ``began`` is asked where the output begins as the engine's own complaint would: whether a process wrote it.
    ``ended`` is asked while nothing comes: of a container that ends while it is attached to, the engine may never say
    a word.
    """

    def __init__(
        self,
        connection: engine_http.Connection,
        *,
        tty: bool,
        resize: Callable[[int, int], object],
        exit_code: Callable[[], int | None],
        began: Callable[[], bool] = lambda: True,
        ended: Callable[[], bool] = lambda: False,
    ) -> None:
        self._connection = connection
        self._tty = tty
        self._resize = resize
        self._exit_code = exit_code
        self._began = began
        self._ended = ended
        self._write_lock = threading.Lock()

    def read(self) -> Iterator[tuple[str, bytes]]:
        output = (("stdout", chunk) for chunk in self._chunks()) if self._tty else frames(self._chunks())
        for position, (stream, data) in enumerate(output):
            if position == 0 and data.startswith(NOT_STARTED) and not self._began():
                raise runtime.StartFailure(data.decode("utf-8", "replace").strip(), 126)
            yield stream, data

    def _chunks(self) -> Iterator[bytes]:
        connection = self._connection
        silent = not connection.buffer
        if connection.buffer:
            yield connection.take(len(connection.buffer))
        while True:
            if not self._anything():
                if silent:
                    raise runtime.RuntimeFailure(EXITED)
                return
            try:
                data = connection.sock.recv(65536)
            except OSError:
                return  # reset by a dying container, or closed here: both are the end
            if not data:
                return
            silent = False
            yield data

    def _anything(self) -> bool:
        """Waits until there is something to read, if only the end; False where all is over without it."""
        wait, over = _FIRST_LOOK, False
        while True:
            try:
                poll = select.poll()
                poll.register(self._connection.sock, select.POLLIN)
                if poll.poll(wait * 1000):
                    return True
            except (OSError, ValueError):
                return True  # closed here: reading will tell
            if over:
                return False
            over = self._ended()
            wait = _LEFT_OVER if over else min(2 * wait, _LAST_LOOK)

    def write(self, data: bytes) -> None:
        with self._write_lock:
            self._connection.sock.sendall(data)

    def close_stdin(self) -> None:
        with self._write_lock:
            try:
                self._connection.sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # already at its end

    def resize(self, width: int, height: int) -> None:
        self._resize(width, height)

    def exit_code(self) -> int | None:
        return self._exit_code()

    def close(self) -> None:
        self._connection.close()
