"""DELETE of one object.

Preconditions first; then what must happen before the object may go is decided (``_plan``): a grace period that is not
over, or finalizers, those asked for by ``propagationPolicy`` included, keep it with a ``deletionTimestamp``. Otherwise
it is removed. Who clears the last finalizer removes it by that update (``verbs.update``).
"""

import datetime
from typing import Any

from kubeshim import clock
from kubeshim.control_plane.api_server import request, response, storage, stored
from kubeshim.control_plane.api_server.verbs import operation, options
from kubeshim.machinery import errors, objects, resources
from kubeshim.machinery.codecs import bodies, negotiation
from kubeshim.machinery.validation import decoding

_ORPHAN, _FOREGROUND = "orphan", "foregroundDeletion"
_ATTEMPTS = 10
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


def delete(op: operation.Operation, asked: dict[str, Any]) -> tuple[stored.Stored, bool]:
    """The object as it is now, and whether it is gone. ``asked`` is ``DeleteOptions``. Raises 404, 409, 422."""
    resource = op.resource
    with op.exclusive():
        admitted = False
        for _ in range(_ATTEMPTS):
            item = op.server.storage.get(resource, op.namespace, op.name)
            if item is None:
                raise errors.not_found(resource.group, resource.plural, op.name)
            if not admitted:
                attributes = op.attributes("DELETE", None, item.copy())
                op.server.admission.mutate(attributes)
                op.server.admission.validate(attributes)
                admitted = True
            _check_preconditions(op, item, asked.get("preconditions") or {})
            try:
                return _delete(op, item, asked)
            except storage.Stale:
                continue
    raise errors.conflict(resource.group, resource.plural, op.name, errors.MODIFIED)


def _check_preconditions(op: operation.Operation, item: stored.Stored, preconditions: dict[str, Any]) -> None:
    metadata = item.obj["metadata"]
    for field, word, short in (("uid", "UID", "UID"), ("resourceVersion", "ResourceVersion", "ResourceVersion")):
        wanted = preconditions.get(field)
        if wanted is not None and wanted != metadata.get(field):
            raise errors.conflict(
                op.resource.group, op.resource.plural, op.name,
                f"Precondition failed: {word} in precondition: {wanted}, {short} in object meta: {metadata.get(field)}",
            )  # fmt: skip


def _delete(op: operation.Operation, item: stored.Stored, asked: dict[str, Any]) -> tuple[stored.Stored, bool]:
    old = item.copy()
    obj = item.copy()
    begun = op.strategy.begin_deletion(obj, op.now())
    grace = 0 if begun else _mark(op, obj, asked)
    kept = bool(obj["metadata"].get("finalizers")) or grace > 0 or _held(obj)
    if kept:
        if obj == old:
            return item, False
        if op.dry_run:
            return stored.Stored(item.key, stored.encode(obj), item.revision, item.created), False
        return op.server.storage.update(op.resource, obj, item.revision), False
    if op.dry_run:
        return item, True
    return op.server.storage.delete(op.resource, item), True


def _held(obj: objects.Object) -> bool:
    """A namespace stays until the namespace controller has emptied it and cleared ``spec.finalizers``."""
    return obj["kind"] == "Namespace" and obj["apiVersion"] == "v1" and bool(objects.dig(obj, "spec", "finalizers"))


def _mark(op: operation.Operation, obj: objects.Object, asked: dict[str, Any]) -> int:
    """Notes in ``obj`` that it is to be deleted; returns the seconds it still has."""
    metadata = obj["metadata"]
    wanted = _finalizers(metadata.get("finalizers") or [], asked)
    if wanted != (metadata.get("finalizers") or []):
        if wanted:
            metadata["finalizers"] = wanted
        else:
            del metadata["finalizers"]
    grace = op.strategy.grace_period(obj, asked)
    if metadata.get("deletionTimestamp"):
        return _shorten(op, metadata, grace)
    if not (grace or wanted or _held(obj)):
        return 0
    end = op.server.clock.now() + datetime.timedelta(seconds=grace)
    metadata["deletionTimestamp"] = clock.rfc3339(end)
    metadata["deletionGracePeriodSeconds"] = grace
    if op.resource.generation and metadata.get("generation"):
        metadata["generation"] += 1
    if _held(obj):
        obj.setdefault("status", {})["phase"] = "Terminating"
        del metadata["deletionGracePeriodSeconds"]
    return grace


def _shorten(op: operation.Operation, metadata: dict[str, Any], grace: int) -> int:
    """A second deletion may only make the time shorter."""
    current = int(metadata.get("deletionGracePeriodSeconds") or 0)
    if grace >= current:
        return current
    begun = clock.parse_rfc3339(metadata["deletionTimestamp"]) - datetime.timedelta(seconds=current)
    metadata["deletionTimestamp"] = clock.rfc3339(begun + datetime.timedelta(seconds=grace))
    metadata["deletionGracePeriodSeconds"] = grace
    return grace


def _finalizers(present: list[str], asked: dict[str, Any]) -> list[str]:
    """The finalizers with those of the garbage collector as the propagation asked for wants them."""
    orphan = asked.get("orphanDependents")
    policy = asked.get("propagationPolicy")
    if orphan is not None:
        policy = "Orphan" if orphan else "Background"
    if policy is None:
        return present
    rest = [name for name in present if name not in (_ORPHAN, _FOREGROUND)]
    added = {"Orphan": [_ORPHAN], "Foreground": [_FOREGROUND]}.get(policy, [])
    return present if [name for name in present if name in (_ORPHAN, _FOREGROUND)] == added else rest + added


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
        if asked.param("propagationPolicy"):
            found["propagationPolicy"] = asked.param("propagationPolicy")
        if "orphanDependents" in asked.query:
            found["orphanDependents"] = options.boolean(asked, "orphanDependents")
        if any(asked.query.get("dryRun", ())):
            found["dryRun"] = asked.query["dryRun"]
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
