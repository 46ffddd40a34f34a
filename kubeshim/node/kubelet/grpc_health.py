"""One question of the gRPC health protocol, over as much of HTTP/2 as it takes.

The request's headers are sent without compression tables; of the answer only the data frame is read: what its
headers say changes nothing, for without data the service is not healthy.

Source: RFC 9113; RFC 7541, sections 5 and 6.2.2; ``grpc.health.v1``.
"""

import socket
import struct

UNKNOWN, SERVING, NOT_SERVING, SERVICE_UNKNOWN = range(4)
NAMES = {UNKNOWN: "UNKNOWN", SERVING: "SERVING", NOT_SERVING: "NOT_SERVING", SERVICE_UNKNOWN: "SERVICE_UNKNOWN"}

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GO_AWAY = 0, 1, 3, 4, 6, 7
_END_STREAM, _END_HEADERS, _ACK, _PADDED = 1, 4, 1, 8
_LARGEST_FRAME = 16384


class Broken(Exception):
    """The answer was not one."""


def check(sock: socket.socket, authority: str, service: str) -> int:
    """The status the service answers. Raises ``Broken``, ``OSError``; time limits are the socket's."""
    headers = {
        ":method": "POST",
        ":scheme": "http",
        ":path": "/grpc.health.v1.Health/Check",
        ":authority": authority,
        "content-type": "application/grpc",
        "te": "trailers",
        "user-agent": "kube-probe/1.37",
    }
    name = service.encode()
    message = b"\x0a" + _varint(len(name)) + name if name else b""
    sock.sendall(
        _PREFACE
        + _frame(_SETTINGS, 0, 0, b"")
        + _frame(_HEADERS, _END_HEADERS, 1, b"".join(_literal(key, value) for key, value in headers.items()))
        + _frame(_DATA, _END_STREAM, 1, b"\x00" + struct.pack(">I", len(message)) + message)
    )
    return _answer(sock)


def _answer(sock: socket.socket) -> int:
    data = b""
    while True:
        kind, flags, stream, payload = _read_frame(sock)
        if kind == _SETTINGS and not flags & _ACK:
            sock.sendall(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            sock.sendall(_frame(_PING, _ACK, 0, payload))
        elif kind == _GO_AWAY:
            raise Broken("the server closed the connection")
        elif kind == _RESET and stream == 1:
            raise Broken("the server reset the stream")
        elif kind == _DATA and stream == 1:
            data += payload[1 : len(payload) - payload[0]] if flags & _PADDED else payload
            if len(data) >= 5 and len(data) >= 5 + struct.unpack(">I", data[1:5])[0]:
                return _status(data[5:])
        if kind in (_DATA, _HEADERS) and stream == 1 and flags & _END_STREAM:
            raise Broken("the server answered without a message: is this a health service?")


def _status(message: bytes) -> int:
    """Field 1 of ``HealthCheckResponse``; an empty message means 0."""
    return message[1] if len(message) >= 2 and message[0] == 0x08 else UNKNOWN


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _read_frame(sock: socket.socket) -> tuple[int, int, int, bytes]:
    head = _exactly(sock, 9)
    size = struct.unpack(">I", b"\x00" + head[:3])[0]
    if size > _LARGEST_FRAME:
        raise Broken("the server does not speak HTTP/2")
    kind, flags, stream = struct.unpack(">BBI", head[3:])
    return kind, flags, stream & 0x7FFFFFFF, _exactly(sock, size)


def _exactly(sock: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        part = sock.recv(size - len(found))
        if not part:
            raise Broken("the server closed the connection")
        found += part
    return found


def _literal(name: str, value: str) -> bytes:
    """A header never indexed, name and value as they are (no Huffman coding)."""
    return b"\x00" + _text(name) + _text(value)


def _text(value: str) -> bytes:
    data = value.encode()
    if len(data) < 127:
        return bytes([len(data)]) + data
    return b"\x7f" + _varint(len(data) - 127) + data


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >= 128:
        out.append(number % 128 + 128)
        number //= 128
    out.append(number)
    return bytes(out)
