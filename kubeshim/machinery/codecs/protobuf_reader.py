"""From a protobuf message to the JSON value it stands for.

Field handlers are compiled once a message. Missing and zero fields come out as Go would write the struct: see
``descriptors`` for what presence means. Unknown field numbers are passed over, as protobuf has it.
"""

import base64
import functools
import struct
from collections.abc import Callable
from typing import Any

from kubeshim.machinery.codecs import descriptors, protobuf_special

MAX_DEPTH = 200

_Put = Callable[[bytes, int, int, dict[str, Any], int], None]
"""``put(buffer, start, end, into, depth)`` for length-delimited fields; for varints ``start`` is the number."""
_Handler = tuple[int, _Put]
"""Wire type and what to do."""


class Malformed(ValueError):
    """Not the bytes of such a message."""


def read(name: str, buffer: bytes) -> Any:
    """The JSON value of message ``name``. Raises ``Malformed``."""
    try:
        return _value(name, buffer, 0, len(buffer), 0)
    except (IndexError, struct.error):
        raise Malformed("unexpected EOF") from None
    except UnicodeDecodeError:
        raise Malformed("string field contains invalid UTF-8") from None
    except ValueError as problem:
        raise problem if isinstance(problem, Malformed) else Malformed(str(problem)) from None


def varint(buffer: bytes, at: int) -> tuple[int, int]:
    """``(number, next position)``."""
    byte = buffer[at]
    at += 1
    if byte < 0x80:
        return byte, at
    number = byte & 0x7F
    shift = 7
    while True:
        byte = buffer[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
        if shift > 63:
            raise Malformed("integer overflow")


def _value(name: str, buffer: bytes, at: int, end: int, depth: int) -> Any:
    fields: dict[str, Any] = {}
    _fill(name, buffer, at, end, fields, depth)
    special = protobuf_special.TABLE.get(name)
    return special[0](fields) if special is not None else fields


def _fill(name: str, buffer: bytes, at: int, end: int, into: dict[str, Any], depth: int) -> None:
    """Reads the fields between ``at`` and ``end`` into ``into``."""
    if depth > MAX_DEPTH:
        raise Malformed("exceeded max depth")
    handlers = _handlers(name)
    while at < end:
        tag = buffer[at]
        at += 1
        if tag > 0x7F:
            tag, at = varint(buffer, at - 1)
        wire = tag & 7
        handler = handlers.get(tag >> 3)
        if handler is not None and handler[0] != wire:
            handler = _packed(handler, wire)
        if wire == 2:
            length = buffer[at]
            at += 1
            if length > 0x7F:
                length, at = varint(buffer, at - 1)
            stop = at + length
            if stop > end:
                raise Malformed("unexpected EOF")
            if handler is not None:
                handler[1](buffer, at, stop, into, depth)
            at = stop
        elif wire == 0:
            number, at = varint(buffer, at)
            if handler is not None:
                handler[1](buffer, number, 0, into, depth)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
            if at + size > end:
                raise Malformed("unexpected EOF")
            if handler is not None:
                handler[1](buffer, at, at + size, into, depth)
            at += size
        else:
            raise Malformed(f"proto: illegal wireType {wire}")
    if at != end:
        raise Malformed("unexpected EOF")


def _packed(handler: _Handler, wire: int) -> _Handler:
    """Repeated numbers may come packed into one field."""
    if wire != 2 or handler[0] != 0:
        raise Malformed(f"proto: wrong wireType = {wire}")

    def put(buffer: bytes, at: int, end: int, into: dict[str, Any], depth: int) -> None:
        while at < end:
            number, at = varint(buffer, at)
            handler[1](buffer, number, 0, into, depth)

    return 2, put


@functools.cache
def _handlers(name: str) -> dict[int, _Handler]:
    special = name in protobuf_special.TABLE
    return {field.number: _handler(field, special) for field in descriptors.messages()[name].fields}


def _handler(field: descriptors.Field, special: bool) -> _Handler:
    name = field.name
    if field.presence == "inline":
        kind = field.type
        return 2, lambda buffer, at, end, into, depth: _fill(kind, buffer, at, end, into, depth + 1)
    if field.label == "map":
        return 2, _map_put(name, field.type)
    if field.type not in descriptors.SCALARS and field.type not in protobuf_special.TABLE:
        return 2, _struct_put(name, field.type, field.label, field.presence)
    wire, convert = _converter(field.type, raw=special and name in protobuf_special.KEEP_BYTES)
    omit = protobuf_special.OMIT
    drop_zero = not special and (
        field.presence == "value" or (field.presence == "struct" and field.type.endswith(".IntOrString"))
    )

    def put_one(buffer: bytes, at: int, end: int, into: dict[str, Any], depth: int) -> None:
        value = convert(buffer, at, end, depth)
        if value is omit:
            return
        if value or not drop_zero:
            into[name] = value
        elif name in into:
            del into[name]

    def put_many(buffer: bytes, at: int, end: int, into: dict[str, Any], depth: int) -> None:
        value = convert(buffer, at, end, depth)
        into.setdefault(name, []).append(None if value is omit else value)

    return wire, put_many if field.label == "repeated" else put_one


def _struct_put(name: str, kind: str, label: str, presence: descriptors.Presence) -> _Put:
    """A message inside a message. Said twice, the second adds to the first, as protobuf has it."""

    def put_struct(buffer: bytes, at: int, end: int, into: dict[str, Any], depth: int) -> None:
        found = into.get(name)
        if found is None:
            found = into[name] = {}
        _fill(kind, buffer, at, end, found, depth + 1)
        if not found and presence == "value":
            del into[name]

    def put_item(buffer: bytes, at: int, end: int, into: dict[str, Any], depth: int) -> None:
        item: dict[str, Any] = {}
        _fill(kind, buffer, at, end, item, depth + 1)
        found = into.get(name)
        if found is None:
            into[name] = [item]
        else:
            found.append(item)

    return put_item if label == "repeated" else put_struct


_Convert = Callable[[bytes, int, int, int], Any]


def _converter(kind: str, *, raw: bool = False) -> tuple[int, _Convert]:
    if kind == "string":
        return 2, lambda buffer, at, end, depth: buffer[at:end].decode()
    if kind == "bytes":
        if raw:
            return 2, lambda buffer, at, end, depth: buffer[at:end]
        return 2, lambda buffer, at, end, depth: base64.b64encode(buffer[at:end]).decode()
    if kind == "bool":
        return 0, lambda buffer, number, _, depth: number != 0
    if kind in ("int32", "int64"):
        return 0, lambda buffer, number, _, depth: number - (1 << 64) if number >> 63 else number
    if kind in ("uint32", "uint64"):
        return 0, lambda buffer, number, _, depth: number
    if kind == "double":
        return 1, lambda buffer, at, end, depth: struct.unpack("<d", buffer[at:end])[0]
    return 2, lambda buffer, at, end, depth: _value(kind, buffer, at, end, depth + 1)


def _map_put(name: str, entry: str) -> _Put:
    value_kind = entry.partition(",")[2]
    wire, convert = _converter(value_kind)
    empty: Any = "" if value_kind in ("string", "bytes") else None

    def put(buffer: bytes, at: int, end: int, into: dict[str, Any], depth: int) -> None:
        key, value, seen = "", empty, False
        while at < end:
            tag, at = varint(buffer, at)
            if tag & 7 == 2:
                length, at = varint(buffer, at)
                stop = at + length
                if stop > end:
                    raise Malformed("unexpected EOF")
                if tag >> 3 == 1:
                    key = buffer[at:stop].decode()
                elif tag >> 3 == 2:
                    value, seen = convert(buffer, at, stop, depth), True
                at = stop
            elif tag & 7 == 0 and wire == 0:
                number, at = varint(buffer, at)
                value, seen = convert(buffer, number, 0, depth), True
            else:
                raise Malformed("proto: wrong wireType in map entry")
        if not seen and empty is None:
            value = _value(value_kind, b"", 0, 0, depth)
        into.setdefault(name, {})[key] = None if value is protobuf_special.OMIT else value

    return put
