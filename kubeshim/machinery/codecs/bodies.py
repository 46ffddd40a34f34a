"""A request's body as an object of the expected kind, or the 400 that upstream gives.

``read`` does what a create or update handler's decoder does: parse by media type, default apiVersion and kind to
what the path means, refuse another kind. Strictness is applied by ``check``, after which the object is in the
form of upstream's structs (``strict.prune``).
"""

from collections.abc import Callable
from typing import Literal

from kubeshim.machinery import errors, objects, resources, schemas, scheme
from kubeshim.machinery.codecs import json, negotiation, protobuf, strict, yaml

FieldValidation = Literal["Ignore", "Warn", "Strict"]
_STILL_TAKEN = {resources.GroupVersionKind("policy", "v1", "Eviction"): "policy/v1beta1"}
"""Versions that a door takes for its own though they are served no more: old clients drain nodes with them."""


def read(
    body: bytes, media_type: str, expected: resources.GroupVersionKind, *, strictly: bool
) -> tuple[objects.Object, list[str]]:
    """The object and, with ``strictly``, the texts of its duplicate fields.

    ``media_type`` is of ``negotiation`` (``content_type`` gives it). Raises ``errors.BadRequest``.
    """
    try:
        value, duplicates = parse(body, media_type, expected, strictly=strictly)
    except json.Malformed as problem:
        raise unrecognized(expected.kind, problem.message, body) from None
    if not isinstance(value, dict):
        found = type_name(value)
        why = (
            f"couldn't get version/kind; json parse error: json: cannot unmarshal {found} into Go value of type struct"
        )
        raise unrecognized(expected.kind, why, body)
    for field in ("apiVersion", "kind"):
        said = value.get(field)
        if said is not None and not isinstance(said, str):
            why = (
                f"couldn't get version/kind; json parse error: json: cannot unmarshal {type_name(said)} into Go "
                f"struct field .{field} of type string"
            )
            raise unrecognized(expected.kind, why, body)
    _check_kind(value, expected)
    return value, duplicates


def parse(
    body: bytes, media_type: str, expected: resources.GroupVersionKind, *, strictly: bool
) -> tuple[object, list[str]]:
    """The value of a body of any of the three forms. Raises ``json.Malformed`` with the parser's words."""
    if media_type == negotiation.PROTOBUF:
        return protobuf.decode(body, expected), []
    if media_type == negotiation.YAML:
        return yaml.decode(body, strict=strictly)
    try:
        return json.decode(body, strict=strictly)
    except json.Malformed as problem:
        raise json.Malformed(f"couldn't get version/kind; json parse error: {problem.message}") from None


def _check_kind(obj: objects.Object, expected: resources.GroupVersionKind) -> None:
    """Fills in what the body does not say; what it says must be what the path means."""
    api_version, kind = obj.get("apiVersion") or expected.group_version, obj.get("kind") or expected.kind
    if kind == expected.kind and api_version == _STILL_TAKEN.get(expected):
        api_version = obj["apiVersion"] = expected.group_version
    if why := scheme.refusal(api_version, kind, expected):
        version = resources.split_api_version(api_version)[1]
        raise errors.BadRequest(f'{kind} in version "{version}" cannot be handled as a {expected.kind}: {why}')
    if api_version != expected.group_version:
        raise errors.BadRequest(
            f"the API version in the data ({api_version}) does not match the expected API version "
            f"({expected.group_version})"
        )
    if next(iter(obj), "") == "apiVersion" and obj.get("apiVersion") and obj.get("kind"):
        return
    rest = {key: value for key, value in obj.items() if key not in ("apiVersion", "kind")}
    obj.clear()
    obj.update({"apiVersion": api_version, "kind": kind}, **rest)


def check(
    obj: objects.Object,
    schema: schemas.Schema,
    duplicates: list[str],
    validation: FieldValidation,
    warn: Callable[[str], None],
    gvk: resources.GroupVersionKind,
) -> None:
    """Unknown and duplicate fields as ``fieldValidation`` wants them: refused, warned of, or passed over.

    Afterwards the object is pruned. Raises ``errors.BadRequest``.
    """
    if validation != "Ignore":
        found = strict.problems(obj, schema, duplicates)
        if found and validation == "Strict":
            raise cannot_be_handled(gvk, strict.decoding_error(found))
        for text in strict.warnings(found):
            warn(text)
    strict.prune(obj, schema)


def cannot_be_handled(gvk: resources.GroupVersionKind, why: str) -> errors.BadRequest:
    """``Pod in version "v1" cannot be handled as a Pod: …``."""
    return errors.BadRequest(f'{gvk.kind} in version "{gvk.version}" cannot be handled as a {gvk.kind}: {why}')


def unrecognized(kind: str, why: str, body: bytes) -> errors.BadRequest:
    """``the object provided is unrecognized (must be of type Pod): …``."""
    return errors.BadRequest(f"the object provided is unrecognized (must be of type {kind}): {why} ({summary(body)})")


def summary(body: bytes, length: int = 30) -> str:
    """The beginning of a body for an error text: as it is where it looks like JSON, else in hexadecimal."""
    if not body:
        return "<empty>"
    dots = " ..." if len(body) > length else ""
    if body[:1] == b"{":
        return body[:length].decode("utf-8", "replace") + dots
    return body[:length].hex() + dots


def type_name(value: object) -> str:
    """What Go's JSON decoder calls a value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    if isinstance(value, (int, float)):
        return "number"
    return "array" if isinstance(value, list) else "object"
