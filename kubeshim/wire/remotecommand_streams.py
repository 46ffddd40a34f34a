"""The streams of one exec or attach over a live connection, whichever transport was agreed.

``serve`` copies between them and a process (anything with the shape of ``Process``) until its output ends, and then
tells the client how it went. Input is read by threads of the transport's own and goes straight into the process,
whose ``write`` is the brake. A client that goes away closes the process's streams, not the process.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from kubeshim.wire import duplex, remotecommand, spdy_session, websocket, websocket_link

log = logging.getLogger(__name__)

CREATION_TIMEOUT = 30.0
"""Seconds a client has to open all streams it announced."""


class Process(Protocol):
    """What runs at the other end (``container_runtime.runtime.Session``)."""

    def read(self) -> Iterator[tuple[str, bytes]]: ...

    def write(self, data: bytes) -> None: ...

    def close_stdin(self) -> None: ...

    def resize(self, width: int, height: int) -> None: ...

    def exit_code(self) -> int | None: ...

    def close(self) -> None: ...


class Streams(Protocol):
    """The client's end."""

    def start(self, process: Process) -> None:
        """Begins to pass input on, in threads of its own."""

    def write(self, name: str, data: bytes) -> None:
        """To ``stdout`` or ``stderr``. Raises ``OSError`` where the client is gone."""

    def finish(self, status: Mapping[str, Any]) -> None:
        """Tells how it ended and closes."""

    def abort(self) -> None: ...


def open_streams(
    link: duplex.Link, agreed: remotecommand.Upgrade, *, stdin: bool, stdout: bool, stderr: bool, tty: bool
) -> Streams:
    """The announced streams, all open. Raises ``TimeoutError`` where a SPDY client does not open them."""
    wanted = [
        name for name, present in (("stdin", stdin), ("stdout", stdout), ("stderr", stderr and not tty)) if present
    ]
    if agreed.transport == "websocket":
        return WebSocketStreams(link, agreed, wanted)
    expected = {"error", *wanted} | ({"resize"} if tty and agreed.version >= 3 else set())
    return SpdyStreams(link, agreed, expected)


def serve(streams: Streams, process: Process, conclude: Callable[[int | None], Mapping[str, Any]]) -> None:
    """Runs until the process's output ends or the client goes; ``conclude`` makes the Status of the exit code."""
    streams.start(process)
    try:
        for name, data in process.read():
            streams.write(name, data)
    except OSError as error:
        log.debug("the client of a stream is gone: %s", error)
        streams.abort()
        return
    finally:
        with contextlib.suppress(OSError):
            process.close()
    streams.finish(conclude(process.exit_code()))


class WebSocketStreams:
    """Channels in messages."""

    def __init__(self, link: duplex.Link, agreed: remotecommand.Upgrade, wanted: list[str]) -> None:
        self._socket = websocket_link.WebSocket(link)
        self._agreed = agreed
        self._wanted = wanted
        self._numbers = {name: number for number, name in remotecommand.CHANNELS.items()}
        # Says that the connection stands, to clients which wait for a first message.
        first = next((name for name in ("stdout", "stderr") if name in wanted), "error")
        if agreed.version < 5:
            self._send(self._numbers[first], b"")

    def start(self, process: Process) -> None:
        threading.Thread(target=self._read, args=(process,), name="stream-input", daemon=True).start()

    def write(self, name: str, data: bytes) -> None:
        if name in self._wanted and data:
            self._send(self._numbers[name], data)

    def finish(self, status: Mapping[str, Any]) -> None:
        text = remotecommand.status_text(status, self._agreed.version)
        with contextlib.suppress(OSError):
            if text:
                self._send(remotecommand.ERROR, text)
        self._socket.close()

    def abort(self) -> None:
        self._socket.abort()

    def _send(self, channel: int, data: bytes) -> None:
        self._socket.send(*remotecommand.encode_channel(channel, data, is_base64=self._agreed.is_base64))

    def _read(self, process: Process) -> None:
        try:
            for message in self._socket.messages():
                try:
                    channel, data = remotecommand.decode_channel(message, is_base64=self._agreed.is_base64)
                except ValueError as error:
                    self._socket.close(websocket.BAD_DATA, str(error))
                    return
                self._take(process, channel, data)
        except OSError as error:
            log.debug("input of a stream ended: %s", error)
        finally:
            with contextlib.suppress(OSError):
                process.close()

    def _take(self, process: Process, channel: int, data: bytes) -> None:
        if channel == remotecommand.STDIN and "stdin" in self._wanted:
            if data:
                _feed(process, data)
        elif channel == remotecommand.RESIZE:
            _resize(process, data)
        elif channel == remotecommand.CLOSE and data[:1] == bytes([remotecommand.STDIN]):
            with contextlib.suppress(OSError):
                process.close_stdin()


