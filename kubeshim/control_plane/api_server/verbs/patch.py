"""PATCH in its four forms.

JSON, merge and strategic merge patch change the object as the client sees it and then go the way of an update.
Server-side apply decides by field ownership and creates the object where it is missing.
"""

from typing import Any

from kubeshim.control_plane.api_server import request, response, stored
from kubeshim.control_plane.api_server.custom_resources import bodies as custom_bodies
from kubeshim.control_plane.api_server.verbs import create, decoding, operation, place, update
from kubeshim.machinery import apply, defaults, errors, go_text, objects
from kubeshim.machinery.codecs import bodies, json, negotiation, strict, yaml
from kubeshim.machinery.patches import json_patch, merge, refusals, restoring, strategic
from kubeshim.machinery.validation import decoding as types
from kubeshim.machinery.validation import fields

_KINDS = {
    "merge": negotiation.MERGE_PATCH,
    "strategic": negotiation.STRATEGIC_MERGE_PATCH,
    "json": negotiation.JSON_PATCH,
    "apply": negotiation.APPLY_PATCH,
}


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
        patched = _patched(op, media_type, old, content)
        try:
            decoding.complete(op, patched, op.resource.gvk, duplicates)
        except errors.BadRequest as problem:
            raise _unfit(op, media_type, content, patched, problem) from None
        _check_place(op, patched)
        return patched

    return update.modify(op, build), False


def _unfit(
    op: operation.Operation, media_type: str, content: Any, patched: objects.Object, problem: errors.BadRequest
) -> errors.Invalid:
    """What would be a bad body on an update is an invalid patch here."""
    _, _, why = problem.message.partition(" cannot be handled as a ")
    why = why.partition(": ")[2] or problem.message
    if media_type != negotiation.STRATEGIC_MERGE_PATCH:
        return refusals.unfit(json.encode(patched).decode(), why)
    return refusals.unfit(refusals.shown_map(content), restoring.mistake(patched, op.schema) or why)


def _patched(op: operation.Operation, media_type: str, old: objects.Object, content: Any) -> objects.Object:
    if media_type == negotiation.JSON_PATCH:
        result = json_patch.apply(old, content)
    elif media_type == negotiation.MERGE_PATCH:
        result = merge.apply(old, content)
    else:
        result = strategic.apply(old, content, op.schema)
    if not isinstance(result, dict):
        raise errors.BadRequest("the patched object is not an object")
    return result


def _check_place(op: operation.Operation, obj: objects.Object) -> None:
    for field, expected in (("kind", op.resource.kind), ("apiVersion", op.resource.api_version)):
        if obj.get(field) != expected:
            problem = fields.invalid(field, obj.get(field), f"must be {expected}")
            raise errors.invalid(op.resource.group, op.resource.kind, op.name, [problem])
    place.check(op, obj.setdefault("metadata", {}))


def _apply(op: operation.Operation, content: Any, duplicates: list[str], force: bool) -> tuple[stored.Stored, bool]:
    """Server-side apply."""
    applied = _applied(op, content, duplicates)
    if op.server.storage.get(op.resource, op.namespace, op.name) is None:
        if op.subresource:
            raise errors.not_found(op.resource.group, op.resource.plural, op.name)
        if applied["metadata"].get("uid"):
            raise errors.conflict(
                op.resource.group, op.resource.plural, op.name,
                f"uid mismatch: the provided object specified uid {applied['metadata']['uid']}, "
                "and no existing object was found",
            )  # fmt: skip
        try:
            return _create_applied(op, applied, force), True
        except errors.AlreadyExists:
            pass

    def build(old: objects.Object) -> objects.Object:
        merged = apply.apply(
            old, applied, schema=op.schema, manager=op.manager, api_version=op.resource.api_version,
            subresource=op.subresource, force=force, now=op.server.clock.now(),
            reset=op.strategy.reset_fields(op.resource, op.subresource),
        )  # fmt: skip
        _complete_applied(op, merged)
        return merged

    return update.modify(op, build, attributed=True), False


