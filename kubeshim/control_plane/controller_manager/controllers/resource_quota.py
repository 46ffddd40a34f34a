"""ResourceQuotas: recounting what is used.

Admission only ever adds to ``status.used``; here it is counted afresh when a quota is new or its spec changes, when
something that counts goes away or ends, and every few minutes. What is new is no reason: admission has charged it
before it is stored, and a count taken between the two would take the charge back. But a count for another reason may
fall just there, its cache behind the charge; and admission charges only what the status limits: what was being made
while that was written first is neither charged nor in the count. So a second count, which only adds, follows a
moment after the first one of new limits, and after everything new. Types that a quota names by
``count/…`` are watched (metadata alone) from the first time one does.
"""

import logging
import threading

from kubeshim.client import discovery, informer, kinds
from kubeshim.control_plane.controller_manager import controller, indexes, pods
from kubeshim.machinery import errors, objects, pod_resources, quantity, quotas
from kubeshim.machinery.objects import Object
from kubeshim.machinery.resources import GroupVersionResource

_log = logging.getLogger(__name__)

WHOLE: dict[str, GroupVersionResource] = {
    "pods": kinds.PODS,
    "services": kinds.SERVICES,
    "persistentvolumeclaims": kinds.PERSISTENT_VOLUME_CLAIMS,
}
"""Types that count by what is in them."""
RESYNC = 300.0
"""Seconds between counts of a quota of which nothing was heard."""
LATE, BREATH = "late/", 1.0
PLAIN = ("configmaps", "secrets", "replicationcontrollers", "resourcequotas")


class ResourceQuotaController(controller.Controller):
    """Queue keys are ``NS/NAME``, and ``late/NS/NAME`` of a quota that admission has begun to charge a moment ago."""

    name = "resourcequota"
    component = "resourcequota-controller"

    def register(self) -> None:
        self._quotas = indexes.by_namespace(self.informer(kinds.RESOURCE_QUOTAS))
        self._quotas.add_handler(added=self.enqueue, updated=self._quota_updated)
        self._lock = threading.Lock()
        self._caches: dict[str, informer.Informer] = {}
        for name, gvr in WHOLE.items():
            self._caches[name] = self._observed(self.informer(gvr))

    def _observed(self, cache: informer.Informer) -> informer.Informer:
        indexes.by_namespace(cache)
        cache.add_handler(added=self._added, updated=self._updated, deleted=self._changed)
        return cache

    def _added(self, obj: Object) -> None:
        for quota in self._quotas.by_index("namespace", objects.namespace(obj)):
            self.queue.add_after(LATE + objects.key(quota), BREATH)

    def _quota_updated(self, old: Object, new: Object) -> None:
        # its status is written by admission at every charge
        if old["spec"] != new["spec"]:
            self.enqueue(new)

    def _changed(self, obj: Object) -> None:
        for quota in self._quotas.by_index("namespace", objects.namespace(obj)):
            self.enqueue(quota)

    def _updated(self, old: Object, new: Object) -> None:
        if pods.is_finished(old) != pods.is_finished(new) or _counted(old) != _counted(new):
            self._changed(new)

    def sync(self, key: str) -> float | None:
        late, key = key.startswith(LATE), key.removeprefix(LATE)
        quota = self._quotas.get(key)
        if quota is None:
            return None
        hard = quota["spec"].get("hard") or {}
        now = self.clock.now()
        used: dict[str, quantity.Quantity] = {}
        for group_resource in counted_types(hard):
            names = quotas.concerning(group_resource, hard)
            for name in names:
                used.setdefault(name, quantity.ZERO)
            for obj in self._objects(group_resource, objects.namespace(quota)):
                if not quotas.in_scope(group_resource, quota, obj):
                    continue
                for name, number in quotas.usage(group_resource, obj, now).items():
                    if name in used and name in names:
                        used[name] += number
        if late:
            for name, charged in pod_resources.parse(objects.dig(quota, "status", "used")).items():
                used[name] = max(used.get(name, quantity.ZERO), charged)
        elif hard != objects.dig(quota, "status", "hard"):
            self.queue.add_after(f"{LATE}{key}", BREATH)
        status = {"hard": hard, "used": {name: used.get(name, quantity.ZERO).canonical() for name in hard}}
        if status != (quota.get("status") or {}):
            try:
                self.client.update(kinds.RESOURCE_QUOTAS, {**quota, "status": status}, subresource="status")
            except errors.NotFound:
                _log.debug("quota %s is gone", key)
        return None if late else RESYNC

    def _objects(self, group_resource: str, namespace: str) -> list[Object]:
        cache = self._cache(group_resource)
        return cache.by_index("namespace", namespace) if cache is not None else []

    def _cache(self, group_resource: str) -> informer.Informer | None:
        with self._lock:
            cache = self._caches.get(group_resource)
        if cache is None:
            gvr = self._find(group_resource)
            if gvr is None:
                return None
            shared = self.context.informers.existing(gvr)
            cache = self._observed(shared or self.context.informers.informer(gvr, metadata_only=True))
            with self._lock:
                self._caches[group_resource] = cache
        if not cache.wait_for_sync(10):
            raise TimeoutError(f"{group_resource} cannot be listed yet")
        return cache

    def _find(self, group_resource: str) -> GroupVersionResource | None:
        plural, _, group = group_resource.partition(".")
        for one in discovery.discover(self.client).types:
            if (one.gvr.resource, one.gvr.group) == (plural, group) and one.preferred and one.namespaced:
                return one.gvr
        return None


def _counted(obj: Object) -> Object:
    """What an object may count by: its spec, but for the node a pod is given, which follows upon every creation."""
    return {name: value for name, value in (obj.get("spec") or {}).items() if name != "nodeName"}


def counted_types(hard: Object) -> list[str]:
    """The types (``pods``, ``deployments.apps``) that the names of ``hard`` are about."""
    found = [name for name in WHOLE if quotas.concerning(name, hard)]
    found += [name for name in PLAIN if name in hard]
    found += [name.removeprefix("count/") for name in hard if name.startswith("count/")]
    return list(dict.fromkeys(found))
