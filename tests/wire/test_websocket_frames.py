import pytest

from kubeshim.wire import websocket

HEADERS = {
    "connection": "keep-alive, Upgrade",
    "upgrade": "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    "sec-websocket-protocol": "x, v5.channel.k8s.io, v4.channel.k8s.io",
}


def test_the_handshake_of_the_rfc():
    chosen, answer = websocket.accept(HEADERS, ["v4.channel.k8s.io", "v5.channel.k8s.io"])
    assert chosen == "v5.channel.k8s.io"
    assert dict(answer) == {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        "Sec-WebSocket-Protocol": "v5.channel.k8s.io",
    }


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"upgrade": "h2c"}, 400),
        ({"sec-websocket-version": "8"}, 426),
        ({"sec-websocket-key": ""}, 400),
        ({"sec-websocket-protocol": "other"}, 403),
        ({"sec-websocket-protocol": ""}, 403),
    ],
)
def test_refused_handshakes(change, status):
    with pytest.raises(websocket.HandshakeError) as caught:
        websocket.accept({**HEADERS, **change}, ["v5.channel.k8s.io"])
    assert caught.value.status == status


@pytest.mark.parametrize("size", [0, 1, 3, 125, 126, 65535, 65536, 100_001])
def test_frames_survive_the_way_in_any_pieces(size):
    data = bytes(range(256)) * (size // 256 + 1)
    frame = websocket.encode(websocket.BINARY, data[:size], mask=True)
    parser = websocket.Parser()
    found = [*parser.feed(frame[:3]), *parser.feed(frame[3:7]), *parser.feed(frame[7:])]
    assert found == [websocket.Message(websocket.BINARY, data[:size])]


def test_fragments_are_joined_around_control_frames():
    def piece(first, data):
        frame = websocket.encode(websocket.BINARY, data, mask=True)
        return bytes([first]) + frame[1:]

    stream = piece(0x01, b"he") + websocket.encode(websocket.PING, b"p", mask=True) + piece(0x80, b"llo")
    assert list(websocket.Parser().feed(stream)) == [
        websocket.Message(websocket.PING, b"p"),
        websocket.Message(websocket.TEXT, b"hello"),
    ]


@pytest.mark.parametrize(
    "stream",
    [
        websocket.encode(websocket.BINARY, b"not masked"),
        b"\xc2\x80\0\0\0\0",
        b"\x83\x80\0\0\0\0",
        b"\x80\x80\0\0\0\0",
        b"\x09\x80\0\0\0\0",
        b"\x82\xff" + (1 << 40).to_bytes(8),
        b"\x88\x81\0\0\0\0x",  # a close with half a code
    ],
)
def test_broken_frames_are_refused(stream):
    with pytest.raises(websocket.ProtocolError):
        list(websocket.Parser().feed(stream))


def test_close_carries_its_code():
    frame = websocket.encode_close(1001, "bye", mask=True)
    assert list(websocket.Parser().feed(frame)) == [websocket.Message(websocket.CLOSE, b"bye", 1001)]
