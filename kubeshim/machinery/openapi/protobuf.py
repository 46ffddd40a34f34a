"""OpenAPI documents in protobuf: v2 as old clients ask for it, v3 as Go's discovery client does.

The messages (gnostic's ``openapi.v2`` and ``openapi.v3``) follow the JSON documents closely, and ``schemas/facts`` has
their field numbers. What differs is said in the tables below: objects with free keys are lists of name and value,
``x-`` members are named YAML texts, and where JSON leaves it to the reader what something is, a message says it.
"""

import functools
import importlib.resources
import re
import struct
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson

V2_MEDIA_TYPES = (
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
)
V3_MEDIA_TYPES = (
    "application/com.github.proto-openapi.spec.v3.v1.0+protobuf",
    "application/com.github.proto-openapi.spec.v3@v1.0+protobuf",
)
"""The first is what answers say; the other is no media type to the letter, but what older clients ask for."""


class _Field(NamedTuple):
    number: int
    key: str
    """The JSON member."""
    repeated: bool
    type: str


def v2(document: Mapping[str, Any]) -> bytes:
    """The bytes of a ``Document``. Raises ``ValueError`` for a member no message has a place for."""
    return _V2.message("Document", document)


def v3(document: Mapping[str, Any]) -> bytes:
    """As ``v2``."""
    return _V3.message("Document", document)


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


def _default(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    return "string" if isinstance(value, str) else "double" if isinstance(value, int | float) else ""


def _or_reference(kind: str) -> Callable[[Any], str]:
    return lambda value: "Reference" if "$ref" in value else kind


_Choices = Mapping[str, Callable[[Any], str]]
"""Messages that wrap one of several: which one a value is; none for a value that has no place there."""

_V2_CHOICES: _Choices = {
    "AdditionalPropertiesItem": lambda value: "bool" if isinstance(value, bool) else "Schema",
    "NonBodyParameter": lambda value: _BY_PLACE[value["in"]],
    "Parameter": lambda value: "BodyParameter" if value["in"] == "body" else "NonBodyParameter",
    "ParametersItem": lambda value: "JsonReference" if "$ref" in value else "Parameter",
    "ResponseValue": lambda value: "JsonReference" if "$ref" in value else "Response",
    "SchemaItem": lambda value: "FileSchema" if value.get("type") == "file" else "Schema",
    "SecurityDefinitionsItem": _security,
}
_V3_CHOICES: _Choices = {
    "AdditionalPropertiesItem": lambda value: "bool" if isinstance(value, bool) else "SchemaOrReference",
    "DefaultType": _default,
    **{
        f"{kind}OrReference": _or_reference(kind)
        for kind in ("Callback", "Example", "Header", "Link", "Parameter", "RequestBody", "Response", "Schema",
                     "SecurityScheme")
    },
}  # fmt: skip

_FREE_KEYS: dict[str, Callable[[str], bool]] = {
    "*": lambda _key: True,
    "path": lambda key: key.startswith("/"),
    "response_code": lambda key: not key.startswith("x-"),
    "response_or_reference": lambda key: not key.startswith("x-") and key != "default",
    "specification_extension": lambda key: key.startswith("x-"),
    "vendor_extension": lambda key: key.startswith("x-"),
}
"""Fields that gather the members whose names the JSON document chooses, as lists of name and value."""


class _Messages:
    """The messages of one version."""

    def __init__(self, facts: str, choices: _Choices) -> None:
        self._facts, self._choices = facts, choices

    def message(self, name: str, value: Any) -> bytes:
        if name == "Any":
            # JSON is YAML
            return _delimited(2, orjson.dumps(value) + b"\n")
        if name in self._choices:
            return self._choice(name, value)
        if name in ("TypeItem", "StringArray"):
            listed = [value] if isinstance(value, str) else value
            return b"".join(_delimited(1, entry.encode()) for entry in listed)
        if name == "ItemsItem":
            field = self._layout[name][0]
            return b"".join(
                self._nested(1, field.type, entry) for entry in (value if isinstance(value, list) else [value])
            )
        if name == "Reference":
            value = {key: value[key] for key in ("$ref", "summary", "description") if key in value}
        return self._members(name, value)

    def _choice(self, name: str, value: Any) -> bytes:
        chosen = self._choices[name](value)
        if not chosen:
            return b""
        number = next(field.number for field in self._layout[name] if field.type == chosen)
        if chosen == "bool":
            return _varint(number << 3) + (b"\x01" if value else b"\x00")
        return self._value(number, chosen, value)

    def _members(self, name: str, value: Mapping[str, Any]) -> bytes:
        pieces: list[bytes] = []
        known = set()
        for field in self._layout[name]:
            belongs = _FREE_KEYS.get(field.key)
            if belongs is not None:
                gathered = [key for key in value if belongs(key)]
                known.update(gathered)
                pieces += [self._named(field, key, value[key]) for key in gathered]
            elif field.key in value:
                known.add(field.key)
                pieces.append(self._field(field, value[field.key]))
        if unknown := set(value) - known:
            raise ValueError(f"{name} has no place for {sorted(unknown)}")
        return b"".join(pieces)

    def _named(self, field: _Field, key: str, value: Any) -> bytes:
        entry_type = self._layout[field.type][1].type
        return _delimited(field.number, _delimited(1, key.encode()) + self._value(2, entry_type, value))

    def _field(self, field: _Field, value: Any) -> bytes:
        if field.repeated:
            return b"".join(self._value(field.number, field.type, entry) for entry in value)
        return self._value(field.number, field.type, value)

    def _value(self, number: int, type_: str, value: Any) -> bytes:
        if type_ == "string":
            return _delimited(number, value.encode())
        if type_ == "bool":
            return _varint(number << 3) + b"\x01" if value else b""
        if type_ == "int64":
            return _varint(number << 3) + _varint(int(value))
        if type_ == "double":
            return _varint(number << 3 | 1) + struct.pack("<d", value)
        return self._nested(number, type_, value)

    def _nested(self, number: int, type_: str, value: Any) -> bytes:
        return _delimited(number, self.message(type_, value))

    @functools.cached_property
    def _layout(self) -> dict[str, list[_Field]]:
        """The messages' fields by number, with the JSON member of each."""
        file = importlib.resources.files("kubeshim.schemas") / "facts" / f"{self._facts}.tsv"
        layout: dict[str, list[_Field]] = {}
        for line in file.read_text().splitlines()[1:]:
            message, number, name, label, type_ = line.split("\t")
            repeated = label == "repeated"
            key = "*" if name == "additional_properties" and repeated else _member(name)
            layout.setdefault(message, []).append(_Field(int(number), key, repeated, type_))
        return layout


_V2 = _Messages("openapi-v2-protobuf-fields", _V2_CHOICES)
_V3 = _Messages("openapi-v3-protobuf-fields", _V3_CHOICES)


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


def _member(name: str) -> str:
    """``operation_id`` → ``operationId``; fields that gather free keys keep their name."""
    if name in _FREE_KEYS:
        return name
    if name == "_ref":
        return "$ref"
    return re.sub(r"_(\w)", lambda match: match[1].upper(), name)
