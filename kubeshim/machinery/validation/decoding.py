"""Holds a decoded body against its type, as Go's JSON decoder does for the built-in kinds.

Bodies are plain dicts, so nothing else would notice ``replicas: "three"``. ``decode`` refuses what upstream's decoder
refuses, in its words, and leaves the object in the form upstream's structs would have given it: nulls gone,
quantities and times in their canonical text.

A checker is compiled once for each ``Schema`` node. The good path costs one dictionary look-up and one type comparison
a scalar; the path of a field is put together only while an error travels outward.
"""

import binascii
import datetime
import re
from collections.abc import Callable
from typing import Any

from kubeshim import clock
from kubeshim.machinery import errors, objects, quantity, resources
from kubeshim.machinery.schemas import Schema
from kubeshim.machinery.validation import go_times, gotypes

Check = Callable[[Any], Any]
"""Checks a value that is not null, changes it in place or returns what takes its place."""


class Mismatch(Exception):
    """A value of the wrong JSON type. ``path`` grows from the inside out."""

    def __init__(self, value: str, go_type: str) -> None:
        super().__init__(value, go_type)
        self.value, self.go_type = value, go_type
        self.struct = ""
        self.path: list[str] = []

    def __str__(self) -> str:
        place = f"Go struct field {self.struct}.{'.'.join(reversed(self.path))}" if self.struct else "Go value"
        return f"json: cannot unmarshal {self.value} into {place} of type {self.go_type}"


class Malformed(Exception):
    """A text that its own type could not read; the message stands alone."""


def decode(obj: objects.Object, schema: Schema, gvk: resources.GroupVersionKind) -> None:
    """Checks ``obj`` and brings it into canonical form in place. Raises ``BadRequest``."""
    try:
        _compiled(schema)(obj)
    except (Mismatch, Malformed) as error:
        raise errors.BadRequest(
            f'{gvk.kind} in version "{gvk.version}" cannot be handled as a {gvk.kind}: {error}'
        ) from None


def check(value: Any, schema: Schema) -> None:
    """The same for a part of an object. Raises ``Mismatch`` or ``Malformed``."""
    _compiled(schema)(value)


_checks: dict[int, tuple[Schema, Check]] = {}


def _compiled(schema: Schema) -> Check:
    """The checker of a node; the cache holds the schema too, so that its id stays its own."""
    found = _checks.get(id(schema))
    if found is None:
        found = _checks[id(schema)] = (schema, _compile(schema))
    return found[1]


def _compile(schema: Schema) -> Check:
    scalar = _SCALARS.get(schema.kind)
    if scalar is not None:
        return scalar
    match schema.kind:
        case "object":
            return _object_check(schema)
        case "map":
            return _map_check(schema)
        case "array":
            return _array_check(schema)
        case "integer":
            return _integer_check(gotypes.name(schema))
    return _anything


_PLAIN: dict[str, type] = {"string": str, "boolean": bool}


def _object_check(schema: Schema) -> Check:
    go_type = gotypes.name(schema)
    struct = gotypes.struct(schema)
    properties = schema.properties
    plain: dict[str, type | None] = {}
    nested: dict[str, Check] = {}

    def learn(key: str) -> type | None:
        child = properties.get(key)
        if child is None or child.kind == "any":
            plain[key] = None
            nested[key] = _anything
            return None
        plain[key] = _PLAIN.get(child.kind)
        named = gotypes.field(struct, key)
        nested[key] = _text_check(named) if child.kind == "string" and named else _compiled(child)
        return plain[key]

    def check(value: Any) -> Any:
        if type(value) is not dict:
            raise Mismatch(_word(value), go_type)
        nulls = None
        for key, item in value.items():
            expected = plain[key] if key in plain else learn(key) if key in properties else _UNKNOWN
            if type(item) is expected or expected is _UNKNOWN:
                continue
            if item is None:
                nulls = [*(nulls or ()), key]
                continue
            try:
                changed = nested[key](item)
            except Mismatch as error:
                error.struct = error.struct or struct
                error.path.append(key)
                raise
            if changed is not item:
                value[key] = changed
        if nulls:
            for key in nulls:
                del value[key]
        return value

    return check


class _Unknown:
    """The type of no JSON value: a field that is not in the schema is not ours to judge here."""


_UNKNOWN = _Unknown


def _map_check(schema: Schema) -> Check:
    go_type = gotypes.name(schema)
    expected = _PLAIN.get(schema.values.kind) if schema.values else None
    check_value = _compiled(schema.values) if schema.values and schema.values is not schema else _anything
    if check_value is _quantity:
        check_value = _amount

    def check(value: Any) -> Any:
        if type(value) is not dict:
            raise Mismatch(_word(value), go_type)
        for key, item in value.items():
            if type(item) is expected:
                continue
            if item is None:
                changed = _zero(schema.values)
            else:
                changed = check_value(item)
            if changed is not item:
                value[key] = changed
        return value

    return check


