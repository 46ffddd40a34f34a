"""pods/eviction: a deletion that asks the pod's disruption budget first.

The budget is taken down by one before the pod is deleted, in an update that fails if somebody else was faster, so
that two evictions cannot both use the last disruption allowed.
"""

from typing import TYPE_CHECKING, Any

from kubeshim import clock
from kubeshim.control_plane.api_server import request, storage
from kubeshim.control_plane.api_server.subresources import call, pods
from kubeshim.control_plane.api_server.verbs import delete, operation
from kubeshim.machinery import errors, go_text, objects, resources, selectors

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

_EVICTION = resources.GroupVersionKind("policy", "v1", "Eviction")
BUDGETS = resources.GroupVersionResource("policy", "v1", "poddisruptionbudgets")
_MAX_DISRUPTED = 2000
_ATTEMPTS = 20
_REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."


class Evict:
    def handle(self, asked: request.Request, server: "servers.Server") -> request.Response:
        op, eviction = call.created(asked, server, _EVICTION)
        if objects.name(eviction) != op.name:
            raise errors.BadRequest("name in URL does not match name in Eviction object")
        wanted = {k: v for k, v in (eviction.get("deleteOptions") or {}).items() if k not in ("kind", "apiVersion")}
        dry_run = wanted.get("dryRun")
        if dry_run and op.dry_run and dry_run != ["All"]:
            raise errors.APIStatusError(
                f"Non-matching dry-run options in request and content: [All] and {go_text.value(dry_run)}",
                code=500, reason="",
            )  # fmt: skip
        op.dry_run = op.dry_run or bool(dry_run)
        _evict(op, wanted)
        return call.answer(asked, call.success())


def _evict(op: operation.Operation, wanted: dict[str, Any]) -> None:
    refused: errors.Conflict | None = None
    insisting = (wanted.get("preconditions") or {}).get("resourceVersion") is not None
    for _ in range(_ATTEMPTS):
        pod = op.server.storage.reader.get(pods.PODS, op.namespace, op.name)
        if pod is None:
            raise errors.not_found("", "pods", op.name)
        free = _needs_no_budget(pod)
        budget = None if free else _budget(op, pod)
        exact = free and not _is_over(pod)
        if budget is not None:
            exact = _is_unready_surplus(pod, budget)
            if not exact:
                _take_one(op, objects.name(budget))
        try:
            _delete(op, wanted, pod if exact and not insisting else None)
            return
        except errors.Conflict as problem:
            if budget is not None and exact and not insisting:
                raise too_many(objects.name(budget), wait=10) from problem
            if insisting or not free:
                raise
            refused = problem
    assert refused is not None
    raise refused


def _delete(op: operation.Operation, wanted: dict[str, Any], pod: objects.Object | None) -> None:
    """``pod`` holds the deletion to the state in which it was judged."""
    resource = op.server.registry.get(*pods.PODS)
    assert resource is not None
    asked = dict(wanted)
    preconditions = dict(asked.get("preconditions") or {})
    if pod is not None:
        preconditions["resourceVersion"] = objects.resource_version(pod)
    marked = _mark(op, resource, preconditions)
    if "resourceVersion" in preconditions and marked:
        preconditions["resourceVersion"] = marked
    if preconditions:
        asked["preconditions"] = preconditions
    as_server = operation.Operation(
        op.server, resource, request.API_SERVER, op.namespace, op.name, dry_run=op.dry_run, warnings=op.warnings
    )
    delete.delete(as_server, asked)


def _mark(op: operation.Operation, resource: resources.Resource, preconditions: dict[str, Any]) -> str:
    """Writes into the pod why it will end; its resourceVersion then, or "" where there is nothing to write.

    What a Job's failure policy may ignore is known by this condition, so it must be there before the pod ends. A pod
    that is not the one asked for is left alone: the deletion says so.
    """
    server = op.server
    for _ in range(_ATTEMPTS):
        item = server.storage.get(resource, op.namespace, op.name)
        if item is None:
            return ""
        pod = item.copy()
        wanted = {"uid": pod["metadata"].get("uid"), "resourceVersion": str(item.revision)}
        if any(preconditions.get(key) not in (None, value) for key, value in wanted.items()):
            return ""
        pod.setdefault("status", {})
        pod["status"]["conditions"] = _with_target(pod, clock.rfc3339(server.clock.now()))
        if op.dry_run:
            return ""
        try:
            return str(server.storage.update(resource, pod, item.revision).revision)
        except storage.Stale:
            continue
    raise errors.conflict("", "pods", op.name, errors.MODIFIED)


def _with_target(pod: objects.Object, now: str) -> list[dict[str, Any]]:
    """The pod's conditions with ``DisruptionTarget`` among them."""
    before = objects.condition(pod, "DisruptionTarget") or {}
    condition = {
        "type": "DisruptionTarget",
        "observedGeneration": pod["metadata"].get("generation", 0),
        "status": "True",
        "lastProbeTime": None,
        "lastTransitionTime": before.get("lastTransitionTime") if before.get("status") == "True" else now,
        "reason": "EvictionByEvictionAPI",
        "message": "Eviction API: evicting",
    }
    return objects.with_condition(pod["status"].get("conditions") or [], condition)


