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


def validate(schema: Node, path: str) -> Problems:
    """Of a schema that is structural. Under ``additionalProperties`` defaults are not looked at, as upstream."""
    return _place(schema, path, in_metadata=False, root=True)


def _place(schema: Node, path: str, *, in_metadata: bool, root: bool = False) -> Problems:
    is_resource = root or bool(schema.get("x-kubernetes-embedded-resource"))
    in_metadata = in_metadata and not is_resource
    wrong: Problems = []
    if schema.get("default") is not None:
        wrong += _default(schema, f"{path}.default", in_metadata=in_metadata, is_resource=is_resource)
    if isinstance(schema.get("items"), Mapping):
        wrong += _place(schema["items"], f"{path}.items", in_metadata=in_metadata)
    for name, node in (schema.get("properties") or {}).items():
        inside = in_metadata or (is_resource and name in ("metadata", "apiVersion", "kind"))
        wrong += _place(node, f"{path}.properties[{name}]", in_metadata=inside)
    return wrong


def _default(schema: Node, path: str, *, in_metadata: bool, is_resource: bool) -> Problems:
    value, wrong = schema["default"], list[errors.FieldError]()
    if not in_metadata:
        pruned = copy.deepcopy(value)
        strict.prune(pruned, schemas.from_structural(schema, root=False))
        if not equality.same(_without_nulls(pruned), _without_nulls(value)):
            wrong.append(fields.invalid(path, value, "must not have unknown fields"))
        found = embedded.validate(value, schema, path)
        if found:
            return wrong + found
    found = values.validate(values.Node(schema), value, prefix=path)
    return wrong + (found or expressions.check_default(schema, value, path, root=is_resource))


def _without_nulls(value: Any) -> Any:
    """Nulls are nobody's unknown fields; pruning takes them out as well."""
    if isinstance(value, dict):
        return {key: _without_nulls(child) for key, child in value.items() if child is not None}
    return value
