"""Paths to fields (``.spec.color``) as selectable fields and rules name them, held against a schema."""

import re
from collections.abc import Mapping
from typing import Any

_ESCAPE = re.compile(r"\\.")
_ESCAPES = {rf"\{char}": value for char, value in zip("abfnrtv'\\", "\a\b\f\n\r\t\v'\\", strict=True)}
_TOKEN = re.compile(r"\.|\[|\]|'(?:\\'|[^'])*'|[^.\[\]']+")


class Invalid(ValueError):
    """The message is upstream's."""


Found = tuple[str, Mapping[str, Any]]


def resolve(text: str, schema: Mapping[str, Any], *, brackets: bool = True) -> Found:
    """``(the path as errors have it, the field's schema)``: names with dots, keys of maps in brackets.

    Raises ``Invalid``; without ``brackets`` only ``.name`` steps are taken.
    """
    tokens = _TOKEN.findall(text)
    found = ""
    place: Mapping[str, Any] = schema
    position = 0
    while position < len(tokens):
        token = tokens[position]
        if token == ".":
            if position + 1 >= len(tokens):
                raise Invalid("unexpected end of JSON path")
            name = tokens[position + 1]
            position += 2
        elif token == "[" and brackets:
            name, position = _bracketed(tokens, position)
        elif token == "[":
            raise Invalid("array notation is not allowed")
        else:
            raise Invalid(f"expected [ or . but got: {token}")
        place, named = _step(place, name)
        found += (f".{name}" if found else name) if named else f"[{name}]"
    return found, place


def _bracketed(tokens: list[str], position: int) -> tuple[str, int]:
    if position + 1 >= len(tokens):
        raise Invalid("unexpected end of JSON path")
    quoted = tokens[position + 1]
    if len(quoted) < 2 or not (quoted[0] == quoted[-1] == "'"):
        raise Invalid(f"expected single quoted string but got {quoted}")
    if position + 2 >= len(tokens):
        raise Invalid("unexpected end of JSON path")
    if tokens[position + 2] != "]":
        raise Invalid(f"expected ] but got {tokens[position + 2]}")
    return _ESCAPE.sub(_unescaped, quoted[1:-1]), position + 3


def _unescaped(found: re.Match[str]) -> str:
    if found[0] not in _ESCAPES:
        raise Invalid(f"invalid string literal: invalid escape char {found[0]}")
    return _ESCAPES[found[0]]


def _step(schema: Mapping[str, Any], name: str) -> tuple[Mapping[str, Any], bool]:
    """The schema below, and whether ``name`` is a property's and not a map's key."""
    properties, additional = schema.get("properties"), schema.get("additionalProperties")
    if isinstance(properties, Mapping):
        if isinstance(properties.get(name), Mapping):
            return properties[name], True
    elif isinstance(additional, Mapping):
        return additional, False
    raise Invalid("does not refer to a valid field")
