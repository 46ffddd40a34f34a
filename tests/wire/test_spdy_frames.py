import socket
import threading
import zlib

import pytest

from kubeshim.wire import duplex, spdy, spdy_session


def test_the_dictionary_is_the_protocols():
    assert (len(spdy.DICTIONARY), zlib.adler32(spdy.DICTIONARY)) == (1423, 0xE3C6A7C2)


FRAMES = [
    spdy.Frame(spdy.SYN_STREAM, 1, headers={"streamtype": "data", "port": "80"}),
    spdy.Frame(spdy.SYN_REPLY, 1),
    spdy.Frame(spdy.DATA, 1, data=b"hello"),
    spdy.Frame(spdy.DATA, 1, spdy.FIN),
    spdy.Frame(spdy.HEADERS, 1, headers={"a": "ä"}),
    spdy.Frame(spdy.RST_STREAM, 1, value=spdy.CANCEL),
    spdy.Frame(spdy.PING, value=7),
    spdy.Frame(spdy.GOAWAY, 1, value=0),
    spdy.Frame(spdy.WINDOW_UPDATE, 1, value=65536),
]


def test_frames_survive_the_way_in_any_pieces():
    encoder, decoder = spdy.Encoder(), spdy.Decoder()
    wire = b"".join(encoder.encode(frame) for frame in FRAMES)
    found = [frame for byte in wire for frame in decoder.feed(bytes([byte]))]
    assert found == FRAMES


@pytest.mark.parametrize(
    "wire",
    [
        b"\x80\x02\x00\x01\x00\x00\x00\x00",
        b"\x80\x03\x00\x01\x00\x00\x00\x02ab",
        b"\x80\x03\x00\x01\x00\x00\x00\x0e" + b"\0\0\0\1" + b"x" * 10,
    ],
)
def test_broken_frames_are_refused(wire):
    with pytest.raises(spdy.SpdyError):
        list(spdy.Decoder().feed(wire))


def test_streams_go_both_ways_and_half_close():
    here, there = socket.socketpair()
    echoed = []

    def echo(stream):
        def work():
            while data := stream.read():
                stream.write(data.upper())
            stream.write(b"!")
            stream.close()
            echoed.append(dict(stream.headers))

        threading.Thread(target=work, daemon=True).start()

    server = spdy_session.Session(duplex.Duplex(there), echo)
    client = spdy_session.Session(duplex.Duplex(here), client=True)
    threads = [threading.Thread(target=session.run, daemon=True) for session in (server, client)]
    for thread in threads:
        thread.start()
    first, second = client.open({"streamType": "data"}), client.open({"streamType": "error"})
    for stream, text in ((first, b"a" * 100_000), (second, b"bc")):
        stream.write(text)
        stream.close()
        got = b""
        while data := stream.read():
            got += data
        assert got == text.upper() + b"!"
    client.finish()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert echoed == [{"streamtype": "data"}, {"streamtype": "error"}]
    server.close()
    with pytest.raises(OSError):
        first.write(b"x")
