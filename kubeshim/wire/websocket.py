"""WebSocket (RFC 6455), the server's side: handshake and frames, no I/O.

``accept`` judges an upgrade request and gives the answer's headers; a ``Parser`` turns bytes into whole messages and
control frames; ``encode`` makes frames. Kubernetes uses sub-protocols that put channels into messages: those are in
``remotecommand``. Extensions (compression) are never agreed to.
"""

import base64
import dataclasses
import hashlib
import os
import struct
from collections.abc import Iterator, Mapping, Sequence

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
_CONTINUATION = 0x0
NORMAL, PROTOCOL_ERROR, UNSUPPORTED, BAD_DATA, TOO_BIG, SERVER_ERROR = 1000, 1002, 1003, 1007, 1009, 1011
MAX_MESSAGE = 16 << 20
"""Bytes of a message: SPDY and stdin come in pieces of 32 KiB, so anything like this is an attack or a mistake."""

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_NAMES = {TEXT, BINARY, CLOSE, PING, PONG, _CONTINUATION}


class HandshakeError(Exception):
    """The upgrade request is refused; ``status`` is the HTTP code."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class ProtocolError(Exception):
    """The peer broke the protocol; ``code`` goes into the close frame."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclasses.dataclass(frozen=True, slots=True)
class Message:
    """A whole message, or a control frame. Of a close frame ``code`` is its code (1005 where it had none)."""

    opcode: int
    data: bytes
    code: int = 0


def is_upgrade(headers: Mapping[str, str]) -> bool:
    """Whether lower-cased headers ask for WebSocket."""
    return "upgrade" in _tokens(headers.get("connection", "")) and "websocket" in _tokens(headers.get("upgrade", ""))


def offered(headers: Mapping[str, str]) -> list[str]:
    """The sub-protocols a client offers, in its order."""
    return [text.strip() for text in headers.get("sec-websocket-protocol", "").split(",") if text.strip()]


def accept(headers: Mapping[str, str], protocols: Sequence[str]) -> tuple[str, list[tuple[str, str]]]:
    """``(sub-protocol, answer headers)`` for an upgrade request with lower-cased header names.

    The first offered sub-protocol that is in ``protocols`` is taken; a client that offers none gets none if ``""``
    is in ``protocols``. Raises ``HandshakeError``.
    """
    if not is_upgrade(headers):
        raise HandshakeError(400, "not a WebSocket upgrade request")
    if headers.get("sec-websocket-version", "").strip() != "13":
        raise HandshakeError(426, "unsupported WebSocket version, only 13 is spoken")
    key = headers.get("sec-websocket-key", "").strip()
    if not key:
        raise HandshakeError(400, "mismatch challenge/response: no Sec-WebSocket-Key")
    offers = offered(headers)
    chosen = next((offer for offer in offers if offer in protocols), None)
    if chosen is None:
        if offers or "" not in protocols:
            raise HandshakeError(403, f"requested protocols {offers} are not supported, only {list(protocols)} are")
        chosen = ""
    digest = base64.b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()).decode()
    answer = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", digest)]
    if chosen:
        answer.append(("Sec-WebSocket-Protocol", chosen))
    return chosen, answer


def encode(opcode: int, data: bytes, *, mask: bool = False) -> bytes:
    """One whole frame. Clients mask, servers do not."""
    size = len(data)
    flag = 0x80 if mask else 0
    if size < 126:
        head = struct.pack("!BB", 0x80 | opcode, flag | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", 0x80 | opcode, flag | 126, size)
    else:
        head = struct.pack("!BBQ", 0x80 | opcode, flag | 127, size)
    if mask:
        key = os.urandom(4)
        return head + key + apply_mask(data, key)
    return head + data


def encode_close(code: int = NORMAL, reason: str = "", *, mask: bool = False) -> bytes:
    return encode(CLOSE, struct.pack("!H", code) + reason.encode()[:123], mask=mask)


def apply_mask(data: bytes, key: bytes) -> bytes:
    """XOR with the repeated four-byte key, as one operation on big integers (a gigabyte a second, no loop)."""
    size = len(data)
    if not size:
        return b""
    stream = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(data) ^ int.from_bytes(stream)).to_bytes(size)


class Parser:
    """Bytes to messages. Joins fragments; control frames come through between them."""

    def __init__(self, *, client: bool = False, max_message: int = MAX_MESSAGE) -> None:
        self._masked = not client
        self._max = max_message
        self._buffer = bytearray()
        self._opcode = 0
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> Iterator[Message]:
        """Messages completed by ``data``. Raises ``ProtocolError``."""
        self._buffer += data
        while (frame := self._frame()) is not None:
            message = self._message(*frame)
            if message is not None:
                yield message

    def _frame(self) -> tuple[bool, int, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        final, opcode, size = bool(buffer[0] & 0x80), buffer[0] & 0x0F, buffer[1] & 0x7F
        if buffer[0] & 0x70 or opcode not in _NAMES:
            raise ProtocolError(PROTOCOL_ERROR, "reserved bits or opcode")
        if bool(buffer[1] & 0x80) is not self._masked:
            raise ProtocolError(PROTOCOL_ERROR, "frames from a client must be masked, those from a server not")
        at = 2
        if size >= 126:
            width = 2 if size == 126 else 8
            if len(buffer) < at + width:
                return None
            size = int.from_bytes(buffer[at : at + width])
            at += width
        if opcode >= CLOSE and (size > 125 or not final):
            raise ProtocolError(PROTOCOL_ERROR, "control frames are short and whole")
        if size + self._size > self._max:
            raise ProtocolError(TOO_BIG, f"message larger than {self._max} bytes")
        key = b""
        if self._masked:
            key = bytes(buffer[at : at + 4])
            at += 4
        if len(buffer) < at + size:
            return None
        data = bytes(buffer[at : at + size])
        del buffer[: at + size]
        return final, opcode, apply_mask(data, key) if key else data

    def _message(self, final: bool, opcode: int, data: bytes) -> Message | None:
        if opcode == CLOSE:
            if len(data) == 1:
                raise ProtocolError(PROTOCOL_ERROR, "close frame with half a code")
            return Message(CLOSE, data[2:], int.from_bytes(data[:2]) if data else 1005)
        if opcode in (PING, PONG):
            return Message(opcode, data)
        if (opcode == _CONTINUATION) is not bool(self._opcode):
            raise ProtocolError(PROTOCOL_ERROR, "fragments out of order")
        if final and opcode != _CONTINUATION:
            return Message(opcode, data)
        self._opcode = self._opcode or opcode
        self._parts.append(data)
        self._size += len(data)
        if not final:
            return None
        whole = Message(self._opcode, b"".join(self._parts))
        self._opcode, self._parts, self._size = 0, [], 0
        return whole


def _tokens(text: str) -> list[str]:
    return [token.strip().lower() for token in text.split(",")]
