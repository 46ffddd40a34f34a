"""PATCH in its four forms.

JSON, merge and strategic merge patch change the object as the client sees it and then go the way of an update.
Server-side apply decides by field ownership and creates the object where it is missing.
"""

import functools
from typing import Any

from kubeshim.control_plane.api_server import native, representations, request, response, stored
from kubeshim.control_plane.api_server.custom_resources import bodies as custom_bodies
from kubeshim.control_plane.api_server.verbs import create, operation, other_versions, owners, place, update
from kubeshim.machinery import apply, defaults, errors, go_text, managed_fields, objects, resources, schemas
from kubeshim.machinery.codecs import bodies, json, negotiation, strict, yaml
from kubeshim.machinery.patches import json_patch, merge, refusals, restoring, strategic
from kubeshim.machinery.validation import decoding as types

_KINDS = {
    "merge": negotiation.MERGE_PATCH,
    "strategic": negotiation.STRATEGIC_MERGE_PATCH,
    "json": negotiation.JSON_PATCH,
    "apply": negotiation.APPLY_PATCH,
}

_NO_JSON = "error converting YAML to JSON: "


def media_type_of(kind: str) -> str:
    """``merge`` → ``application/merge-patch+json``."""
    return _KINDS[kind]


def patch(
    op: operation.Operation, media_type: str, content: Any, duplicates: list[str], *, force: bool = False
) -> tuple[stored.Stored, bool]:
    """The patched object, and whether it was created. ``content`` is the parsed patch. Raises 400, 404, 409, 422."""
    if media_type == negotiation.APPLY_PATCH:
        return _apply(op, content, duplicates, force)

    def build(old: objects.Object) -> objects.Object:
        built = patched(op, media_type, old, content, duplicates, op.resource.gvk)
        owners.dedup(op, built, admitted=True)
        return built

    return update.modify(op, build), False


def patched(
    op: operation.Operation, media_type: str, old: objects.Object, content: Any, duplicates: list[str],
    gvk: resources.GroupVersionKind,
) -> objects.Object:  # fmt: skip
    """What a JSON, merge or strategic merge patch makes of an object of kind ``gvk``. Raises 400 and 422."""
    made = _patched(media_type, old, content, op.server.schema(gvk))
    if media_type == negotiation.STRATEGIC_MERGE_PATCH:
        # It goes from struct to struct, whose kind is what it is.
        made["apiVersion"], made["kind"] = gvk.group_version, gvk.kind
    _complete_patched(op, media_type, content, made, duplicates, gvk)
    place.fit_namespace(op, made.setdefault("metadata", {}))
    place.check_name(op, made["metadata"])
    return made


def _complete_patched(
    op: operation.Operation, media_type: str, content: Any, made: objects.Object, duplicates: list[str],
    gvk: resources.GroupVersionKind,
) -> None:  # fmt: skip
    """Types, strictness and defaults. What would be a bad body on an update is an invalid patch here."""

    def refused(why: str) -> errors.Invalid:
        strategic_patch = media_type == negotiation.STRATEGIC_MERGE_PATCH
        shown = refusals.shown_map(content) if strategic_patch else json.encode(dict(sorted(made.items()))).decode()
        return refusals.unfit(shown, why)

    schema = op.server.schema(gvk)
    custom = op.server.custom.get(gvk)
    try:
        if custom is not None:
            custom_bodies.complete(custom, made, duplicates, op.field_validation, op.warnings.append)
            return
        managed_fields.keep_reset(made)
        refusals.check_kind(made, gvk)
        types.decode(made, schema, gvk)
    except errors.BadRequest as problem:
        _, _, why = problem.message.partition(" cannot be handled as a ")
        why = why.partition(": ")[2] or problem.message
        if media_type == negotiation.STRATEGIC_MERGE_PATCH:
            why = restoring.mistake(made, schema) or why
        raise refused(why) from None
    if op.field_validation != "Ignore":
        # First what is wrong with the patch, then with what it makes, whose members are sorted by then.
        found = duplicates + strict.unknown_fields_sorted(made, schema)
        if found and op.field_validation == "Strict":
            raise refused(strict.decoding_error(found))
        op.warnings.extend(strict.warnings(found))
    strict.prune(made, schema)
    defaults.apply(gvk, made)


def _patched(media_type: str, old: objects.Object, content: Any, schema: schemas.Schema) -> objects.Object:
    if media_type == negotiation.JSON_PATCH:
        result = json_patch.apply(old, content)
    elif media_type == negotiation.MERGE_PATCH:
        result = merge.apply(old, content)
    else:
        result = strategic.apply(old, content, schema)
    if not isinstance(result, dict):
        raise errors.BadRequest("the patched object is not an object")
    return result


def _apply(op: operation.Operation, content: Any, duplicates: list[str], force: bool) -> tuple[stored.Stored, bool]:
    """Server-side apply."""
    applied = applied_configuration(content, op.resource.gvk)
    if op.server.storage.get(op.resource, op.namespace, op.name) is None:
        try:
            return _create_applied(op, applied, duplicates, force), True
        except errors.AlreadyExists:
            pass

    def build(old: objects.Object) -> objects.Object:
        if lost := op.server.custom.lost_version(op.resource, managed_fields.live_entries(old)):
            text = f"request to convert CR to an invalid group/version: {lost}"
            raise errors.APIStatusError(text, code=500, reason="")
        merged = apply.apply(
            old, applied, schema=op.schema, manager=op.manager, api_version=op.resource.api_version,
            subresource=op.subresource, force=force, now=op.server.clock.now(),
            reset=op.strategy.reset_fields(op.resource, op.subresource), versions=other_versions.of(op),
        )  # fmt: skip
        check_applied(op, merged, duplicates)
        _complete_applied(op, merged)
        return merged

    return update.modify(op, build, attributed=True), False


