"""Paths to fields (``.spec.color``) as selectable fields and rules name them, held against a schema."""

import re
from collections.abc import Mapping
from typing import Any

_TOKEN = re.compile(r"\.|\[|\]|'(?:\\'|[^'])*'|[^.\[\]']+")


class Invalid(ValueError):
    """The message is upstream's."""


Found = tuple[tuple[str, ...], Mapping[str, Any]]


def resolve(text: str, schema: Mapping[str, Any], *, brackets: bool = True) -> Found:
    """``(names, the field's schema)``. Raises ``Invalid``; without ``brackets`` only ``.name`` steps are taken."""
    tokens = _TOKEN.findall(text)
    names: list[str] = []
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
        place = _step(place, name)
        names.append(name)
    return tuple(names), place


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
    return quoted[1:-1].replace("\\'", "'"), position + 3


def _step(schema: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    properties, additional = schema.get("properties") or {}, schema.get("additionalProperties")
    if name in properties and isinstance(properties[name], Mapping):
        found: Mapping[str, Any] = properties[name]
        return found
    if isinstance(additional, Mapping):
        return additional
    raise Invalid("does not refer to a valid field")
