"""DELETE of one object.

Preconditions first; then what must happen before the object may go: a grace period that is not over, or finalizers,
those that ``propagationPolicy`` or the kind's habit ask for included, keep it with a ``deletionTimestamp``. Otherwise
it is removed. Who clears the last finalizer removes it by that update (``verbs.update``).
"""

import datetime
from typing import Any

from kubeshim import clock
from kubeshim.control_plane.api_server import request, response, storage, stored
from kubeshim.control_plane.api_server.verbs import operation, options, removal
from kubeshim.machinery import errors, objects, resources
from kubeshim.machinery.codecs import bodies, negotiation
from kubeshim.machinery.validation import decoding, fields

_ORPHAN, _FOREGROUND = "orphan", "foregroundDeletion"
_OPTIONS = resources.GroupVersionKind("", "v1", "DeleteOptions")
_RETURNED = frozenset(
    (
        "persistentvolumes",
        "persistentvolumeclaims",
        "pods",
        "podtemplates",
        "resourcequotas",
        "serviceaccounts",
        "services",
        "deviceclasses.resource.k8s.io",
        "resourceclaims.resource.k8s.io",
        "resourceclaimtemplates.resource.k8s.io",
        "resourceslices.resource.k8s.io",
        "csidrivers.storage.k8s.io",
        "csinodes.storage.k8s.io",
        "storageclasses.storage.k8s.io",
        "volumeattachments.storage.k8s.io",
        "volumeattributesclasses.storage.k8s.io",
    )
)
"""Types whose deletion answers with the object that was; others answer with a ``Status``."""

_TERMINATED = frozenset(("namespaces", "customresourcedefinitions.apiextensions.k8s.io"))
"""Types that are emptied before they go; they check preconditions in words of their own."""


def delete(op: operation.Operation, asked: dict[str, Any], *, one_by_one: bool = True) -> tuple[stored.Stored, bool]:
    """The object as it is now, and whether it is gone. ``asked`` is ``DeleteOptions``. Raises 403, 404, 409, 422."""
    resource = op.resource
    if one_by_one and op.name in op.strategy.undeletable:
        raise errors.forbidden(resource.group, resource.plural, op.name, op.strategy.undeletable[op.name])
    if asked.get("propagationPolicy") is None and asked.get("orphanDependents") is None and op.strategy.orphan_warning:
        op.warnings.append(op.strategy.orphan_warning)
    with op.exclusive():
        admitted = False
        while True:  # as changes do (``update.modify``): a failed attempt is another's success
            item = op.server.storage.get(resource, op.namespace, op.name)
            if item is None:
                raise errors.not_found(resource.group, resource.plural, op.name)
            _check_preconditions(op, item, asked.get("preconditions") or {})
            if not admitted:
                attributes = op.attributes("DELETE", None, item.copy())
                op.server.admission.mutate(attributes)
                op.server.admission.validate(attributes)
                admitted = True
            try:
                return _delete(op, item, asked)
            except storage.Stale:
                continue


def _check_preconditions(op: operation.Operation, item: stored.Stored, preconditions: dict[str, Any]) -> None:
    """Raises 409 in the words of upstream's early check, which names the kind, not the resource."""
    metadata, resource = item.obj["metadata"], op.resource
    for field, word, guess in (
        ("uid", "UID", "The object might have been deleted and then recreated"),
        ("resourceVersion", "ResourceVersion", "The object might have been modified"),
    ):
        wanted, found = preconditions.get(field), metadata.get(field)
        if wanted is None or wanted == found:
            continue
        if resource.group_resource in _TERMINATED:
            why = f"Precondition failed: {word} in precondition: {wanted}, {word} in object meta: {found}"
            raise errors.conflict(resource.group, resource.plural, op.name, why)
        why = f"the {word} in the precondition ({wanted}) does not match the {word} in record ({found})"
        raise errors.conflict(resource.group, resource.kind, op.name, f"{why}. {guess}")


