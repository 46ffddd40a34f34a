"""An OpenAPI v2 document in protobuf, as clients older than OpenAPI v3 ask for it.

The messages (gnostic's ``openapi.v2``) follow the JSON document closely, and ``schemas/facts`` has their field
numbers. What differs is said in the tables below: objects with free keys are lists of name and value, ``x-``
members are named YAML texts, and where JSON leaves it to the reader what something is, a message says it.
"""

import functools
import importlib.resources
import re
import struct
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson

MEDIA_TYPE = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"


class _Field(NamedTuple):
    number: int
    key: str
    """The JSON member."""
    repeated: bool
    type: str


def encode(document: Mapping[str, Any]) -> bytes:
    """The bytes of a ``Document``. Raises ``ValueError`` for a member no message has a place for."""
    return _message("Document", document)


_BY_PLACE = {
    "header": "HeaderParameterSubSchema",
    "formData": "FormDataParameterSubSchema",
    "query": "QueryParameterSubSchema",
    "path": "PathParameterSubSchema",
}
_BY_FLOW = {
    "implicit": "Oauth2ImplicitSecurity",
    "password": "Oauth2PasswordSecurity",
    "application": "Oauth2ApplicationSecurity",
    "accessCode": "Oauth2AccessCodeSecurity",
}


def _security(value: Mapping[str, Any]) -> str:
    if value["type"] == "oauth2":
        return _BY_FLOW[value["flow"]]
    return "ApiKeySecurity" if value["type"] == "apiKey" else "BasicAuthenticationSecurity"


_CHOICES: dict[str, Callable[[Any], str]] = {
    "AdditionalPropertiesItem": lambda value: "bool" if isinstance(value, bool) else "Schema",
    "NonBodyParameter": lambda value: _BY_PLACE[value["in"]],
    "Parameter": lambda value: "BodyParameter" if value["in"] == "body" else "NonBodyParameter",
    "ParametersItem": lambda value: "JsonReference" if "$ref" in value else "Parameter",
    "ResponseValue": lambda value: "JsonReference" if "$ref" in value else "Response",
    "SchemaItem": lambda value: "FileSchema" if value.get("type") == "file" else "Schema",
    "SecurityDefinitionsItem": _security,
}
"""Messages that wrap one of several: which one a value is."""

_FREE_KEYS: dict[str, Callable[[str], bool]] = {
    "*": lambda _key: True,
    "path": lambda key: key.startswith("/"),
    "response_code": lambda key: not key.startswith("x-"),
    "vendor_extension": lambda key: key.startswith("x-"),
}
"""Fields that gather the members whose names the JSON document chooses, as lists of name and value."""


def _message(name: str, value: Any) -> bytes:
    if name == "Any":
        # JSON is YAML
        return _delimited(2, orjson.dumps(value) + b"\n")
    if name in _CHOICES:
        chosen = _CHOICES[name](value)
        number = next(field.number for field in _layout()[name] if field.type == chosen)
        return (
            _varint(number << 3) + (b"\x01" if value else b"\x00")
            if chosen == "bool"
            else _nested(number, chosen, value)
        )
    if name in ("TypeItem", "StringArray"):
        listed = [value] if isinstance(value, str) else value
        return b"".join(_delimited(1, entry.encode()) for entry in listed)
    if name == "ItemsItem":
        return b"".join(_nested(1, "Schema", entry) for entry in (value if isinstance(value, list) else [value]))
    return _members(name, value)


def _members(name: str, value: Mapping[str, Any]) -> bytes:
    pieces: list[bytes] = []
    known = set()
    for field in _layout()[name]:
        belongs = _FREE_KEYS.get(field.key)
        if belongs is not None:
            gathered = [key for key in value if belongs(key)]
            known.update(gathered)
            pieces += [_named(field, key, value[key]) for key in gathered]
        elif field.key in value:
            known.add(field.key)
            pieces.append(_field(field, value[field.key]))
    if unknown := set(value) - known:
        raise ValueError(f"{name} has no place for {sorted(unknown)}")
    return b"".join(pieces)


def _named(field: _Field, key: str, value: Any) -> bytes:
    entry_type = _layout()[field.type][1].type
    return _delimited(field.number, _delimited(1, key.encode()) + _scalar_or_nested(2, entry_type, value))


def _field(field: _Field, value: Any) -> bytes:
    if field.repeated:
        return b"".join(_scalar_or_nested(field.number, field.type, entry) for entry in value)
    return _scalar_or_nested(field.number, field.type, value)


def _scalar_or_nested(number: int, type_: str, value: Any) -> bytes:
    if type_ == "string":
        return _delimited(number, value.encode())
    if type_ == "bool":
        return _varint(number << 3) + b"\x01" if value else b""
    if type_ == "int64":
        return _varint(number << 3) + _varint(int(value))
    if type_ == "double":
        return _varint(number << 3 | 1) + struct.pack("<d", value)
    return _nested(number, type_, value)


def _nested(number: int, type_: str, value: Any) -> bytes:
    return _delimited(number, _message(type_, value))


def _delimited(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    if value < 0:
        value += 1 << 64
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


@functools.cache
def _layout() -> dict[str, list[_Field]]:
    """The messages' fields by number, with the JSON member of each."""
    file = importlib.resources.files("kubeshim.schemas") / "facts" / "openapi-v2-protobuf-fields.tsv"
    layout: dict[str, list[_Field]] = {}
    for line in file.read_text().splitlines()[1:]:
        message, number, name, label, type_ = line.split("\t")
        repeated = label == "repeated"
        key = "*" if name == "additional_properties" and repeated else _member(name)
        layout.setdefault(message, []).append(_Field(int(number), key, repeated, type_))
    return layout


def _member(name: str) -> str:
    """``operation_id`` → ``operationId``; fields that gather free keys keep their name."""
    if name in _FREE_KEYS:
        return name
    if name == "_ref":
        return "$ref"
    return re.sub(r"_(\w)", lambda match: match[1].upper(), name)
