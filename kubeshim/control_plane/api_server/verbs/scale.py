"""The ``scale`` subresource: the number of replicas of any type that has one, as an ``autoscaling/v1 Scale``.

Where the numbers and the selector stand is data: the usual places for built-in types, the CRD's ``subresources.scale``
for custom ones, whose change is judged by their schema as any other.
"""

from collections.abc import Callable
from typing import Any

from kubeshim.control_plane.api_server import request, response, scale_paths, stored
from kubeshim.control_plane.api_server.verbs import decoding, operation, place, update
from kubeshim.control_plane.api_server.verbs import get as gets
from kubeshim.control_plane.api_server.verbs import patch as patches
from kubeshim.machinery import apply, errors, managed_fields, objects, scale_fields, selectors, tables
from kubeshim.machinery.codecs import negotiation
from kubeshim.machinery.validation import fields

KIND = scale_paths.KIND
_USUAL = scale_paths.Paths()


def paths(op: operation.Operation) -> scale_paths.Paths:
    return op.server.scale_paths.get(op.resource.gvk, _USUAL)


def scale_of(op: operation.Operation, obj: objects.Object, *, required: bool = True) -> objects.Object:
    """The Scale that an object has. Raises 500 for a custom object that ``required`` to say its replicas does not."""
    where = paths(op)
    metadata = obj["metadata"]
    kept = {
        key: metadata[key]
        for key in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
        if key in metadata
    }
    replicas = objects.dig(obj, *where.replicas)
    if replicas is None and op.resource.strategy == "custom" and required:
        place = "." + ".".join(where.replicas)
        raise errors.internal(f'the spec replicas field "{place}" does not exist')
    spec = {"replicas": replicas} if replicas else {}
    status: dict[str, Any] = {"replicas": objects.dig(obj, *where.status, default=0)}
    selector = _selector(op, obj, where)
    if selector:
        status["selector"] = selector
    return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": kept, "spec": spec, "status": status}


def _selector(op: operation.Operation, obj: objects.Object, where: scale_paths.Paths) -> str:
    found = objects.dig(obj, *where.selector) if where.selector else None
    if found is None or isinstance(found, str):
        return found or ""
    if op.resource.group_resource == "replicationcontrollers":
        return str(selectors.from_set(found))
    return str(selectors.from_label_selector(found))


Change = Callable[[objects.Object], objects.Object]
"""From the present Scale (the callee's own) to the wanted one, decoded."""


def set_scale(op: operation.Operation, change: Change, *, uid: str = "") -> stored.Stored:
    """Writes the replicas of the Scale that ``change`` makes of the present one. Raises 409 and 422."""

    def build(old: objects.Object) -> objects.Object:
        wanted = change(scale_of(op, old, required=False))
        _take(op, old, wanted)
        version = objects.resource_version(wanted)
        if version:
            old["metadata"]["resourceVersion"] = version
        elif op.strategy.allow_unconditional_update:
            del old["metadata"]["resourceVersion"]
        return old

    return update.modify(op, build, raw=op.resource.strategy != "custom", uid=uid, view=_view(op))


def apply_scale(
    op: operation.Operation, applied: objects.Object, duplicates: list[str], *, force: bool
) -> stored.Stored:
    """Server-side apply of a Scale: it decides who owns the replicas. Raises 400, 409 and 422."""
    path = paths(op).replicas

    def build(old: objects.Object) -> objects.Object:
        entries = managed_fields.live_entries(old)
        present = scale_of(op, old, required=False)
        present["metadata"]["managedFields"] = scale_fields.of_scale(entries, path)
        wanted = apply.apply(
            present, applied, schema=op.server.schema(KIND), manager=op.manager, api_version=KIND.group_version,
            subresource=op.subresource, force=force, now=op.server.clock.now(), reset=(),
        )  # fmt: skip
        patches.check_applied(op, wanted, duplicates)
        changed = managed_fields.live_entries(wanted)
        _take(op, old, wanted)
        old["metadata"]["resourceVersion"] = objects.resource_version(wanted)
        old["metadata"]["managedFields"] = scale_fields.of_object(entries, changed, path, op.resource.api_version)
        return old

    return update.modify(op, build, attributed=True, raw=op.resource.strategy != "custom", view=_view(op))


def _view(op: operation.Operation) -> update.View:
    """Admission judges the Scale, not the object that has it."""
    return update.View(lambda obj: scale_of(op, obj, required=False), lambda obj, changed: _take(op, obj, changed))


def _take(op: operation.Operation, obj: objects.Object, scale: objects.Object) -> None:
    """The replicas of a Scale into the object, if they are valid and the Scale is this object's."""
    problems = fields.non_negative("spec.replicas", objects.dig(scale, "spec", "replicas", default=0))
    if problems:
        raise errors.invalid("autoscaling", "Scale", op.name, problems)
    uid = objects.uid(scale)
    if uid and uid != objects.uid(obj):
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {objects.uid(obj)}"
        raise errors.conflict(op.resource.group, f"{op.resource.plural}/scale", op.name, why)
    *parents, last = paths(op).replicas
    at = obj
    for step in parents:
        at = at.setdefault(step, {})
    at[last] = objects.dig(scale, "spec", "replicas", default=0)


def handle_get(op: operation.Operation, asked: request.Request) -> request.Response:
    return _answer(op, asked, gets.get(op))


def handle_update(op: operation.Operation, asked: request.Request) -> request.Response:
    wanted = decoding.read(op, asked, KIND)
    place.fit_namespace(op, wanted.setdefault("metadata", {}))
    place.check_name(op, wanted["metadata"])
    return _answer(op, asked, set_scale(op, lambda present: wanted, uid=objects.uid(wanted)))


def handle_patch(op: operation.Operation, asked: request.Request) -> request.Response:
    media_type, content, duplicates = patches.read(op, asked)
    if media_type == negotiation.APPLY_PATCH:
        gets.get(op)
        applied = patches.applied_configuration(content, KIND)
        return _answer(op, asked, apply_scale(op, applied, duplicates, force=bool(op.options.get("force"))))

    def change(present: objects.Object) -> objects.Object:
        return patches.patched(op, media_type, present, content, duplicates, KIND)

    return _answer(op, asked, set_scale(op, change))


def _answer(op: operation.Operation, asked: request.Request, item: stored.Stored) -> request.Response:
    media = negotiation.negotiate(asked.header("accept"), negotiation.OBJECTS)
    scale = scale_of(op, item.obj)
    if media.kind:
        # A custom object's Scale is shown with the columns of its own type.
        shown = op.resource if op.resource.strategy == "custom" else tables.SCALE
        return response.of_object(asked, op.server, shown, scale)
    return response.encoded(asked, media, scale)
