"""What goes over a WebSocket's link around its end."""

import pytest

from kubeshim.wire import websocket, websocket_link


class Link:
    def __init__(self, *received):
        self._received = list(received)
        self.sent = []

    def recv(self):
        return self._received.pop(0) if self._received else b""

    def sendall(self, data):
        self.sent.append(data)

    def finish(self):
        pass


def test_nothing_follows_the_answer_to_a_close():
    link = Link(websocket.encode_close(1000, "bye", mask=True))
    end = websocket_link.WebSocket(link)
    end.send(websocket.BINARY, b"x")
    assert list(end.messages()) == []
    with pytest.raises(BrokenPipeError):
        end.send(websocket.BINARY, b"too late")
    end.close()
    assert link.sent == [websocket.encode(websocket.BINARY, b"x"), websocket.encode_close(1000)]
