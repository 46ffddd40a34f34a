"""From a JSON value to the protobuf message that stands for it.

Only what the object has is written: readers take what is absent for Go's zero value, so nothing is lost by
leaving out the zeros that Go itself would write. Map entries go in the order of their keys.
"""

import base64
import functools
import struct
from collections.abc import Callable
from typing import Any

from kubeshim.machinery.codecs import descriptors, protobuf_special

_Write = Callable[[Any], bytes]


def write(name: str, value: Any) -> bytes:
    """The bytes of message ``name``. Raises ``ValueError`` where the value does not fit its type."""
    try:
        return _message(name, value)
    except (TypeError, AttributeError, KeyError) as problem:
        raise ValueError(f"not a {name.rpartition('.')[2]}: {problem}") from None


def varint(number: int) -> bytes:
    if 0 <= number < 0x80:
        return bytes((number,))
    number &= 0xFFFFFFFFFFFFFFFF
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def delimited(number: int, content: bytes) -> bytes:
    """A length-delimited field."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def _message(name: str, value: Any) -> bytes:
    special = protobuf_special.TABLE.get(name)
    fields: dict[str, Any] = special[1](value) if special is not None else value
    parts: list[bytes] = []
    for key, write_field in _writers(name):
        if key is None:
            parts.append(write_field(fields))
            continue
        found = fields.get(key)
        if found is not None:
            parts.append(write_field(found))
    return b"".join(parts)


@functools.cache
def _writers(name: str) -> list[tuple[str | None, _Write]]:
    """Per field in number order: the JSON key (None for an inlined struct, which gets the whole object)."""
    special = name in protobuf_special.TABLE
    return [
        (None, _inline(field)) if field.presence == "inline" else (field.name, _writer(field, special))
        for field in descriptors.messages()[name].fields
    ]


def _inline(field: descriptors.Field) -> _Write:
    def write_inline(fields: Any) -> bytes:
        content = _message(field.type, fields)
        return delimited(field.number, content) if content else b""

    return write_inline


def _writer(field: descriptors.Field, special: bool) -> _Write:
    if field.label == "map":
        return _map_writer(field)
    one = _field_writer(field.number, field.type, raw=special and field.name in protobuf_special.KEEP_BYTES)
    if field.label == "repeated":
        return lambda values: b"".join(map(one, values))
    return one


def _field_writer(number: int, kind: str, *, raw: bool = False) -> _Write:
    text_tag, number_tag, double_tag = varint(number << 3 | 2), varint(number << 3), varint(number << 3 | 1)

    def prefixed(content: bytes) -> bytes:
        return text_tag + varint(len(content)) + content

    if kind == "string":
        return lambda value: prefixed(value.encode())
    if kind == "bytes":
        return prefixed if raw else lambda value: prefixed(base64.b64decode(value))
    if kind == "bool":
        return lambda value: number_tag + (b"\x01" if value else b"\x00")
    if kind == "double":
        return lambda value: double_tag + struct.pack("<d", value)
    if kind in descriptors.SCALARS:
        return lambda value: number_tag + varint(_whole(value))
    return lambda value: prefixed(_message(kind, value))


def _whole(value: Any) -> int:
    number = int(value)
    if number != value:
        raise ValueError(f"{value} is no whole number")
    return number


def _map_writer(field: descriptors.Field) -> _Write:
    value_writer = _field_writer(2, field.type.partition(",")[2])

    def write_map(entries: dict[str, Any]) -> bytes:
        return b"".join(
            delimited(field.number, delimited(1, key.encode()) + (b"" if value is None else value_writer(value)))
            for key, value in sorted(entries.items())
        )

    return write_map
