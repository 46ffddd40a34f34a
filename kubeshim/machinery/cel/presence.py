"""Whether a schema has rules at all: asked of every schema, so it must not load the engine."""

from collections.abc import Mapping
from typing import Any


def has_rules(schema: Mapping[str, Any]) -> bool:
    """Whether the schema, or anything in it, has ``x-kubernetes-validations``."""
    if schema.get("x-kubernetes-validations"):
        return True
    below = [*(schema.get("properties") or {}).values(), schema.get("items"), schema.get("additionalProperties")]
    below += schema.get("allOf") or ()
    return any(isinstance(node, Mapping) and has_rules(node) for node in below)
