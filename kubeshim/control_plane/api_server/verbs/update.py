"""PUT, and the read-modify-write that every change of an existing object goes through.

Changes of one object are made one after another (``locks``), so that many clients patching the same object queue
up instead of failing each other's writes over and over; the store's own precondition still decides, for other servers
may write as well.
"""

import dataclasses
from collections.abc import Callable

from kubeshim.control_plane.api_server import object_size, request, response, storage, stored
from kubeshim.control_plane.api_server.verbs import checks, create, decoding, operation, owners, place, removal
from kubeshim.machinery import disabled_fields, errors, objects
from kubeshim.machinery.codecs import json
from kubeshim.machinery.validation import fields

Build = Callable[[objects.Object], objects.Object]
"""From the old object (the callee's own) to the new one, decoded and defaulted."""


@dataclasses.dataclass(frozen=True, slots=True)
class View:
    """What admission is shown of an object of which a subresource is a part."""

    show: Callable[[objects.Object], objects.Object]
    take: Callable[[objects.Object, objects.Object], None]
    """Puts what has become of the part back into the object."""


def modify(
    op: operation.Operation,
    build: Build,
    *,
    attributed: bool = False,
    raw: bool = False,
    uid: str = "",
    view: View | None = None,
) -> stored.Stored:
    """Replaces the object by what ``build`` makes of it; tries again for as long as somebody else is faster.

    ``uid`` is of the object that is meant, if not any of that name. If what is built carries a resourceVersion, it must
    be the current one (409). ``attributed`` says that ``build`` has seen to managedFields (server-side apply). ``raw``
    leaves out the strategy's preparation and validation: for subresources that do their own. ``view`` is for those
    that are another kind. Raises ``errors.APIStatusError``.
    """
    resource = op.resource
    with op.exclusive():
        # Each attempt that fails is another's success, and the request's time limit ends them all: how many others
        # write the object must not decide whether this write is refused.
        while True:
            item = op.server.storage.get(resource, op.namespace, op.name)
            if item is None:
                raise errors.not_found(resource.group, resource.plural, op.name)
            old = item.copy()
            if uid and uid != old["metadata"]["uid"]:
                raise other_uid(op, uid, old["metadata"]["uid"])
            obj = build(item.copy())
            try:
                return _write(op, item, obj, old, attributed=attributed, raw=raw, view=view)
            except storage.Stale:
                # a revision that the client named is not the current one any more, and the next attempt says so
                continue


def other_uid(op: operation.Operation, wanted: str, found: str) -> errors.Conflict:
    return precondition_failed(op, "UID", wanted, found)


def precondition_failed(op: operation.Operation, what: str, wanted: str, found: str) -> errors.Conflict:
    """The refusal of upstream's storage, key and all."""
    key = op.resource.told_key(op.namespace, op.name)
    return errors.conflict(
        op.resource.group, op.resource.plural, op.name,
        f"StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: "
        f"Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}",
    )  # fmt: skip


def _check_version(op: operation.Operation, obj: objects.Object, old: objects.Object) -> None:
    """A revision that the new object names is the one it replaces. Raises 409 and 422."""
    resource, metadata = op.resource, obj.setdefault("metadata", {})
    version = str(metadata.get("resourceVersion") or "")
    if version in ("", "0"):
        if op.strategy.allow_unconditional_update:
            return
        problem = fields.invalid("metadata.resourceVersion", 0, "must be specified for an update")
        raise errors.invalid(resource.group, resource.plural, op.name, [problem])
    if not version.isdecimal():
        problem = fields.invalid(
            "metadata.resourceVersion", version, f'strconv.ParseUint: parsing "{version}": invalid syntax'
        )
        raise errors.invalid(resource.group, resource.kind, op.name, [problem])
    if version != old["metadata"]["resourceVersion"]:
        raise errors.conflict(resource.group, resource.plural, op.name, errors.MODIFIED)


