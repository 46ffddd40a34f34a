"""Port-forward over a live connection: each client connection becomes one to a port, given by ``connect``.

Over SPDY (native, or tunnelled through a WebSocket) the client opens for each connection an ``error`` and a ``data``
stream with the same ``requestID`` and a ``port``. Over the older WebSocket protocol the ports stand in the request
and each has two channels for one connection: data and error, both beginning with the port number from the server.
"""

import contextlib
import dataclasses
import logging
import socket
import threading
from collections.abc import Callable, Sequence

from kubeshim.wire import duplex, remotecommand, spdy_session, websocket, websocket_link

log = logging.getLogger(__name__)

Connect = Callable[[int], socket.socket]
"""A connection to a port of the pod. Raises ``OSError`` whose text goes to the client."""

PAIR_TIMEOUT = 30.0
CHUNK = 64 << 10


def serve(link: duplex.Link, agreed: remotecommand.Upgrade, ports: Sequence[int], connect: Connect, pod: str) -> None:
    """Runs until the client goes. ``pod`` is how errors name it."""
    if agreed.transport == "spdy":
        SpdyForwarder(link, connect, pod).run()
    elif agreed.protocol == remotecommand.PORT_FORWARD_TUNNEL:
        SpdyForwarder(websocket_link.Tunnel(websocket_link.WebSocket(link)), connect, pod).run()
    else:
        ChannelForwarder(link, agreed, ports, connect, pod).run()


@dataclasses.dataclass(slots=True)
class _Pair:
    port: int
    data: spdy_session.Stream | None = None
    error: spdy_session.Stream | None = None
    timer: threading.Timer | None = None


class SpdyForwarder:
    """Pairs of streams."""

    def __init__(self, link: duplex.Link, connect: Connect, pod: str) -> None:
        self._connect = connect
        self._pod = pod
        self._pairs: dict[str, _Pair] = {}
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._session = spdy_session.Session(link, self._on_stream)

    def run(self) -> None:
        try:
            self._session.run()
        finally:
            with self._lock:
                pairs, self._pairs = list(self._pairs.values()), {}
                left = list(self._open)
            for pair in pairs:
                if pair.timer is not None:
                    pair.timer.cancel()
            for connection in left:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _on_stream(self, stream: spdy_session.Stream) -> None:
        kind = stream.headers.get("streamtype", "")
        text = stream.headers.get("port", "")
        if kind not in ("data", "error") or not text.isdecimal() or not 0 < int(text) < 65536:
            stream.reset()
            return
        # Clients of before 1.3 sent no requestID: their data stream follows its error stream.
        number = stream.number if kind == "error" else stream.number - 2
        request = stream.headers.get("requestid", str(number))
        with self._lock:
            pair = self._pairs.setdefault(request, _Pair(int(text)))
            if getattr(pair, kind) is not None:
                stream.reset()
                return
            setattr(pair, kind, stream)
            complete = pair.data is not None and pair.error is not None
            if complete:
                self._pairs.pop(request)
                if pair.timer is not None:
                    pair.timer.cancel()
            else:
                pair.timer = threading.Timer(PAIR_TIMEOUT, self._give_up, (request,))
                pair.timer.daemon = True
                pair.timer.start()
        if complete and pair.data is not None and pair.error is not None:
            threading.Thread(
                target=self._forward, args=(pair.port, pair.data, pair.error), name="port-forward", daemon=True
            ).start()

    def _give_up(self, request: str) -> None:
        with self._lock:
            pair = self._pairs.pop(request, None)
        for stream in (pair.data, pair.error) if pair else ():
            if stream is not None:
                stream.reset()

    def _forward(self, port: int, data: spdy_session.Stream, error: spdy_session.Stream) -> None:
        try:
            connection = self._connect(port)
        except OSError as trouble:
            with contextlib.suppress(OSError):
                error.write(f"error forwarding port {port} to pod {self._pod}: {trouble}".encode())
            error.close()
            data.close()
            return
        with self._lock:
            self._open.add(connection)
        threading.Thread(target=_to_pod, args=(data, connection), name="port-forward", daemon=True).start()
        # Over once the pod's side has ended, whether or not the client closed its half: old kubectl waits for both
        # streams to end before it closes anything.
        with connection:
            _to_client(connection, data)
            error.close()
            with self._lock:
                self._open.discard(connection)


def _to_pod(stream: spdy_session.Stream, connection: socket.socket) -> None:
    """Until the client closes its half, which closes the pod's half."""
    try:
        while chunk := stream.read():
            connection.sendall(chunk)
        connection.shutdown(socket.SHUT_WR)
    except OSError as trouble:
        log.debug("forwarded connection ended: %s", trouble)
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


def _to_client(connection: socket.socket, stream: spdy_session.Stream) -> None:
    try:
        while chunk := connection.recv(CHUNK):
            stream.write(chunk)
    except OSError as trouble:
        log.debug("forwarded connection ended: %s", trouble)
    finally:
        stream.close()


class ChannelForwarder:
    """Two channels a port, one connection each."""

    def __init__(
        self, link: duplex.Link, agreed: remotecommand.Upgrade, ports: Sequence[int], connect: Connect, pod: str
    ) -> None:
        self._socket = websocket_link.WebSocket(link)
        self._is_base64 = agreed.is_base64
        self._ports = ports
        self._connect = connect
        self._pod = pod
        self._connections: dict[int, socket.socket] = {}
        self._ended: set[int] = set()

    def run(self) -> None:
        threads: list[threading.Thread] = []
        try:
            for place, port in enumerate(self._ports):
                self._begin(2 * place, port)
            for channel, connection in self._connections.items():
                threads.append(
                    threading.Thread(target=self._back, args=(channel, connection), name="port-forward", daemon=True)
                )
            for thread in threads:
                thread.start()
            for message in self._socket.messages():
                self._take(message)
        except OSError as trouble:
            log.debug("port-forward client is gone: %s", trouble)
        finally:
            for connection in self._connections.values():
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()
            for connection in self._connections.values():
                connection.close()
            self._socket.abort()

    def _begin(self, channel: int, port: int) -> None:
        for number in (channel, channel + 1):
            self._send(number, port.to_bytes(2, "little"))
        try:
            connection = self._connect(port)
        except OSError as trouble:
            self._send(channel + 1, f"error forwarding port {port} to pod {self._pod}: {trouble}".encode())
            return
        self._connections[channel] = connection

    def _back(self, channel: int, connection: socket.socket) -> None:
        try:
            while chunk := connection.recv(CHUNK):
                self._send(channel, chunk)
        except OSError as trouble:
            log.debug("forwarded connection ended: %s", trouble)
        # The protocol cannot close one channel: the whole connection ends with its last one.
        self._ended.add(channel)
        if len(self._ended) == len(self._connections):
            self._socket.close()

    def _take(self, message: websocket.Message) -> None:
        try:
            channel, data = remotecommand.decode_channel(message, is_base64=self._is_base64)
        except ValueError as error:
            self._socket.close(websocket.BAD_DATA, str(error))
            return
        connection = self._connections.get(channel)
        if connection is not None and data:
            with contextlib.suppress(OSError):
                connection.sendall(data)

    def _send(self, channel: int, data: bytes) -> None:
        self._socket.send(*remotecommand.encode_channel(channel, data, is_base64=self._is_base64))
