"""Subresources that are a part of their object: read like it, and written without touching the rest.

Each has a rule, a pure function of new and old object, that puts everything it does not own back to the old state
and says what is wrong with the change; the generic verbs do the rest.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server.subresources import call, resizing
from kubeshim.control_plane.api_server.verbs import get, patch, update
from kubeshim.machinery import errors, objects, qos
from kubeshim.machinery.validation import certificates, pod_updates

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

Rule = Callable[[objects.Object, objects.Object, str], list[errors.FieldError]]
"""(new, old, the time now) → what is wrong."""


class Part:
    def __init__(self, rule: Rule) -> None:
        self._rule = rule

    def handle(self, asked: request.Request, server: "servers.Server") -> request.Response:
        op = call.operation_of(asked, server)
        op.restrict = lambda new, old: self._rule(new, old, op.now())
        match asked.info.verb:
            case "get":
                return get.handle(op, asked)
            case "update":
                return update.handle(op, asked)
            case "patch":
                return patch.handle(op, asked)
        raise errors.MethodNotAllowed("the server does not allow this method on the requested resource", details={})


def keep_all_but(new: objects.Object, old: objects.Object, *owned: str) -> None:
    """Puts every top-level field back but the owned ones and managedFields."""
    kept = {field: new[field] for field in owned if field in new}
    managed = (new.get("metadata") or {}).get("managedFields")
    version = (new.get("metadata") or {}).get("resourceVersion")
    new.clear()
    new.update({field: value for field, value in old.items() if field not in owned})
    new.update(kept)
    metadata = dict(old["metadata"])
    for field, value in (("managedFields", managed), ("resourceVersion", version)):
        metadata.pop(field, None)
        if value is not None:
            metadata[field] = value
    new["metadata"] = metadata


def ephemeral_containers(new: objects.Object, old: objects.Object, now: str) -> list[errors.FieldError]:
    """Containers may be added; those that are there stay as they are."""
    wanted = objects.dig(new, "spec", "ephemeralContainers", default=[])
    keep_all_but(new, old)
    new["spec"] = {**old["spec"], "ephemeralContainers": wanted}
    if not wanted:
        del new["spec"]["ephemeralContainers"]
    return pod_updates.ephemeral_containers(new, old)


def resize(new: objects.Object, old: objects.Object, now: str) -> list[errors.FieldError]:
    """Requests and limits of cpu and memory, container by container."""
    wanted = new.get("spec") or {}
    keep_all_but(new, old)
    new["spec"] = resizing.resized(wanted, old["spec"])
    before = objects.dig(old, "status", "qosClass") or qos.of(old["spec"])
    classes = qos.of(new["spec"]), before
    return pod_updates.resize(new, old, classes)


def approval(new: objects.Object, old: objects.Object, now: str) -> list[errors.FieldError]:
    """The conditions that approve or deny a certificate signing request."""
    conditions = objects.dig(new, "status", "conditions", default=[])
    new["spec"] = old["spec"]
    new["status"] = {**(old.get("status") or {}), "conditions": conditions}
    if not conditions:
        del new["status"]["conditions"]
    known = {(one.get("type"), one.get("status")): one for one in objects.dig(old, "status", "conditions", default=())}
    for one in conditions:
        before = known.get((one.get("type"), one.get("status")), {})
        if not one.get("lastTransitionTime"):
            one["lastTransitionTime"] = before.get("lastTransitionTime") or now
        if not one.get("lastUpdateTime"):
            one["lastUpdateTime"] = now
    return certificates.signing_approval(new, old)


def finalize(new: objects.Object, old: objects.Object, now: str) -> list[errors.FieldError]:
    """A namespace's ``spec.finalizers``: when the last is gone, so is the namespace."""
    if "status" in old:
        new["status"] = old["status"]
    else:
        new.pop("status", None)
    return []


EPHEMERAL_CONTAINERS, RESIZE = Part(ephemeral_containers), Part(resize)
APPROVAL, FINALIZE = Part(approval), Part(finalize)
