"""A SPDY/3.1 session over a ``duplex.Link``: streams that threads read and write.

``run`` reads frames in the caller's thread and hands new streams to a function; each stream buffers up to
``BUFFER`` bytes, beyond that ``run`` waits for its reader (Kubernetes' clients know no window, so holding the
connection back is the only brake there is). ``write`` goes straight to the link, whose own buffer is the brake.
"""

import threading
from collections.abc import Callable, Mapping

from kubeshim.wire import duplex, spdy

BUFFER = 1 << 20
CHUNK = 32 << 10


class Stream:
    """One stream. ``read`` from one thread, ``write`` from one (another) thread."""

    def __init__(self, session: "Session", number: int, headers: Mapping[str, str]) -> None:
        self.number = number
        self.headers = headers
        self._session = session
        self._parts: list[bytes] = []
        self._size = 0
        self._ended = False
        self._gone = False
        self._sent_fin = False
        self._change = threading.Condition()

    def read(self) -> bytes:
        """The next bytes; ``b""`` when the peer has closed its side or is gone."""
        with self._change:
            self._change.wait_for(lambda: self._parts or self._ended)
            if not self._parts:
                return b""
            data = b"".join(self._parts)
            self._parts, self._size = [], 0
            self._change.notify_all()
        self._session.send(spdy.Frame(spdy.WINDOW_UPDATE, self.number, value=len(data)), quietly=True)
        return data

    def write(self, data: bytes) -> None:
        """Raises ``OSError`` where the stream or the connection is gone."""
        for at in range(0, len(data), CHUNK):
            if self._gone or self._sent_fin:
                raise BrokenPipeError("the stream is closed")
            self._session.send(spdy.Frame(spdy.DATA, self.number, data=data[at : at + CHUNK]))

    def close(self) -> None:
        """Says that no more comes from this side."""
        with self._change:
            if self._sent_fin:
                return
            self._sent_fin = True
            done = self._ended
        if not self._gone:
            self._session.send(spdy.Frame(spdy.DATA, self.number, spdy.FIN), quietly=True)
        if done:
            self._session.drop(self.number)

    def reset(self, status: int = spdy.CANCEL) -> None:
        """Ends both sides at once."""
        self.end(gone=True)
        self._session.send(spdy.Frame(spdy.RST_STREAM, self.number, value=status), quietly=True)
        self._session.drop(self.number)

    def receive(self, data: bytes) -> None:
        """From the session: waits while the buffer is full."""
        with self._change:
            self._change.wait_for(lambda: self._size < BUFFER or self._ended)
            if not self._ended:
                self._parts.append(data)
                self._size += len(data)
                self._change.notify_all()

    def end(self, *, gone: bool = False) -> None:
        """From the session: the peer has closed its side; ``gone``: nobody takes what is written either."""
        with self._change:
            self._ended = True
            self._gone = self._gone or gone
            done = self._sent_fin
            self._change.notify_all()
        if done:
            self._session.drop(self.number)


class Session:
    """One connection. ``on_stream`` is called in ``run``'s thread and must not block."""

    def __init__(
        self, link: duplex.Link, on_stream: Callable[[Stream], None] | None = None, *, client: bool = False
    ) -> None:
        self._link = link
        self._on_stream = on_stream
        self._encoder = spdy.Encoder()
        self._decoder = spdy.Decoder()
        self._sending = threading.Lock()
        self._streams: dict[int, Stream] = {}
        self._next = 1 if client else 2
        self._lock = threading.Lock()
        self._last_seen = 0

    def run(self) -> None:
        """Reads until the peer is gone or breaks the protocol; then every stream has ended."""
        try:
            while data := self._link.recv():
                for frame in self._decoder.feed(data):
                    if frame.kind == spdy.GOAWAY:
                        continue  # the peer opens no more streams; those there are go on until it closes
                    self._take(frame)
        except (spdy.SpdyError, OSError):
            self.send(spdy.Frame(spdy.GOAWAY, self._last_seen, value=spdy.PROTOCOL_ERROR), quietly=True)
        finally:
            self._link.close()
            with self._lock:
                left = list(self._streams.values())
                self._streams.clear()
            for stream in left:
                stream.end(gone=True)

    def open(self, headers: Mapping[str, str]) -> Stream:
        """A new stream of ours. Raises ``OSError``."""
        with self._lock:
            stream = Stream(self, self._next, headers)
            self._streams[self._next] = stream
            self._next += 2
            self.send(spdy.Frame(spdy.SYN_STREAM, stream.number, headers=headers))
        return stream

    def finish(self) -> None:
        """Says goodbye and closes when the peer has taken everything."""
        self.send(spdy.Frame(spdy.GOAWAY, self._last_seen), quietly=True)
        self._link.finish()

    def close(self) -> None:
        self._link.close()

    def send(self, frame: spdy.Frame, *, quietly: bool = False) -> None:
        """Encodes and sends in one order for all threads, because header blocks share a compressor."""
        try:
            with self._sending:
                self._link.sendall(self._encoder.encode(frame))
        except OSError:
            if not quietly:
                raise

    def drop(self, number: int) -> None:
        with self._lock:
            self._streams.pop(number, None)

    def _take(self, frame: spdy.Frame) -> None:
        if frame.kind == spdy.SYN_STREAM:
            self._accept(frame)
        elif frame.kind == spdy.PING:
            if (frame.value % 2 == 0) is (self._next % 2 == 1):  # the peer's own number, not an answer to ours
                self.send(spdy.Frame(spdy.PING, value=frame.value))
        else:
            with self._lock:
                stream = self._streams.get(frame.stream)
            if stream is None:
                return
            if frame.kind == spdy.RST_STREAM:
                stream.end(gone=True)
                self.drop(frame.stream)
                return
            if frame.data:
                stream.receive(frame.data)
            if frame.fin:
                stream.end()

    def _accept(self, frame: spdy.Frame) -> None:
        if self._on_stream is None or frame.stream <= self._last_seen or frame.stream % 2 == self._next % 2:
            self.send(spdy.Frame(spdy.RST_STREAM, frame.stream, value=spdy.PROTOCOL_ERROR))
            return
        self._last_seen = frame.stream
        stream = Stream(self, frame.stream, frame.headers)
        with self._lock:
            self._streams[frame.stream] = stream
        self.send(spdy.Frame(spdy.SYN_REPLY, frame.stream))
        if frame.fin:
            stream.end()
        self._on_stream(stream)
