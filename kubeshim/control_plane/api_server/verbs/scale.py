"""The ``scale`` subresource: the number of replicas of any type that has one, as an ``autoscaling/v1 Scale``.

Where the numbers and the selector stand is data: the usual places for built-in types, the CRD's ``subresources.scale``
for custom ones, whose change is judged by their schema as any other.
"""

from typing import Any

from kubeshim.control_plane.api_server import request, response, scale_paths, stored
from kubeshim.control_plane.api_server.verbs import decoding, operation, update
from kubeshim.control_plane.api_server.verbs import get as gets
from kubeshim.control_plane.api_server.verbs import patch as patches
from kubeshim.machinery import errors, objects, selectors
from kubeshim.machinery.codecs import negotiation
from kubeshim.machinery.patches import json_patch, merge, strategic
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
        raise errors.InternalError(f'Internal error occurred: the spec replicas field "{place}" does not exist')
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


def set_scale(op: operation.Operation, change: Any) -> stored.Stored:
    """Writes the replicas of the Scale that ``change`` makes of the present one. Raises 409 and 422."""
    where = paths(op)

    def build(old: objects.Object) -> objects.Object:
        wanted = change(scale_of(op, old, required=False))
        _check(op, wanted)
        version = objects.resource_version(wanted)
        if version:
            old["metadata"]["resourceVersion"] = version
        elif op.strategy.allow_unconditional_update:
            del old["metadata"]["resourceVersion"]
        if objects.uid(wanted):
            old["metadata"]["uid"] = objects.uid(wanted)
        place = old
        for step in where.replicas[:-1]:
            place = place.setdefault(step, {})
        place[where.replicas[-1]] = objects.dig(wanted, "spec", "replicas", default=0)
        return old

    return update.modify(op, build, raw=op.resource.strategy != "custom")


def _check(op: operation.Operation, scale: objects.Object) -> None:
    if objects.name(scale) not in ("", op.name):
        raise errors.BadRequest(
            f"the name of the object ({objects.name(scale)}) does not match the name on the URL ({op.name})"
        )
    replicas = objects.dig(scale, "spec", "replicas", default=0)
    problems = fields.non_negative("spec.replicas", replicas)
    if problems:
        raise errors.invalid("autoscaling", "Scale", op.name, problems)


def handle_get(op: operation.Operation, asked: request.Request) -> request.Response:
    return _answer(op, asked, gets.get(op))


def handle_update(op: operation.Operation, asked: request.Request) -> request.Response:
    wanted = decoding.read(op, asked, KIND)
    return _answer(op, asked, set_scale(op, lambda present: wanted))


def handle_patch(op: operation.Operation, asked: request.Request) -> request.Response:
    media_type, content, duplicates = patches.read(op, asked)

    def change(present: objects.Object) -> objects.Object:
        if media_type == negotiation.JSON_PATCH:
            patched = json_patch.apply(present, content)
        elif media_type == negotiation.STRATEGIC_MERGE_PATCH:
            patched = strategic.apply(present, content, op.server.schema(KIND))
        else:
            # Of an applied Scale only the replicas mean anything, so applying and merging are the same.
            patched = merge.apply(present, content)
        decoding.complete(op, patched, KIND, duplicates)
        found: objects.Object = patched
        return found

    return _answer(op, asked, set_scale(op, change))


def _answer(op: operation.Operation, asked: request.Request, item: stored.Stored) -> request.Response:
    media = negotiation.negotiate(asked.header("accept"), negotiation.OBJECTS)
    return response.encoded(asked, media, scale_of(op, item.obj))