def _write(
    op: operation.Operation, item: stored.Stored, obj: objects.Object, old: objects.Object, *, attributed: bool,
    raw: bool, view: View | None,
) -> stored.Stored:  # fmt: skip
    server, resource, strategy = op.server, op.resource, op.strategy
    _restore_system_fields(obj.setdefault("metadata", {}), old["metadata"])
    if not attributed:
        create.attribute(op, old, obj)
    shown, shown_old = (view.show(obj), view.show(old)) if view is not None else (obj, old)
    attributes = op.attributes("UPDATE", shown, shown_old)
    server.admission.mutate(attributes)
    if view is not None:
        view.take(obj, shown)
    _check_version(op, obj, old)
    _restore_system_fields(obj["metadata"], old["metadata"])
    owners.dedup(op, obj, admitted=True)
    if not raw:
        if op.subresource == "status":
            strategy.prepare_for_status_update(resource, obj, old)
        else:
            disabled_fields.drop(resource.group, resource.kind, obj, old)
            if op.restrict is not None:
                _restrict(op, op.restrict, obj, old)  # as well what was applied, and what admission made of it
            elif not op.subresource:
                strategy.prepare_for_update(resource, obj, old)
    _count_generation(op, obj, old)
    if not raw:
        checks.changed(op, obj, old)
        strategy.canonicalize(resource, obj)
    if view is not None:
        attributes.object = view.show(obj)
    server.admission.validate(attributes)
    if is_finished(obj):
        return _remove(op, item, obj)
    obj["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
    if unchanged(obj, old):
        return item
    with op.allocated(obj, old):
        if op.dry_run:
            return stored.Stored(item.key, stored.encode(obj), item.revision, item.created)
        if attributed:
            return server.storage.update(resource, obj, item.revision)
        return object_size.with_or_without_owners(
            lambda fitting: server.storage.update(resource, fitting, item.revision), obj
        )


def _restore_system_fields(metadata: objects.Object, old: objects.Object) -> None:
    """What an update cannot change, whatever it says, and what it may leave out; what remains is validated."""
    for field in ("creationTimestamp", "generation"):
        metadata.pop(field, None)
        if field in old:
            metadata[field] = old[field]
    if old.get("deletionTimestamp"):
        metadata["deletionTimestamp"] = old["deletionTimestamp"]
    for field in ("uid", "namespace", "deletionGracePeriodSeconds"):
        if metadata.get(field) in (None, "") and field in old:
            metadata[field] = old[field]
    for field in ("deletionTimestamp", "deletionGracePeriodSeconds"):
        if metadata.get(field) is None:
            metadata.pop(field, None)
    metadata.pop("selfLink", None)


def _restrict(op: operation.Operation, rule: operation.Restrict, obj: objects.Object, old: objects.Object) -> None:
    if problems := rule(obj, old):
        raise errors.invalid(op.resource.group, op.resource.kind, op.name, problems)


def _count_generation(op: operation.Operation, obj: objects.Object, old: objects.Object) -> None:
    if op.subresource == "status" or not op.resource.generation:
        return
    if op.strategy.is_new_generation(op.resource, obj, old):
        obj["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1


def unchanged(obj: objects.Object, old: objects.Object) -> bool:
    """Whether a write would change nothing but the times of managedFields; then it is not made."""
    if obj == old:
        return True
    if obj.keys() != old.keys() or any(obj[field] != old[field] for field in obj if field != "metadata"):
        return False
    new_metadata, old_metadata = dict(obj["metadata"]), dict(old["metadata"])
    new_managed = new_metadata.pop("managedFields", None) or []
    old_managed = old_metadata.pop("managedFields", None) or []
    return new_metadata == old_metadata and [_timeless(entry) for entry in new_managed] == [
        _timeless(entry) for entry in old_managed
    ]


def _timeless(entry: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in entry.items() if key != "time"}


def is_finished(obj: objects.Object) -> bool:
    """Whether the object was to be deleted and nothing keeps it any more."""
    metadata = obj["metadata"]
    if not metadata.get("deletionTimestamp") or metadata.get("finalizers"):
        return False
    if obj["kind"] == "Namespace" and obj["apiVersion"] == "v1":
        return not objects.dig(obj, "spec", "finalizers")
    return not metadata.get("deletionGracePeriodSeconds")


def _remove(op: operation.Operation, item: stored.Stored, obj: objects.Object) -> stored.Stored:
    if op.dry_run:
        return stored.Stored(item.key, stored.encode(obj), item.revision, item.created)
    gone = removal.remove(op, item)
    return stored.Stored(item.key, stored.encode(obj), gone.revision, item.created)


def replace(op: operation.Operation, obj: objects.Object) -> tuple[stored.Stored, bool]:
    """PUT: the object as ``obj`` says, created where the strategy allows it; and whether it was."""
    metadata = obj.setdefault("metadata", {})
    owners.dedup(op, obj)
    place.fit_namespace(op, metadata)
    place.check_name(op, metadata)
    uid = str(metadata.get("uid") or "")
    if op.server.storage.get(op.resource, op.namespace, op.name) is None:
        if uid:
            raise other_uid(op, uid, "")
        if not op.strategy.allow_create_on_update or op.subresource:
            raise errors.not_found(op.resource.group, op.resource.plural, op.name)
        op.may_create()
        op.create_unconditionally = True
        try:
            return create.create(op, _fresh(obj)), True
        except errors.AlreadyExists:
            if op.server.storage.get(op.resource, op.namespace, op.name) is None:
                raise
            # Somebody else has made it in this moment: then it is there to be replaced.
    return modify(op, lambda old: _fresh(obj), uid=uid), False


def _fresh(obj: objects.Object) -> objects.Object:
    """A copy for each attempt: an attempt changes what it is given."""
    fresh: objects.Object = json.decode(json.encode(obj), strict=False)[0]
    return fresh


def handle(op: operation.Operation, asked: request.Request) -> request.Response:
    response.form(asked, op.resource)
    obj = decoding.read(op, asked)
    item, created = replace(op, obj)
    return response.of_stored(asked, op.server, op.resource, item, 201 if created else 200)
