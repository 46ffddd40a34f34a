"""POST: a new object.

Fields are attributed to their manager before admission, as upstream does: what admission plugins add belongs to nobody.
"""

import contextlib
import functools
import random
from collections.abc import Callable
from typing import Any

from kubeshim.control_plane.api_server import object_size, request, response, stored
from kubeshim.control_plane.api_server.verbs import checks, decoding, operation, other_versions, owners, place
from kubeshim.machinery import apply, disabled_fields, errors, managed_fields, objects
from kubeshim.machinery.codecs import strict

_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"
_GENERATED_LIMIT = 58
"""Characters of ``generateName`` that are used: with five more the name still is a label value."""
_ATTEMPTS = 8


def create(op: operation.Operation, obj: objects.Object) -> stored.Stored:
    """Writes ``obj`` (decoded and defaulted; the verb's from here on). Raises ``errors.APIStatusError``."""
    prepare(op, obj)
    strategy, resource = op.strategy, op.resource
    if strategy.has_status and "status" in resource.subresources:
        obj.pop("status", None)
    attribute(op, None, obj)
    return finish(op, obj)


def finish(op: operation.Operation, obj: objects.Object, *, applied: bool = False) -> stored.Stored:
    """From admission on; ``managedFields`` are done."""
    server, resource = op.server, op.resource
    attributes = op.attributes("CREATE", obj, None, objects.name(obj))
    server.admission.mutate(attributes)
    metadata = obj.setdefault("metadata", {})
    owners.dedup(op, obj, admitted=True)
    fill_system_fields(op, metadata)
    generated = not metadata.get("name") and bool(metadata.get("generateName"))
    if generated:
        # before the strategy: jobs label their pods with the name
        metadata["name"] = _generated_name(op, metadata)
    disabled_fields.drop(resource.group, resource.kind, obj)
    op.warnings += op.strategy.warnings_as_sent(resource, obj)
    op.strategy.prepare_for_create(resource, obj)
    strict.fill(obj, op.schema)

    def still() -> None:
        """Other servers may have been asked since: what the object belongs to may be going by now, and its contents
        have been deleted, this one not among them."""
        op.strategy.check_creatable(resource)
        server.admission.recheck(attributes)

    for attempt in range(_ATTEMPTS):
        if generated and attempt:
            metadata["name"] = _generated_name(op, metadata)
        try:
            # before anything is judged, as upstream: what cannot be had is told alone
            with op.allocated(obj, None):
                if attempt == 0:
                    checks.new(op, obj)
                    op.strategy.canonicalize(resource, obj)
                    attributes.name = objects.name(obj)
                    server.admission.validate(attributes)
                write = functools.partial(_write, op, still)
                return write(obj) if applied else object_size.with_or_without_owners(write, obj)
        except errors.AlreadyExists as refusal:
            if not generated or attempt == _ATTEMPTS - 1:
                raise _taken(op, obj, refusal) from None
    raise AssertionError("unreachable")


def _taken(op: operation.Operation, obj: objects.Object, refusal: errors.AlreadyExists) -> errors.AlreadyExists:
    """That the name is there already, as it is told to who left its choice to the server, or came too early."""
    if obj["metadata"].get("generateName"):
        details = {**refusal.details, "retryAfterSeconds": 1}
        text = f"{refusal.message}, the server was not able to generate a unique name for the object"
        refusal = errors.AlreadyExists(text, details=details)
    present = op.server.storage.get(op.resource, objects.namespace(obj), objects.name(obj))
    if present is not None and present.obj["metadata"].get("deletionTimestamp"):
        return errors.AlreadyExists(f"object is being deleted: {refusal.message}", details=refusal.details)
    return refusal


def _generated_name(op: operation.Operation, metadata: dict[str, Any]) -> str:
    if not op.strategy.generated_suffix:
        return str(metadata["generateName"])
    return str(metadata["generateName"])[:_GENERATED_LIMIT] + "".join(random.choices(_SUFFIX, k=5))


def _write(op: operation.Operation, still: Callable[[], None], obj: objects.Object) -> stored.Stored:
    storage, resource = op.server.storage, op.resource
    if not op.dry_run:
        return storage.create(resource, obj, still)
    if storage.get(resource, objects.namespace(obj), objects.name(obj)) is not None:
        raise errors.already_exists(resource.group, resource.plural, objects.name(obj))
    return stored.Stored(objects.key(obj), stored.encode(obj), 0, 0)


def prepare(op: operation.Operation, obj: objects.Object) -> None:
    """Checks where the object goes. Raises ``errors.BadRequest``."""
    metadata = obj.setdefault("metadata", {})
    place.fit_namespace(op, metadata)
    if op.resource.group_resource == "namespaces":
        op.namespace = objects.name(obj)
    version = str(metadata.pop("resourceVersion", None) or "")
    if version.isdecimal() and int(version) and not op.create_unconditionally:
        # Upstream's storage refuses this without a reason of the API's own.
        raise errors.InternalError("resourceVersion should not be set on objects to be created", reason="")
    owners.dedup(op, obj)


def attribute(op: operation.Operation, old: objects.Object | None, obj: objects.Object) -> None:
    """Notes in ``managedFields`` who set what; the record stays as it is where it cannot be read."""
    live = managed_fields.live_entries(old)
    entries = live if op.subresource and old is not None else managed_fields.current(old, obj)
    if not op.server.custom.lost_version(op.resource, entries):
        with contextlib.suppress(other_versions.Unconvertible):
            apply.track_update(
                old, obj, schema=op.schema, manager=op.manager, api_version=op.resource.api_version,
                subresource=op.subresource, now=op.server.clock.now(),
                reset=op.strategy.reset_fields(op.resource, op.subresource), versions=other_versions.OtherVersions(op),
            )  # fmt: skip
            return
    metadata = obj.setdefault("metadata", {})
    metadata.pop("managedFields", None)
    if live:
        metadata["managedFields"] = live


def fill_system_fields(op: operation.Operation, metadata: dict[str, object]) -> None:
    """What only the server sets."""
    for field in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"):
        metadata.pop(field, None)
    metadata["uid"] = objects.new_uid()
    metadata["creationTimestamp"] = op.now()
    if op.resource.generation:
        metadata["generation"] = op.strategy.first_generation
    if not metadata.get("generation"):
        metadata.pop("generation", None)


def handle(op: operation.Operation, asked: request.Request) -> request.Response:
    response.form(asked, op.resource)
    obj = decoding.read(op, asked)
    item = create(op, obj)
    return response.of_stored(asked, op.server, op.resource, item, 201)