def _delete(op: operation.Operation, item: stored.Stored, asked: dict[str, Any]) -> tuple[stored.Stored, bool]:
    obj = item.copy()
    graceful, seconds = False, 0
    if not op.strategy.begin_deletion(obj, op.now()):
        if op.strategy.graceful:
            if _is_pending(obj, asked):
                return item, False
            graceful, seconds = _give_time(op, obj, asked)
        _set_finalizers(obj["metadata"], asked, op.strategy.dependents)
        if not graceful:
            _mark(op, obj)
    if obj["metadata"].get("finalizers") or seconds > 0 or _held(obj):
        if obj == item.obj:
            return item, False
        return _write(op, item, obj), False
    if graceful:
        # Whoever watches learns first that the time is over, then that the object is gone.
        item = _write(op, item, obj)
    return (item if op.dry_run else removal.remove(op, item)), True


def _write(op: operation.Operation, item: stored.Stored, obj: objects.Object) -> stored.Stored:
    if op.dry_run:
        return stored.Stored(item.key, stored.encode(obj), item.revision, item.created)
    return op.server.storage.update(op.resource, obj, item.revision)


def _held(obj: objects.Object) -> bool:
    """A namespace stays until the namespace controller has emptied it and cleared ``spec.finalizers``."""
    return obj["kind"] == "Namespace" and obj["apiVersion"] == "v1" and bool(objects.dig(obj, "spec", "finalizers"))


def _is_pending(obj: objects.Object, asked: dict[str, Any]) -> bool:
    """Whether a deletion is on its way that this one does not make any shorter: then it changes nothing at all."""
    current, wish = int(obj["metadata"].get("deletionGracePeriodSeconds") or 0), asked.get("gracePeriodSeconds")
    return bool(obj["metadata"].get("deletionTimestamp")) and current > 0 and (wish is None or wish >= current)


def _give_time(op: operation.Operation, obj: objects.Object, asked: dict[str, Any]) -> tuple[bool, int]:
    """Whether the time that is left was noted in ``obj``, and the seconds of it."""
    metadata = obj["metadata"]
    if not metadata.get("deletionTimestamp"):
        seconds = op.strategy.grace_period(obj, asked)
        _begin(op, metadata, seconds)
        return True, seconds
    current = int(metadata.get("deletionGracePeriodSeconds") or 0)
    if not current:
        return False, 0
    seconds = int(asked["gracePeriodSeconds"])
    begun = clock.parse_rfc3339(metadata["deletionTimestamp"]) - datetime.timedelta(seconds=current)
    metadata["deletionTimestamp"] = clock.rfc3339(begun + datetime.timedelta(seconds=seconds))
    metadata["deletionGracePeriodSeconds"] = seconds
    return True, seconds


def _begin(op: operation.Operation, metadata: dict[str, Any], seconds: int) -> None:
    end = op.server.clock.now() + datetime.timedelta(seconds=seconds)
    metadata["deletionTimestamp"] = clock.rfc3339(end)
    metadata["deletionGracePeriodSeconds"] = seconds
    if op.resource.generation and metadata.get("generation"):
        metadata["generation"] += 1


def _mark(op: operation.Operation, obj: objects.Object) -> None:
    """An object that has to wait for others, not for a time, says so."""
    metadata = obj["metadata"]
    if not (metadata.get("finalizers") or _held(obj)):
        return
    if not metadata.get("deletionTimestamp"):
        _begin(op, metadata, 0)
    metadata["deletionGracePeriodSeconds"] = 0
    if _held(obj):
        obj.setdefault("status", {})["phase"] = "Terminating"
        del metadata["deletionGracePeriodSeconds"]


def _set_finalizers(metadata: dict[str, Any], asked: dict[str, Any], habit: str) -> None:
    wanted = finalizers(metadata.get("finalizers") or [], asked, habit)
    if wanted:
        metadata["finalizers"] = wanted
    else:
        metadata.pop("finalizers", None)


