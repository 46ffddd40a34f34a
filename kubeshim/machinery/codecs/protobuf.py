"""``application/vnd.kubernetes.protobuf``: what every typed Go client sends, and takes best.

A body is the prefix ``k8s\\0`` and a ``runtime.Unknown``: apiVersion and kind, then the object's own message.
So a body describes itself; custom resources have no message and no protobuf form.
"""

import functools
from collections.abc import Sequence

from kubeshim.machinery import objects, resources
from kubeshim.machinery.codecs import descriptors, json, protobuf_reader, protobuf_writer

PREFIX = b"k8s\x00"
_UNKNOWN = "k8s.io.apimachinery.pkg.runtime."


def decode(body: bytes, default: resources.GroupVersionKind | None = None) -> objects.Object:
    """The object a body holds. ``default`` is its kind where the envelope names none.

    Raises ``json.Malformed``, also for kinds that have no protobuf form.
    """
    if body[:4] != PREFIX:
        found = "empty data" if not body else _NOT_PROTOBUF
        raise json.Malformed(found)
    try:
        type_meta, raw, content_type = _envelope(body)
        group, version = resources.split_api_version(type_meta.get("apiVersion", ""))
        gvk = resources.GroupVersionKind(group, version, type_meta.get("kind", ""))
        if not gvk.kind and default is not None:
            gvk = default
        if content_type == "application/json":
            return dict(json.decode(raw, strict=False)[0])
        message = descriptors.message_for_kind(*gvk)
        if message is None:
            raise json.Malformed(f'no kind "{gvk.kind}" is registered for version "{gvk.group_version}"')
        fields = protobuf_reader.read(message.name, raw)
    except protobuf_reader.Malformed as problem:
        raise json.Malformed(str(problem)) from None
    # The types come first, as they do in JSON; a message never has them as fields of its own.
    return {"apiVersion": gvk.group_version, "kind": gvk.kind, **fields}


_NOT_PROTOBUF = f"provided data does not appear to be a protobuf message, expected prefix {list(PREFIX)}".replace(
    ",", ""
)


def _envelope(body: bytes) -> tuple[dict[str, str], bytes, str]:
    """``(typeMeta, raw, contentType)``."""
    type_meta: dict[str, str] = {}
    raw, content_type = b"", ""
    at = len(PREFIX)
    try:
        while at < len(body):
            tag, at = protobuf_reader.varint(body, at)
            length, at = protobuf_reader.varint(body, at)
            content = body[at : at + length]
            if tag & 7 != 2 or len(content) != length:
                raise protobuf_reader.Malformed("unexpected EOF")
            at += length
            if tag >> 3 == 1:
                type_meta = protobuf_reader.read(_UNKNOWN + "TypeMeta", content)
            elif tag >> 3 == 2:
                raw = content
            elif tag >> 3 == 4:
                content_type = content.decode("utf-8", "replace")
    except IndexError:
        raise protobuf_reader.Malformed("unexpected EOF") from None
    return type_meta, raw, content_type


def encode(obj: objects.Object, gvk: resources.GroupVersionKind | None = None) -> bytes:
    """The body for an object of a built-in kind (lists and Status too); ``gvk`` where the object does not say it.

    Raises ``ValueError`` for a kind without a message, or a value that does not fit.
    """
    if gvk is None:
        # The oldest discovery documents do not say their version.
        group, version = resources.split_api_version(obj.get("apiVersion", ""))
        gvk = resources.GroupVersionKind(group, version, obj["kind"])
    return wrap(encode_item(obj, gvk), gvk)


def encode_item(obj: objects.Object, gvk: resources.GroupVersionKind) -> bytes:
    """The bare message of an object, as it stands inside a list. Raises as ``encode``."""
    return protobuf_writer.write(_message(gvk).name, obj)


def encode_list(head: objects.Object, items: Sequence[bytes], gvk: resources.GroupVersionKind) -> bytes:
    """A list from its items' messages (``encode_item``), so that a LIST joins bytes it already has.

    ``head`` is the list without its items.
    """
    message = _message(gvk)
    tag = _varint(next(field.number for field in message.fields if field.name == "items") << 3 | 2)
    parts = [protobuf_writer.write(message.name, head)]
    for item in items:
        parts.append(tag + _varint(len(item)))
        parts.append(item)
    length = sum(map(len, parts))
    return b"".join((_start(gvk), b"\x12", _varint(length), *parts, _END))


def wrap(message: bytes, gvk: resources.GroupVersionKind) -> bytes:
    """The body for a bare message."""
    return b"".join((_start(gvk), b"\x12", _varint(len(message)), message, _END))


def metadata_alone(message: bytes) -> bytes:
    """Of an object's message the message of its ``PartialObjectMetadata``: both have the metadata as field 1, first."""
    if message[:1] != b"\x0a":
        return b""
    length, at = protobuf_reader.varint(message, 1)
    return message[: at + length]


_varint = protobuf_writer.varint
_END = b"\x1a\x00\x22\x00"
"""The envelope's contentEncoding and contentType, which Go writes always, empty."""


@functools.lru_cache(maxsize=1024)
def _start(gvk: resources.GroupVersionKind) -> bytes:
    types = protobuf_writer.write(_UNKNOWN + "TypeMeta", {"apiVersion": gvk.group_version, "kind": gvk.kind})
    return PREFIX + protobuf_writer.delimited(1, types)


def _message(gvk: resources.GroupVersionKind) -> descriptors.Message:
    message = descriptors.message_for_kind(*gvk)
    if message is None:
        raise ValueError(f'no kind "{gvk.kind}" is registered for version "{gvk.group_version}"')
    return message


def has_form(gvk: resources.GroupVersionKind) -> bool:
    """Whether a kind can go over the wire as protobuf."""
    return descriptors.message_for_kind(*gvk) is not None