def _create_applied(
    op: operation.Operation, applied: objects.Object, duplicates: list[str], force: bool
) -> stored.Stored:
    op.create_unconditionally = True
    obj = apply.apply(
        None, applied, schema=op.schema, manager=op.manager, api_version=op.resource.api_version,
        subresource=op.subresource, force=force, now=op.server.clock.now(),
        reset=op.strategy.reset_fields(op.resource, op.subresource),
    )  # fmt: skip
    check_applied(op, obj, duplicates, created=True)
    if op.subresource:
        raise errors.not_found(op.resource.group, op.resource.plural, op.name)
    op.may_create()
    create.prepare(op, obj)
    _complete_applied(op, obj)
    return create.finish(op, obj, applied=True)


def _complete_applied(op: operation.Operation, obj: objects.Object) -> None:
    """Types and defaults, once it is settled who owns what."""
    custom = op.server.custom.get(op.resource.gvk)
    if custom is not None:
        custom_bodies.complete(custom, obj, [], "Ignore", op.warnings.append)
        return
    types.decode(obj, op.schema, op.resource.gvk)
    strict.prune(obj, op.schema)
    defaults.apply(op.resource.gvk, obj)


def applied_configuration(content: Any, gvk: resources.GroupVersionKind) -> objects.Object:
    """The applied configuration as the client wrote it: all that is in it, and nothing else, will be its own.

    ``apply`` holds it against the schema.
    """
    if content is None:
        content = {}
    if not isinstance(content, dict):
        raise errors.BadRequest(
            "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal "
            f"{bodies.type_name(content)} into Go value of type map[string]interface {{}}"
        )
    apply.check(content, gvk)
    if content.get("metadata") is None:
        content["metadata"] = {}
    metadata = content["metadata"]
    if not isinstance(metadata, dict):
        text = f"failed to create typed patch object (/; {gvk.group}/{gvk.version}, Kind={gvk.kind})"
        found = go_text.value(metadata)
        raise errors.APIStatusError(f"{text}: .metadata: expected map, got &{{{found}}}", code=500, reason="")
    metadata.pop("managedFields", None)
    return content


def check_applied(
    op: operation.Operation, merged: objects.Object, duplicates: list[str], *, created: bool = False
) -> None:
    """What is asked of the result of an apply: no keys given twice, no identity but that of the path."""
    if duplicates and op.field_validation == "Strict":
        raise errors.BadRequest(f"error strict decoding YAML: {_NO_JSON}{', '.join(duplicates)}")
    # It may be built several times.
    op.warnings.extend(text for text in strict.warnings(duplicates) if text not in op.warnings)
    metadata = merged["metadata"]
    if created and metadata.get("uid"):
        raise errors.conflict(
            op.resource.group, op.resource.plural, op.name,
            f"uid mismatch: the provided object specified uid {metadata['uid']}, and no existing object was found",
        )  # fmt: skip
    place.fit_namespace(op, metadata)
    place.check_name(op, metadata)


def read(op: operation.Operation, asked: request.Request) -> tuple[str, Any, list[str]]:
    """``(media type, patch, duplicate fields)``. Raises 400, 404, 415 and 422.

    What is not there is told before a patch of it is looked at, unless it could be created.
    """
    accepted = (
        negotiation.BUILT_IN_PATCHES if representations.has_message(op.resource.gvk) else negotiation.CUSTOM_PATCHES
    )
    media_type = negotiation.patch_type(asked.header("content-type"), accepted)
    strictly, body = op.field_validation != "Ignore", asked.body
    if media_type == negotiation.APPLY_PATCH:
        try:
            content, duplicates = native.read(body, functools.partial(yaml.decode, body, strict=strictly))
        except errors.BadRequest as problem:
            raise errors.BadRequest(f"error decoding YAML: {_NO_JSON}{problem.message}") from problem
        return media_type, content, duplicates
    if op.server.storage.get(op.resource, op.namespace, op.name) is None:
        raise errors.not_found(op.resource.group, op.resource.plural, op.name)
    return media_type, *_decoded(media_type, body, strictly)


def _decoded(media_type: str, body: bytes, strictly: bool) -> tuple[Any, list[str]]:
    """A JSON, merge or strategic patch and what is strictly wrong with it. Raises 400 and 413."""
    prefix = "error decoding patch: " if strictly and media_type != negotiation.STRATEGIC_MERGE_PATCH else ""
    try:
        content, duplicates = native.read(body, functools.partial(json.decode, body, strict=strictly))
        if media_type == negotiation.JSON_PATCH:
            if strictly:
                duplicates = json_patch.strict_problems(content, duplicates)
            return json_patch.check(content), duplicates
    except errors.BadRequest as problem:
        raise errors.BadRequest(prefix + problem.message) from None
    if content is None and media_type == negotiation.STRATEGIC_MERGE_PATCH:
        return {}, []
    if content is not None and not isinstance(content, dict):
        given = bodies.type_name(content)
        raise errors.BadRequest(
            f"{prefix}json: cannot unmarshal {given} into Go value of type map[string]interface {{}}"
        )
    return content, duplicates


def handle(op: operation.Operation, asked: request.Request) -> request.Response:
    response.form(asked, op.resource)
    media_type, content, duplicates = read(op, asked)
    item, created = patch(op, media_type, content, duplicates, force=bool(op.options.get("force")))
    return response.of_stored(asked, op.server, op.resource, item, 201 if created else 200)
