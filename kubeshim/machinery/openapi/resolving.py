"""The schema of a type out of an OpenAPI v3 document, with all its references put in."""

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]
_PREFIX = "#/components/schemas/"


def schema_of(document: Mapping[str, Any], group: str, version: str, kind: str) -> Schema | None:
    """None where the document does not know the type."""
    wanted = {"group": group, "version": version, "kind": kind}
    known: Mapping[str, Schema] = (document.get("components") or {}).get("schemas") or {}
    for name, schema in known.items():
        if wanted in (schema.get("x-kubernetes-group-version-kind") or ()):
            return _resolved(schema, known, (name,))
    return None


def _resolved(schema: Schema, known: Mapping[str, Schema], inside: tuple[str, ...]) -> Schema:
    name = _reference(schema)
    if name:
        if name in inside or name not in known:
            return {"type": "object"}  # a type that holds itself ends here
        schema, inside = known[name], (*inside, name)
    made = dict(schema)
    if schema.get("properties"):
        made["properties"] = {key: _resolved(each, known, inside) for key, each in schema["properties"].items()}
    for key in ("additionalProperties", "items"):
        if isinstance(schema.get(key), Mapping):
            made[key] = _resolved(schema[key], known, inside)
    if made.get("format") == "int-or-string":
        made["x-kubernetes-int-or-string"] = True
    return made


def _reference(schema: Schema) -> str:
    """The name referred to; a reference with a description of its own is wrapped in ``allOf``."""
    if "$ref" in schema:
        return str(schema["$ref"]).removeprefix(_PREFIX)
    return next((found for each in schema.get("allOf") or () if (found := _reference(each))), "")
