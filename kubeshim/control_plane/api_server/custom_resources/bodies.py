"""From a request's body to an object of a custom type: strictness, metadata, pruning, defaults.

Types are not judged here: what does not fit the schema is invalid (422), not unreadable. Only what every object must
have is: a kind, the apiVersion of the path, metadata that is metadata.
"""

from collections.abc import Callable
from typing import Any

from kubeshim.control_plane.api_server.custom_resources import custom_type
from kubeshim.machinery import errors, objects, resources, schemas, upstream
from kubeshim.machinery.codecs import bodies, json, strict
from kubeshim.machinery.custom_validation import embedded
from kubeshim.machinery.validation import decoding


def read(
    body: bytes, media_type: str, expected: resources.GroupVersionKind, *, strictly: bool
) -> tuple[objects.Object, list[str]]:
    """The object as written and, with ``strictly``, the texts of its duplicate fields. Raises ``BadRequest``."""
    try:
        value, duplicates = bodies.parse(body, media_type, expected, strictly=strictly)
    except json.Malformed as problem:
        raise bodies.unrecognized(expected.kind, problem.message, body) from None
    if not isinstance(value, dict) or not isinstance(value.get("kind") or "", str):
        found = bodies.type_name(value if not isinstance(value, dict) else value["kind"])
        why = (
            f"couldn't get version/kind; json parse error: json: cannot unmarshal {found} into Go value of type struct"
        )
        raise bodies.unrecognized(expected.kind, why, body)
    if not value.get("kind"):
        why = f"Object 'Kind' is missing in '{body.decode('utf-8', 'replace')}'"
        raise bodies.unrecognized(expected.kind, why, body)
    if value.get("apiVersion") != expected.group_version:
        raise errors.BadRequest(
            f"the API version in the data ({value.get('apiVersion') or ''}) does not match the expected API version "
            f"({expected.group_version})"
        )
    return value, duplicates


def complete(
    custom: custom_type.CustomType, obj: objects.Object, duplicates: list[str], validation: str,
    warn: Callable[[str], None],
) -> None:  # fmt: skip
    """Brings an object into the type's form, in place. Raises ``BadRequest``."""
    gvk = custom.resource.gvk
    if validation != "Ignore":
        problems = [*duplicates, *strict.unknown_fields_of_custom(obj, custom.schema)]
        if problems and validation == "Strict":
            raise bodies.cannot_be_handled(gvk, strict.decoding_error(problems))
        for text in strict.warnings(problems):
            warn(text)
    why = _metadata_problem(obj)
    if why:
        raise bodies.cannot_be_handled(gvk, why)
    if custom.embeds and (problem := embedded.unreadable(obj, custom.openapi)):
        raise bodies.cannot_be_handled(gvk, str(problem))
    shape(custom, obj)


def shape(custom: custom_type.CustomType, obj: objects.Object) -> None:
    """Takes out what the schema does not have and fills in its defaults, in place."""
    strict.prune(obj, custom.schema)
    if custom.defaults is not None:
        custom.defaults(obj)


def _metadata_problem(obj: objects.Object) -> str:
    metadata: Any = obj.get("metadata")
    if metadata is None:
        obj["metadata"] = {}
        return ""
    try:
        decoding.check(metadata, schemas.definitions().schema_of(upstream.OBJECT_META))
    except (decoding.Mismatch, decoding.Malformed) as problem:
        return str(problem)
    return ""