class SpdyStreams:
    """A SPDY stream each."""

    def __init__(self, link: duplex.Link, agreed: remotecommand.Upgrade, expected: set[str]) -> None:
        self._agreed = agreed
        self._expected = expected
        self._found: dict[str, spdy_session.Stream] = {}
        self._change = threading.Condition()
        self._over = False
        self._process: Process | None = None
        self._session = spdy_session.Session(link, self._on_stream)
        threading.Thread(target=self._run, name="stream-session", daemon=True).start()
        with self._change:
            self._change.wait_for(lambda: expected <= set(self._found) or self._over, CREATION_TIMEOUT)
            if not expected <= set(self._found):
                self._session.close()
                raise TimeoutError("timed out waiting for client to create streams")

    def start(self, process: Process) -> None:
        with self._change:
            self._process = process
            over = self._over
        if over:
            process.close()
        for name, work in (("stdin", self._read_stdin), ("resize", self._read_sizes)):
            if name in self._found:
                threading.Thread(
                    target=work, args=(self._found[name], process), name=f"stream-{name}", daemon=True
                ).start()

    def write(self, name: str, data: bytes) -> None:
        stream = self._found.get(name)
        if stream is not None:
            stream.write(data)

    def finish(self, status: Mapping[str, Any]) -> None:
        text = remotecommand.status_text(status, self._agreed.version)
        with contextlib.suppress(OSError):
            if text:
                self._found["error"].write(text)
        for stream in self._found.values():
            stream.close()
        self._session.finish()

    def abort(self) -> None:
        self._session.close()

    def _run(self) -> None:
        self._session.run()
        with self._change:
            self._over = True
            process = self._process
            self._change.notify_all()
        if process is not None:
            with contextlib.suppress(OSError):
                process.close()

    def _on_stream(self, stream: spdy_session.Stream) -> None:
        kind = stream.headers.get("streamtype", "")
        with self._change:
            if kind not in self._expected or kind in self._found:
                stream.reset()
                return
            self._found[kind] = stream
            self._change.notify_all()

    def _read_stdin(self, stream: spdy_session.Stream, process: Process) -> None:
        while data := stream.read():
            _feed(process, data)
        with contextlib.suppress(OSError):
            process.close_stdin()

    def _read_sizes(self, stream: spdy_session.Stream, process: Process) -> None:
        rest = b""
        while data := stream.read():
            # One JSON object after another, with or without a newline between.
            *whole, rest = (rest + data).replace(b"}", b"}\n").split(b"\n")
            for text in whole:
                _resize(process, text)


def _feed(process: Process, data: bytes) -> None:
    """Input for a process that has closed its end is dropped, as a pipe's would be."""
    try:
        process.write(data)
    except OSError as error:
        log.debug("input is not taken any more: %s", error)


def _resize(process: Process, text: bytes) -> None:
    size = remotecommand.parse_size(text)
    if size is not None and size[0] > 0 and size[1] > 0:
        try:
            process.resize(*size)
        except Exception as error:  # of whatever kind the runtime has: the terminal then keeps its size
            log.debug("terminal not resized: %s", error)