def finalizers(present: list[str], asked: dict[str, Any], habit: str) -> list[str]:
    """The finalizers with those of the garbage collector: as asked for, else as they stand, else as is the habit."""
    if habit == "ignore":
        wanted = []
    elif asked.get("orphanDependents") is not None:
        wanted = [_ORPHAN] if asked["orphanDependents"] else []
    elif asked.get("propagationPolicy") is not None:
        wanted = {"Orphan": [_ORPHAN], "Foreground": [_FOREGROUND]}.get(asked["propagationPolicy"], [])
    else:
        wanted = [name for name in present if name in (_ORPHAN, _FOREGROUND)][:1]
        if not wanted and habit == "orphan":
            wanted = [_ORPHAN]
    kept = [name for name in present if name not in (_ORPHAN, _FOREGROUND)] + wanted
    return present if set(kept) == set(present) else kept


def read_options(op: operation.Operation, asked: request.Request) -> dict[str, Any]:
    """``DeleteOptions`` from the body, or from the query where there is none. Raises 400, 415, 422."""
    if asked.body:
        accepted = negotiation.OBJECTS.media_types
        media_type = negotiation.content_type(asked.header("content-type"), accepted)
        found = _parsed(op, asked.body, media_type)
    else:
        found = {}
        if "gracePeriodSeconds" in asked.query:
            found["gracePeriodSeconds"] = options.integer(asked, "gracePeriodSeconds")
        if "propagationPolicy" in asked.query:
            found["propagationPolicy"] = asked.param("propagationPolicy")
        if "orphanDependents" in asked.query:
            found["orphanDependents"] = options.boolean(asked, "orphanDependents")
        if "dryRun" in asked.query:
            found["dryRun"] = list(asked.query["dryRun"])
        if preconditions := {name: asked.param(name) for name in ("uid", "resourceVersion") if asked.param(name)}:
            found["preconditions"] = preconditions
        if options.UNREADABLE in asked.query:
            found[options.UNREADABLE] = options.boolean(asked, options.UNREADABLE)
    problems = options.delete_problems(found)
    if problems:
        raise errors.invalid("meta.k8s.io", "DeleteOptions", "", problems)
    if found.get("gracePeriodSeconds") is not None and found["gracePeriodSeconds"] < 0:
        # Upstream takes a negative grace period for the shortest there is.
        found["gracePeriodSeconds"] = 1
    op.options = {"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1", **found}
    op.dry_run = "All" in (found.get("dryRun") or ())
    return found


def _parsed(op: operation.Operation, body: bytes, media_type: str) -> dict[str, Any]:
    """``DeleteOptions`` is registered in every group-version, so any of their names will do."""
    value, _ = bodies.parse(body, media_type, _OPTIONS, strictly=False)
    if not isinstance(value, dict) or value.get("kind", "DeleteOptions") not in ("DeleteOptions", ""):
        raise errors.BadRequest("expected *internalversion.DeleteOptions")
    decoding.decode(value, op.server.schema(_OPTIONS), _OPTIONS)
    return {key: entry for key, entry in value.items() if key not in ("kind", "apiVersion") and entry is not None}


def handle(op: operation.Operation, asked: request.Request) -> request.Response:
    response.form(asked, op.resource)
    wanted = read_options(op, asked)
    if wanted.get(options.UNREADABLE):  # what is stored here can always be read
        text = "is exclusively used to delete corrupt object(s), try again by removing this option"
        problem = fields.invalid(options.UNREADABLE, True, text)
        raise errors.invalid(op.resource.group, op.resource.plural, op.name, [problem])
    item, gone = delete(op, wanted)
    code = 202 if not gone and wanted.get("orphanDependents") is False else 200
    returned = op.resource.group_resource in _RETURNED
    if not gone or returned:
        return response.of_stored(asked, op.server, op.resource, item, code)
    return response.of_status(asked, op.resource, success(op, item))


def success(op: operation.Operation, item: stored.Stored) -> objects.Object:
    details = {"name": item.name, "group": op.resource.group, "kind": op.resource.plural, "uid": objects.uid(item.obj)}
    return {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": {key: value for key, value in details.items() if value},
    }  # fmt: skip
