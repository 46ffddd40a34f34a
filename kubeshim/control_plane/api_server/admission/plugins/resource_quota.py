"""ResourceQuota: what is made is charged to the namespace's quotas before it is stored.

A charge is a write of the quota's status that fails if somebody else was faster, and requests of one namespace are
judged one after another, so two of them never both take what is left for one. If the object is not stored after all,
the charge stays until the resource-quota controller recounts, as upstream. The last plugin of the chain, so nothing is
charged that another one refuses.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

from kubeshim import clock
from kubeshim.control_plane.api_server.admission import plugin, refusals
from kubeshim.machinery import errors, objects, pod_resources, quantity, quotas, resources

_QUOTAS = resources.GroupVersionResource("", "v1", "resourcequotas")
_IGNORED = frozenset(("events", "events.events.k8s.io"))
_PARTS = frozenset((("pods", "resize"), ("persistentvolumeclaims", "status")))
"""Subresources whose writes change what an object counts as."""
_CHANGING = frozenset(("services", "persistentvolumeclaims", "resourceclaims.resource.k8s.io"))
"""Types whose updates do."""
_ATTEMPTS = 4


class Writer(Protocol):
    """The in-process client."""

    def update(
        self, gvr: resources.GroupVersionResource, obj: objects.Object, *, subresource: str = ""
    ) -> objects.Object: ...


class ResourceQuota:
    """``lock`` gives the lock of a name."""

    def __init__(self, writer: Writer, lock: Callable[[str], AbstractContextManager[None]], time: clock.Clock) -> None:
        self._writer = writer
        self._lock = lock
        self._clock = time

    def validate(self, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
        space = attributes.namespace
        if not space or attributes.object is None or not _counts(attributes):
            return
        if not reader.list(_QUOTAS, space):
            return
        charged: set[str] = set()
        with self._lock(f"quotas of {space}"):
            for attempt in range(_ATTEMPTS):
                left = [quota for quota in reader.list(_QUOTAS, space) if objects.uid(quota) not in charged]
                try:
                    self._charge(attributes, left, charged)
                    return
                except errors.Conflict:
                    if attempt == _ATTEMPTS - 1:
                        raise

    def _charge(self, attributes: plugin.Attributes, found: list[objects.Object], charged: set[str]) -> None:
        """Raises ``errors.Conflict`` if a quota has been changed meanwhile, and 403.

        ``charged`` gets the uids of those that have been written by then: they must not be charged again.
        """
        for quota, used in charges(attributes, found, self._clock):
            if not attributes.dry_run:
                status = {**(quota.get("status") or {}), "used": used}
                self._writer.update(_QUOTAS, {**quota, "status": status}, subresource="status")
                charged.add(objects.uid(quota))


def _counts(attributes: plugin.Attributes) -> bool:
    resource, operation = attributes.resource.group_resource, attributes.operation
    if attributes.subresource:
        return operation == "UPDATE" and (resource, attributes.subresource) in _PARTS
    if resource in _IGNORED or resource == "namespaces":
        return False
    return operation == "CREATE" or (operation == "UPDATE" and resource in _CHANGING)


def charges(
    attributes: plugin.Attributes, found: list[objects.Object], time: clock.Clock
) -> list[tuple[objects.Object, dict[str, str]]]:
    """The quotas whose ``used`` changes, with what it becomes. Raises 403 where one of them is not enough."""
    resource, obj, old = attributes.resource.group_resource, attributes.object, attributes.old_object
    assert obj is not None
    concerned = [quota for quota in found if _applies(attributes, quota, obj)]
    if not concerned:
        return []
    now = time.now()
    usage = quotas.usage(resource, obj, now)
    negative = sorted(name for name, amount in usage.items() if amount.nano < 0)
    if negative:
        raise refusals.forbidden(attributes, f"quota usage is negative for resource(s): {','.join(negative)}")
    before = quotas.usage(resource, old, now) if old is not None and attributes.operation == "UPDATE" else {}
    made = []
    for quota in concerned:
        counted = before if old is not None and _is_charged(resource, quota, old) else {}
        delta = _growth(usage, counted)
        used = _after(attributes, quota, delta)
        if used is not None:
            made.append((quota, used))
    return made


def _applies(attributes: plugin.Attributes, quota: objects.Object, obj: objects.Object) -> bool:
    """Whether the object falls under the quota. Raises 403 where it cannot be judged."""
    resource = attributes.resource.group_resource
    status = quota.get("status") or {}
    if not _is_charged(resource, quota, obj):
        return False
    names = quotas.concerning(resource, status.get("hard") or {})
    if resource == "pods":
        missing = _unspecified(obj, quotas.MUST_SPECIFY.intersection(names))
        if missing:
            why = f"failed quota: {objects.name(quota)}: must specify {missing}"
            raise refusals.forbidden(attributes, why)
    unknown = [name for name in names if name not in (status.get("used") or {})]
    if unknown:
        why = f"status unknown for quota: {objects.name(quota)}, resources: {','.join(sorted(names))}"
        raise refusals.forbidden(attributes, why)
    return True


def _is_charged(resource: str, quota: objects.Object, obj: objects.Object) -> bool:
    hard = objects.dig(quota, "status", "hard", default={})
    return bool(quotas.concerning(resource, hard)) and quotas.in_scope(resource, quota, obj)


def _unspecified(pod: objects.Object, required: frozenset[str]) -> str:
    """``limits.cpu for: a,b; …``: which containers leave out what has to be said."""
    missing: dict[str, set[str]] = {}
    for field in ("containers", "initContainers"):
        for container in pod["spec"].get(field) or ():
            said = quotas.of_container(container.get("resources") or {})
            for name in required - said.keys():
                missing.setdefault(name, set()).add(container["name"])
    return "; ".join(f"{name} for: {','.join(sorted(missing[name]))}" for name in sorted(missing))


def _growth(usage: pod_resources.Amounts, before: pod_resources.Amounts) -> pod_resources.Amounts:
    """By how much each amount rises; what does not is left out."""
    rises = {name: amount - before[name] if name in before else amount for name, amount in usage.items()}
    return {name: amount for name, amount in rises.items() if amount.nano > 0}


def _after(attributes: plugin.Attributes, quota: objects.Object, delta: pod_resources.Amounts) -> dict[str, str] | None:
    """The quota's ``used`` with ``delta`` on top, or None where nothing changes. Raises 403 where that is too much."""
    status = quota["status"]
    hard, used = pod_resources.parse(status["hard"]), pod_resources.parse(status.get("used"))
    requested = {name: amount for name, amount in delta.items() if name in hard}
    if not requested:
        return None
    after = {name: used.get(name, quantity.ZERO) + amount for name, amount in requested.items()}
    exceeded = sorted(name for name, amount in after.items() if amount > hard[name])
    if exceeded and attributes.subresource != "status":
        raise refusals.forbidden(
            attributes,
            f"exceeded quota: {objects.name(quota)}, requested: {_shown(requested, exceeded)}, "
            f"used: {_shown(used, exceeded)}, limited: {_shown(hard, exceeded)}",
        )
    texts: dict[str, Any] = dict(status.get("used") or {})
    return texts | {name: amount.canonical() for name, amount in after.items()}


def _shown(amounts: pod_resources.Amounts, names: list[str]) -> str:
    return ",".join(f"{name}={amounts[name]}" for name in names if name in amounts)
