"""Whether logical combinations speak only of fields and items that the schema has outside of them."""

from collections.abc import Mapping
from typing import Any

from kubeshim.machinery import errors
from kubeshim.machinery.validation import fields

Node = Mapping[str, Any]
Problems = list[errors.FieldError]


def validate(schema: Node, path: str) -> Problems:
    return _combinations(schema, schema, path, path)


def _combinations(logic: Node, schema: Node, schema_path: str, path: str) -> Problems:
    """``logic`` restricts what ``schema`` declares; each has its own path."""
    wrong: Problems = []
    if isinstance(logic.get("not"), Mapping):
        wrong += _restricted(logic["not"], schema, schema_path, f"{path}.not")
    for slot in ("allOf", "anyOf", "oneOf"):
        for index, node in enumerate(logic.get(slot) or ()):
            wrong += _restricted(node, schema, schema_path, f"{path}.{slot}[{index}]")
    return wrong


def _restricted(logic: Node, schema: Node | None, schema_path: str, path: str) -> Problems:
    if not isinstance(schema, Mapping):
        return [fields.required(schema_path, f"because it is defined in {path}")]
    wrong = _combinations(logic, schema, schema_path, path)
    if isinstance(logic.get("items"), Mapping):
        wrong += _restricted(logic["items"], schema.get("items"), f"{schema_path}.items", f"{path}.items")
    declared = schema.get("properties") or {}
    for name, node in (logic.get("properties") or {}).items():
        below = f"properties[{name}]"
        wrong += _restricted(node, declared.get(name), f"{schema_path}.{below}", f"{path}.{below}")
    return wrong
