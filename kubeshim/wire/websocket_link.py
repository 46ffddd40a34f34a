"""A WebSocket over a ``duplex.Link``: messages both ways, pings answered, closing as both sides owe it.

One thread iterates ``messages``; any thread may ``send``. ``Tunnel`` is the connection seen as plain bytes, for a
protocol inside it (SPDY for port-forward).
"""

from collections.abc import Iterator

from kubeshim.wire import duplex, websocket


class WebSocket:
    """The server's end, or with ``client`` the other."""

    def __init__(self, link: duplex.Link, *, client: bool = False) -> None:
        self._link = link
        self._client = client
        self._parser = websocket.Parser(client=client)
        self._closing = False

    def messages(self) -> Iterator[websocket.Message]:
        """Text and binary messages until the peer closes or is gone."""
        while data := self._link.recv():
            try:
                for message in self._parser.feed(data):
                    if message.opcode == websocket.PING:
                        self._link.sendall(websocket.encode(websocket.PONG, message.data, mask=self._client))
                    elif message.opcode == websocket.CLOSE:
                        self._answer_close(message)
                        return
                    elif message.opcode != websocket.PONG:
                        yield message
            except websocket.ProtocolError as error:
                self.close(error.code, str(error))
                return
            except OSError:
                return

    def send(self, opcode: int, data: bytes) -> None:
        """Raises ``OSError`` where the peer does not take it, or either side has said that it closes."""
        if self._closing:
            raise BrokenPipeError("the WebSocket is closing")
        self._link.sendall(websocket.encode(opcode, data, mask=self._client))

    def close(self, code: int = websocket.NORMAL, reason: str = "") -> None:
        """Sends a close frame, once, and lets the peer finish."""
        if not self._closing:
            self._closing = True
            try:
                self._link.sendall(websocket.encode_close(code, reason, mask=self._client))
            except OSError:
                pass
        self._link.finish()

    def abort(self) -> None:
        self._link.close()

    def _answer_close(self, message: websocket.Message) -> None:
        if not self._closing:
            self._closing = True
            code = message.code if message.code != 1005 else websocket.NORMAL
            self._link.sendall(websocket.encode_close(code, mask=self._client))


class Tunnel:
    """A ``duplex.Link`` inside a WebSocket: what comes in binary messages is one stream of bytes."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._messages = socket.messages()

    def recv(self) -> bytes:
        for message in self._messages:
            if message.opcode == websocket.TEXT:
                self._socket.close(websocket.UNSUPPORTED, "text messages are not part of a tunnel")
                return b""
            if message.data:
                return message.data
        return b""

    def sendall(self, data: bytes) -> None:
        self._socket.send(websocket.BINARY, data)

    def finish(self) -> None:
        self._socket.close()

    def close(self) -> None:
        self._socket.abort()
