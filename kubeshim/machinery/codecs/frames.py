"""Watch frames: one event of a watch as bytes on the wire.

Events are built around the object's bytes, so that an object is encoded once however many watch it.
"""

import struct
from collections.abc import Iterator

from kubeshim.machinery.codecs import protobuf_writer

_varint = protobuf_writer.varint
_HEADS = {
    kind: f'{{"type":"{kind}","object":'.encode() for kind in ("ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR")
}


def json_frame(kind: str, encoded: bytes) -> bytes:
    """A line of a JSON watch. ``encoded`` is the object as JSON, without a newline in it."""
    return b"".join((_HEADS[kind], encoded.rstrip(b"\n"), b"}\n"))


def protobuf_frame(kind: str, encoded: bytes) -> bytes:
    """A frame of a protobuf watch: length, then the bare ``WatchEvent``, whose object is ``encoded`` (an envelope)."""
    name = kind.encode()
    extension = b"\x0a" + _varint(len(encoded))
    head = b"".join((b"\x0a", _varint(len(name)), name, b"\x12", _varint(len(extension) + len(encoded)), extension))
    return b"".join((struct.pack(">I", len(head) + len(encoded)), head, encoded))


def json_messages(chunk: bytes) -> list[bytes]:
    """The lines of a JSON watch, each whole."""
    return chunk.splitlines(keepends=True)


def protobuf_messages(chunk: bytes) -> Iterator[bytes]:
    """The events of whole protobuf frames, without their lengths."""
    at = 0
    while at < len(chunk):
        size = int.from_bytes(chunk[at : at + 4])
        yield chunk[at + 4 : at + 4 + size]
        at += 4 + size
