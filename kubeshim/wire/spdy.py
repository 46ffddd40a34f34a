"""SPDY/3.1 framing, no I/O: what kubectl speaks for exec, attach, port-forward where it cannot use WebSocket.

``Decoder`` turns bytes into frames, ``Encoder`` frames into bytes; both carry the connection's zlib state (header
blocks share one stream a direction, primed with the protocol's dictionary). Kubernetes' SPDY library neither sends
window updates nor heeds them, so windows are told but not enforced here; ``spdy_session`` bounds what it buffers.
"""

import dataclasses
import struct
import zlib
from collections.abc import Iterator, Mapping

SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
DATA = 0
FIN = 0x01
UNIDIRECTIONAL = 0x02

PROTOCOL_ERROR, INVALID_STREAM, REFUSED_STREAM, CANCEL, INTERNAL_ERROR = 1, 2, 3, 5, 6
"""Statuses of RST_STREAM."""
MAX_FRAME = 1 << 24
MAX_HEADERS = 1 << 20

_VERSION = 3
_U32 = struct.Struct("!I")


_WORDS = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age "
    "allow authorization cache-control connection content-base content-encoding content-language content-length "
    "content-location content-md5 content-range content-type date etag expect expires from host if-match "
    "if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma "
    "proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
    "user-agent vary via warning www-authenticate method get status 200_OK version HTTP/1.1 url public "
    "set-cookie keep-alive origin"
)
_TEXT = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized"
    "403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
    "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
    "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,"
    "text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)


def _dictionary() -> bytes:
    """The dictionary of SPDY/3 (its section 2.6.10.1): words with their lengths, then plain text."""
    words = [word.replace("_", " ").encode() for word in _WORDS.split(" ")]
    return b"".join(_U32.pack(len(word)) + word for word in words) + _TEXT.encode()


DICTIONARY = _dictionary()


class SpdyError(Exception):
    """The peer broke the protocol; the session cannot go on."""


@dataclasses.dataclass(frozen=True, slots=True)
class Frame:
    """``kind`` is ``DATA`` or a control type. ``value`` is what the type carries as a number: a status, a ping's id,
    a window's growth. Header names are lower case."""

    kind: int
    stream: int = 0
    flags: int = 0
    data: bytes = b""
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    value: int = 0

    @property
    def fin(self) -> bool:
        return bool(self.flags & FIN)


class Encoder:
    """Frames to bytes. The order of calls is the order on the wire: callers hold a lock over encode and send."""

    def __init__(self) -> None:
        self._zlib = zlib.compressobj(level=9, wbits=11, memLevel=1, zdict=DICTIONARY)

    def encode(self, frame: Frame) -> bytes:
        if frame.kind == DATA:
            return struct.pack("!II", frame.stream, frame.flags << 24 | len(frame.data)) + frame.data
        body = self._body(frame)
        return struct.pack("!HHI", 0x8000 | _VERSION, frame.kind, frame.flags << 24 | len(body)) + body

    def _body(self, frame: Frame) -> bytes:
        if frame.kind == SYN_STREAM:
            return struct.pack("!IIBB", frame.stream, 0, 0, 0) + self._headers(frame.headers)
        if frame.kind in (SYN_REPLY, HEADERS):
            return _U32.pack(frame.stream) + self._headers(frame.headers)
        if frame.kind in (RST_STREAM, GOAWAY, WINDOW_UPDATE):
            return struct.pack("!II", frame.stream, frame.value)
        if frame.kind == PING:
            return _U32.pack(frame.value)
        raise ValueError(f"no way to encode frames of type {frame.kind}")

    def _headers(self, headers: Mapping[str, str]) -> bytes:
        plain = [_U32.pack(len(headers))]
        for name, value in headers.items():
            for text in (name.lower().encode(), value.encode()):
                plain += [_U32.pack(len(text)), text]
        return self._zlib.compress(b"".join(plain)) + self._zlib.flush(zlib.Z_SYNC_FLUSH)


class Decoder:
    """Bytes to frames."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(zdict=DICTIONARY)
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Frames completed by ``data``; types nobody needs are passed over. Raises ``SpdyError``."""
        self._buffer += data
        while len(self._buffer) >= 8:
            first, second = struct.unpack_from("!II", self._buffer)
            size = second & 0xFFFFFF
            if len(self._buffer) < 8 + size:
                return
            body = bytes(self._buffer[8 : 8 + size])
            del self._buffer[: 8 + size]
            frame = self._frame(first, second >> 24, body)
            if frame is not None:
                yield frame

    def _frame(self, first: int, flags: int, body: bytes) -> Frame | None:
        if not first & 0x80000000:
            return Frame(DATA, first, flags, body)
        version, kind = first >> 16 & 0x7FFF, first & 0xFFFF
        if version != _VERSION:
            raise SpdyError(f"SPDY version {version} is not spoken, only {_VERSION}")
        try:
            if kind == SYN_STREAM:
                return Frame(kind, _id(body), flags, headers=self._headers(body[10:]))
            if kind in (SYN_REPLY, HEADERS):
                return Frame(kind, _id(body), flags, headers=self._headers(body[4:]))
            if kind in (RST_STREAM, GOAWAY, WINDOW_UPDATE):
                return Frame(kind, _id(body), flags, value=_U32.unpack_from(body, 4)[0])
            if kind == PING:
                return Frame(kind, value=_U32.unpack_from(body)[0])
        except (struct.error, UnicodeDecodeError, zlib.error) as error:
            raise SpdyError(f"malformed frame of type {kind}: {error}") from error
        return None

    def _headers(self, block: bytes) -> dict[str, str]:
        plain = self._zlib.decompress(block, MAX_HEADERS)
        if self._zlib.unconsumed_tail:
            raise SpdyError(f"headers larger than {MAX_HEADERS} bytes")
        count = _U32.unpack_from(plain)[0]
        at = 4
        found = {}
        for _ in range(count):
            texts = []
            for _ in range(2):
                size = _U32.unpack_from(plain, at)[0]
                if len(plain) < at + 4 + size:
                    raise SpdyError("truncated headers")
                texts.append(plain[at + 4 : at + 4 + size].decode())
                at += 4 + size
            found[texts[0].lower()] = texts[1]
        return found


def _id(body: bytes) -> int:
    number: int = _U32.unpack_from(body)[0] & 0x7FFFFFFF
    return number