def _needs_no_budget(pod: objects.Object) -> bool:
    """A pod that does not run (yet, or any more) disrupts nothing."""
    return _is_over(pod) or objects.dig(pod, "status", "phase") == "Pending"


def _is_over(pod: objects.Object) -> bool:
    return objects.is_deleting(pod) or objects.dig(pod, "status", "phase") in ("Succeeded", "Failed")


def _budget(op: operation.Operation, pod: objects.Object) -> objects.Object | None:
    """The pod's budget. Raises 500 where there are several: which one would count?"""
    found = []
    for budget in op.server.storage.reader.list(BUDGETS, op.namespace):
        chosen = objects.dig(budget, "spec", "selector")
        if not chosen:
            continue
        try:
            if selectors.from_label_selector(chosen).matches(objects.labels(pod)):
                found.append(budget)
        except (selectors.SelectorError, errors.APIStatusError):
            continue  # an invalid selector selects nothing
    if len(found) > 1:
        raise errors.InternalError(
            "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
            reason="",
        )
    return found[0] if found else None


def _is_unready_surplus(pod: objects.Object, budget: objects.Object) -> bool:
    """A pod that is not ready does not count as healthy: it may go unless the application is short already."""
    ready = objects.condition(pod, "Ready")
    if ready is not None and ready.get("status") == "True":
        return False
    if objects.dig(budget, "spec", "unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    healthy, desired = (objects.dig(budget, "status", f, default=0) for f in ("currentHealthy", "desiredHealthy"))
    return bool(healthy >= desired > 0)


def _take_one(op: operation.Operation, name: str) -> None:
    """One disruption less in the budget. Raises 429 where none is left."""
    server = op.server
    resource = server.registry.get(*BUDGETS)
    assert resource is not None
    with server.locks.of(resource.storage_key(op.namespace, name)):
        for _ in range(_ATTEMPTS):
            item = server.storage.get(resource, op.namespace, name)
            if item is None:
                return
            budget = item.copy()
            _check(budget)
            status = budget["status"]
            status["disruptionsAllowed"] -= 1
            status.setdefault("disruptedPods", {})[op.name] = clock.rfc3339(server.clock.now())
            if not status["disruptionsAllowed"]:
                _note_exhausted(budget, clock.rfc3339(server.clock.now()))
            if op.dry_run:
                return
            try:
                server.storage.update(resource, budget, item.revision)
                return
            except storage.Stale:
                continue
    raise errors.Timeout(
        f'couldn\'t update PodDisruptionBudget "{name}" due to conflicts', details={"retryAfterSeconds": 10}
    )


def _check(budget: objects.Object) -> None:
    name, status = objects.name(budget), budget.get("status") or {}
    if status.get("observedGeneration", 0) < budget["metadata"].get("generation", 0):
        raise too_many(name, wait=10)
    allowed = status.get("disruptionsAllowed", 0)
    if allowed < 0:
        why = "pdb disruptions allowed is negative"
        raise _forbidden(name, why, why)
    if len(status.get("disruptedPods") or ()) > _MAX_DISRUPTED:
        raise _forbidden(
            name,
            "DisruptedPods map too big - too many evictions not confirmed by PDB controller",
            "too many pending evictions not confirmed by PDB controller",
        )
    if allowed == 0:
        raise too_many(name, _why_none(budget))


def _forbidden(name: str, why: str, cause: str) -> errors.Forbidden:
    refusal = errors.forbidden("policy", "poddisruptionbudget", name, why)
    message = f"The disruption budget {name} does not allow evicting pods currently: {cause}"
    refusal.details["causes"] = [{"reason": "DisruptionBudget", "message": message}]
    return refusal


def _why_none(budget: objects.Object) -> str:
    """Why the budget allows no disruption. Where its controller failed, its numbers are not to be trusted."""
    status, name = budget["status"], objects.name(budget)
    current, desired = (status.get(field, 0) for field in ("currentHealthy", "desiredHealthy"))
    condition = objects.condition(budget, "DisruptionAllowed") or {}
    refused = condition.get("status") == "False" and condition.get("message")
    text = f"The disruption budget {name} does not allow evicting pods currently"
    if refused and condition.get("reason") == "SyncFailed":
        return f"{text} because it failed sync: {condition['message']}"
    if current <= desired:
        return f"The disruption budget {name} needs {desired} healthy pods and has {current} currently"
    return f"{text} ({condition.get('reason', '')}): {condition['message']}" if refused else text


def too_many(name: str, why: str = "", *, wait: int = 0) -> errors.TooManyRequests:
    """429 with the cause that ``kubectl drain`` looks for."""
    message = why or f"The disruption budget {name} is still being processed by the server."
    details: dict[str, Any] = {"causes": [{"reason": "DisruptionBudget", "message": message}]}
    if wait:
        details["retryAfterSeconds"] = wait
    return errors.TooManyRequests(_REFUSED, details=details)


def _note_exhausted(budget: objects.Object, now: str) -> None:
    condition = {
        "type": "DisruptionAllowed", "status": "False", "reason": "InsufficientPods", "message": "",
        "observedGeneration": budget["status"].get("observedGeneration", 0), "lastTransitionTime": now,
    }  # fmt: skip
    kept = [one for one in budget["status"].get("conditions") or [] if one.get("type") != "DisruptionAllowed"]
    budget["status"]["conditions"] = [*kept, condition]


EVICT = Evict()