def _array_check(schema: Schema) -> Check:
    go_type = gotypes.name(schema)
    expected = _PLAIN.get(schema.items.kind) if schema.items else None
    item_schema = schema.items
    holder: list[Check] = []

    def check(value: Any) -> Any:
        if type(value) is not list:
            raise Mismatch(_word(value), go_type)
        if not holder:
            # compiled at first use: JSONSchemaProps contains itself
            holder.append(_compiled(item_schema) if item_schema else _anything)
        check_item = holder[0]
        for index, item in enumerate(value):
            if type(item) is expected:
                continue
            changed = _zero(item_schema) if item is None else check_item(item)
            if changed is not item:
                value[index] = changed
        return value

    return check


def _zero(schema: Schema | None) -> Any:
    """What Go makes of a null in a list or map: the empty text, the empty struct; other types stay null here."""
    if schema is None:
        return None
    return {} if schema.kind == "object" else "" if schema.kind == "string" else None


def _integer_check(go_type: str) -> Check:
    limit = 2**31 if go_type == "int32" else 2**63

    def check(value: Any) -> Any:
        if type(value) is int and -limit <= value < limit:
            return value
        raise Mismatch(f"number {value}" if type(value) in (int, float) else _word(value), go_type)

    return check


def _text_check(go_type: str) -> Check:
    def check(value: Any) -> Any:
        if type(value) is not str:
            raise Mismatch(_word(value), go_type)
        return value

    return check


def _boolean(value: Any) -> Any:
    if type(value) is not bool:
        raise Mismatch(_word(value), "bool")
    return value


def _number(value: Any) -> Any:
    if type(value) not in (int, float):
        raise Mismatch(_word(value), "float64")
    # Go writes a whole float64 without a fraction
    return int(value) if type(value) is float and value.is_integer() and abs(value) < 2**53 else value


def _anything(value: Any) -> Any:
    return value


def _quantity(value: Any) -> Any:
    return _read_quantity(value, quantity.canonical)


def _amount(value: Any) -> Any:
    """Of a resource: nothing finer than thousandths is kept."""
    return _read_quantity(value, quantity.rounded)


def _read_quantity(value: Any, read: Callable[[str], str]) -> Any:
    if type(value) is not str:
        if type(value) not in (int, float):
            raise Malformed("unmarshalerDecoder: " + quantity.FORMAT_TEXT)
        value = repr(value)
    try:
        return read(value)
    except quantity.FormatError as error:
        raise Malformed(str(error)) from None


def _int_or_string(value: Any) -> Any:
    if type(value) not in (int, str):
        raise Mismatch(_word(value), "int32" if type(value) in (float, bool) else "intstr.IntOrString")
    return value


_CANONICAL_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ").fullmatch


def _time(value: Any) -> Any:
    moment = _moment(value)
    return value if _CANONICAL_TIME(value) else clock.rfc3339(moment)


def _micro_time(value: Any) -> Any:
    return clock.rfc3339_micro(_moment(value, micro=True))


def _moment(value: Any, *, micro: bool = False) -> datetime.datetime:
    if type(value) is not str:
        raise Mismatch(_word(value), "string")
    try:
        return go_times.parse(value, micro=micro)
    except ValueError as error:
        raise Malformed(str(error)) from None


def _bytes(value: Any) -> Any:
    if type(value) is not str:
        raise Mismatch(_word(value), "[]uint8")
    data = value.encode()
    if b"\n" in data or b"\r" in data:  # as YAML's block texts have them
        data = data.translate(None, b"\r\n")
    try:
        encoded = binascii.b2a_base64(binascii.a2b_base64(data, strict_mode=True), newline=False) if data else b""
    except binascii.Error:
        encoded = None
    if encoded is None or len(encoded) != len(data):  # Python lets padding pass that pads nothing
        raise Malformed(f"illegal base64 data at input byte {_bad_byte(value.encode())}")
    return encoded.decode()


def _bad_byte(text: bytes) -> int:
    """Where Go's decoder stops: it goes by groups of four letters, past ends of lines, and knows padding only last."""
    filled = 0
    for at, letter in enumerate(text):
        if letter in b"\r\n":
            continue
        if _BASE64_LETTER(text, at):
            filled = (filled + 1) % 4
            continue
        if letter != ord("=") or filled < 2:
            return at
        rest = [(after, other) for after, other in enumerate(text[at + 1 :], at + 1) if other not in b"\r\n"]
        if filled == 2:
            if not rest:
                return len(text)
            after, other = rest.pop(0)
            if other != ord("="):
                return after - 1
        return rest[0][0] if rest else len(text)
    return len(text) - filled


_BASE64_LETTER = re.compile(rb"[A-Za-z0-9+/]").match


_SCALARS: dict[str, Check] = {
    "string": _text_check("string"),
    "boolean": _boolean,
    "number": _number,
    "any": _anything,
    "quantity": _quantity,
    "int-or-string": _int_or_string,
    "time": _time,
    "micro-time": _micro_time,
    "bytes": _bytes,
    "fields": _anything,
}


def _word(value: Any) -> str:
    """What Go's decoder calls a JSON value."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    if isinstance(value, int | float):
        return "number"
    return "array" if isinstance(value, list) else "object"
