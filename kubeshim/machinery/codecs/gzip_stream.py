"""A gzip stream put together from parts that are compressed once, however many read them.

Each part is compressed by itself and ends on a byte, so any sequence of parts is one valid deflate stream and a reader
can unpack each as it comes. What a stream keeps between parts is a checksum and a length: an idle one costs nothing. It
is one gzip member, which every reader understands; a member a part, as some servers write it, many readers refuse.
"""

import struct
import zlib

_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"
_LEVEL, _WINDOW, _MEMORY = 1, -15, 8


def part(content: bytes) -> bytes:
    """``content`` compressed, to stand in any stream."""
    machine = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW, _MEMORY)
    return machine.compress(content) + machine.flush(zlib.Z_SYNC_FLUSH)


class Stream:
    """One reader's stream."""

    __slots__ = ("_checksum", "_length")

    def __init__(self) -> None:
        self._checksum = 0
        self._length = 0

    def add(self, content: bytes, packed: bytes) -> bytes:
        """The next bytes to send: ``packed`` is ``part(content)``."""
        header = b"" if self._length else _HEADER
        self._checksum = zlib.crc32(content, self._checksum)
        self._length += len(content)
        return header + packed

    def end(self) -> bytes:
        """The last bytes to send; none where there was no part."""
        if not self._length:
            return b""
        return b"\x03\x00" + struct.pack("<II", self._checksum, self._length & 0xFFFFFFFF)
