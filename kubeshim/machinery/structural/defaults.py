"""Whether the default values in a schema are values that the schema allows."""

import copy
from collections.abc import Mapping
from typing import Any

from kubeshim.machinery import errors, schemas
from kubeshim.machinery.codecs import strict
from kubeshim.machinery.custom_validation import embedded
from kubeshim.machinery.custom_validation import schema as values
from kubeshim.machinery.patches import equality
from kubeshim.machinery.structural import expressions
from kubeshim.machinery.validation import fields

Node = Mapping[str, Any]
Problems = list[errors.FieldError]


_Way = tuple[str | None, ...]
"""From an object within which something is metadata down to it: fields by name, items of lists as None."""


def validate(schema: Node, path: str) -> Problems:
    """Of a structural schema. Under ``additionalProperties`` defaults are not looked at, as upstream."""
    return _place(schema, path, None, root=True)


def _place(schema: Node, path: str, way: _Way | None, *, root: bool = False) -> Problems:
    """``way`` is None where this is not type or metadata of an object."""
    is_resource = root or bool(schema.get("x-kubernetes-embedded-resource"))
    if is_resource:
        way = None
    wrong: Problems = []
    if schema.get("default") is not None:
        wrong += _default(schema, f"{path}.default", way, is_resource=is_resource)
    if isinstance(schema.get("items"), Mapping):
        wrong += _place(schema["items"], f"{path}.items", None if way is None else (*way, None))
    for name, node in (schema.get("properties") or {}).items():
        inside = is_resource and name in ("metadata", "apiVersion", "kind")
        below = (*(way or ()), name) if inside or way is not None else None
        wrong += _place(node, f"{path}.properties[{name}]", below)
    return wrong


def _default(schema: Node, path: str, way: _Way | None, *, is_resource: bool) -> Problems:
    value, wrong = schema["default"], list[errors.FieldError]()
    if way is not None:
        found = embedded.resource(_around(value, way), "")
        if found:
            texts = list(dict.fromkeys(map(str, found)))
            told = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
            return [fields.invalid(path, value, f"must result in valid metadata: {told}")]
    else:
        pruned = copy.deepcopy(value)
        strict.prune(pruned, schemas.from_structural(schema, root=False))
        if not equality.same(_without_nulls(pruned), _without_nulls(value)):
            wrong.append(fields.invalid(path, value, "must not have unknown fields"))
        found = embedded.validate(value, schema, path)
        if found:
            return wrong + found
    found = values.validate(values.Node(schema), value, prefix=path)
    return wrong + (found or expressions.check_default(schema, value, path, root=is_resource))


def _around(value: Any, way: _Way) -> dict[str, Any]:
    """An object that has nothing but the value in question."""
    for step in reversed(way):
        value = [value] if step is None else {step: value}
    return {"apiVersion": "validation/v1", "kind": "Validation", **value}


def _without_nulls(value: Any) -> Any:
    """Nulls are nobody's unknown fields; pruning takes them out as well."""
    if isinstance(value, dict):
        return {key: _without_nulls(child) for key, child in value.items() if child is not None}
    return value
