"""A watch over WebSocket: each event a message, JSON as text, protobuf as binary without the length before it.

Everything up to the beginning of the stream is as without: who asks for what is wrong gets a plain HTTP answer. The
handshake is that of Go's ``x/net/websocket``: it wants an ``Origin``, and one sub-protocol at the most.
"""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import gevent

from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server.authentication import authenticators
from kubeshim.machinery.codecs import frames
from kubeshim.wire import websocket

_READ = 16 << 10
_NO_VERSION = b"missing or bad WebSocket Version"
_NO_KEY = b"mismatch challenge/response"


class Stream(Protocol):
    def __iter__(self) -> Iterator[bytes]: ...

    def stop(self) -> None:
        """The client is gone."""

    def close(self) -> None: ...


def wanted(asked: request.Request) -> bool:
    return websocket.is_upgrade(asked.headers)


def serve(asked: request.Request, stream: Stream, *, binary: bool) -> request.Response:
    """The upgrade, or its refusal."""
    protocols = [one for one in authenticators.without_token(asked.header("sec-websocket-protocol")).split(", ") if one]
    headers = {**asked.headers, "sec-websocket-protocol": ", ".join(protocols)}
    refusal = None
    if not asked.header("sec-websocket-key"):
        refusal = request.Response(400, [], _NO_KEY)
    elif asked.header("sec-websocket-version") != "13":
        refusal = request.Response(400, [("Sec-WebSocket-Version", "13")], _NO_VERSION)
    elif not asked.header("origin"):
        refusal = request.Response(403, [], b"")
    if refusal is not None:
        stream.close()
        return refusal
    answer: list[tuple[str, str]] = []
    if len(protocols) < 2:
        _, answer = websocket.accept(headers, protocols or [""])
    return request.Response(101, takeover=_takeover(answer, stream, binary=binary))


def _takeover(answer: list[tuple[str, str]], stream: Stream, *, binary: bool) -> Callable[[Any, bytes], None]:
    """Without an answer the connection ends, as upstream's where several sub-protocols are offered."""
    head = "".join(f"{name}: {value}\r\n" for name, value in answer)
    opcode, split = (
        (websocket.BINARY, frames.protobuf_messages) if binary else (websocket.TEXT, frames.json_messages)
    )  # fmt: skip

    def take(sock: Any, buffered: bytes) -> None:
        reader = gevent.spawn(_ignore, sock, buffered, stream.stop)
        try:
            if not answer:
                return
            sock.sendall(f"HTTP/1.1 101 Switching Protocols\r\n{head}\r\n".encode())
            for chunk in stream:
                if chunk:
                    sock.sendall(b"".join(websocket.encode(opcode, message) for message in split(chunk)))
            sock.sendall(websocket.encode_close())
        except OSError:
            pass  # the client is gone: there is nobody left to tell
        finally:
            reader.kill()
            stream.close()

    return take


def _ignore(sock: Any, buffered: bytes, ended: Callable[[], None]) -> None:
    """What the client says means nothing, but for its goodbye and its pings."""
    parser = websocket.Parser()
    try:
        data = buffered or sock.recv(_READ)
        while data:
            for message in parser.feed(data):
                if message.opcode == websocket.CLOSE:
                    return
                if message.opcode == websocket.PING:
                    sock.sendall(websocket.encode(websocket.PONG, message.data))
            data = sock.recv(_READ)
    except (OSError, websocket.ProtocolError):
        return
    finally:
        ended()