def _create_applied(op: operation.Operation, applied: objects.Object, force: bool) -> stored.Stored:
    obj = apply.apply(
        None, applied, schema=op.schema, manager=op.manager, api_version=op.resource.api_version,
        subresource=op.subresource, force=force, now=op.server.clock.now(),
        reset=op.strategy.reset_fields(op.resource, op.subresource),
    )  # fmt: skip
    create.prepare(op, obj)
    _complete_applied(op, obj)
    return create.finish(op, obj)


def _complete_applied(op: operation.Operation, obj: objects.Object) -> None:
    """Types and defaults, once it is settled who owns what."""
    custom = op.server.custom.get(op.resource.gvk)
    if custom is not None:
        custom_bodies.complete(custom, obj, [], "Ignore", op.warnings.append)
        return
    types.decode(obj, op.schema, op.resource.gvk)
    strict.prune(obj, op.schema)
    defaults.apply(op.resource.gvk, obj)


def _applied(op: operation.Operation, content: Any, duplicates: list[str]) -> objects.Object:
    """The applied configuration as the client wrote it: all that is in it, and nothing else, will be its own.

    ``apply`` holds it against the schema.
    """
    resource = op.resource
    if not isinstance(content, dict):
        raise errors.BadRequest("error decoding YAML: the patch is not an object")
    if content.get("apiVersion") != resource.api_version or content.get("kind") != resource.kind:
        raise errors.BadRequest(
            f"the API version or kind in the patch ({content.get('apiVersion')}, {content.get('kind')}) does not match "
            f"the resource ({resource.api_version}, {resource.kind})"
        )
    if duplicates and op.field_validation == "Strict":
        raise errors.BadRequest(f"error strict decoding YAML: {', '.join(duplicates)}")
    op.warnings.extend(strict.warnings(duplicates))
    if content.get("metadata") is None:
        content["metadata"] = {}
    metadata = content["metadata"]
    if not isinstance(metadata, dict):
        named, found = f"/; {resource.api_version}, Kind={resource.kind}", go_text.value(metadata)
        text = f"failed to create typed patch object ({named}): .metadata: expected map, got &{{{found}}}"
        raise errors.APIStatusError(text, code=500, reason="")
    if metadata.pop("managedFields", None):
        raise errors.BadRequest("metadata.managedFields must be nil")
    place.check(op, metadata)
    return content


def read(op: operation.Operation, asked: request.Request) -> tuple[str, Any, list[str]]:
    """``(media type, patch, duplicate fields)``. Raises 400, 415 and 422."""
    accepted = negotiation.BUILT_IN_PATCHES if response.has_protobuf(op.resource.gvk) else negotiation.CUSTOM_PATCHES
    media_type = negotiation.patch_type(asked.header("content-type"), accepted)
    strictly = op.field_validation != "Ignore"
    if media_type == negotiation.APPLY_PATCH:
        if not asked.param("fieldManager"):
            missing = fields.required("fieldManager", "is required for apply patch")
            raise errors.invalid("meta.k8s.io", "PatchOptions", "", [missing])
        try:
            content, duplicates = yaml.decode(asked.body, strict=strictly)
        except errors.BadRequest as problem:
            raise errors.BadRequest(f"error decoding YAML: {problem.message}") from problem
        return media_type, content, duplicates
    if "force" in asked.query:
        meaningless = fields.forbidden("force", "may not be specified for non-apply patch")
        raise errors.invalid("meta.k8s.io", "PatchOptions", "", [meaningless])
    content, duplicates = json.decode(asked.body, strict=strictly)
    if media_type == negotiation.JSON_PATCH:
        content = json_patch.check(content)
        duplicates = []
    elif not isinstance(content, dict):
        raise errors.BadRequest(
            f"json: cannot unmarshal {bodies.type_name(content)} into Go value of type map[string]interface {{}}"
        )
    return media_type, content, duplicates


def handle(op: operation.Operation, asked: request.Request) -> request.Response:
    response.form(asked, op.resource)
    media_type, content, duplicates = read(op, asked)
    item, created = patch(op, media_type, content, duplicates, force=bool(op.options.get("force")))
    return response.of_stored(asked, op.server, op.resource, item, 201 if created else 200)
