"""A claim that is deleted stays until no pod uses it: its finalizer ``kubernetes.io/pvc-protection``.

And a bound claim says whether a pod uses it, and since when: its condition ``Unused``. Claims that are not bound yet
say nothing, so that nobody gets in the way of their binding.
"""

import logging
from collections.abc import Callable, Sequence

from kubeshim import clock
from kubeshim.client import kinds
from kubeshim.control_plane.controller_manager import controller, indexes, volume_claims
from kubeshim.machinery import errors, objects, volumes
from kubeshim.machinery.objects import Object

_log = logging.getLogger(__name__)

FINALIZER = "kubernetes.io/pvc-protection"


class PVCProtectionController(controller.Controller):
    name = "persistentvolumeclaim-protection"
    workers = 1

    def register(self) -> None:
        self._claims = self.watch(kinds.PERSISTENT_VOLUME_CLAIMS)
        self._pods = indexes.by_namespace(self.informer(kinds.PODS))
        self._pods.add_handler(
            added=self._pod_changed, updated=lambda _, new: self._pod_changed(new), deleted=self._pod_changed
        )

    def _pod_changed(self, pod: Object) -> None:
        for name in volumes.claims_of(pod):
            self.queue.add(f"{objects.namespace(pod)}/{name}")

    def sync(self, key: str) -> None:
        claim = self._claims.get(key)
        if claim is None:
            return
        finalizers = claim["metadata"].get("finalizers") or []
        try:
            if not objects.is_deleting(claim):
                if FINALIZER not in finalizers:  # it is of a time without the admission plugin
                    self._set_finalizers(claim, [*finalizers, FINALIZER])
                elif objects.dig(claim, "status", "phase") == "Bound":
                    self._tell_use(claim)
            elif FINALIZER in finalizers and not self._is_so(claim, _is_kept):
                self._set_finalizers(claim, [name for name in finalizers if name != FINALIZER])
        except errors.NotFound:
            _log.debug("claim %s is gone", key)

    def _set_finalizers(self, claim: Object, wanted: list[str]) -> None:
        changed = {**claim, "metadata": {**claim["metadata"], "finalizers": wanted}}
        self.client.update(kinds.PERSISTENT_VOLUME_CLAIMS, changed)

    def _tell_use(self, claim: Object) -> None:
        told = objects.condition(claim, volume_claims.UNUSED)
        said = None if told is None else told.get("status") == "False"
        there = self._pods.by_index("namespace", objects.namespace(claim))
        if volume_claims.is_in_use(claim, there) == said:
            return
        in_use = self._is_so(claim, volume_claims.is_in_use)
        if in_use != said:
            condition = volume_claims.unused(in_use, clock.rfc3339(self.clock.now()))
            found = objects.dig(claim, "status", "conditions", default=[]) or []
            status = {**claim["status"], "conditions": objects.with_condition(found, condition)}
            self.client.update(kinds.PERSISTENT_VOLUME_CLAIMS, {**claim, "status": status}, subresource="status")

    def _is_so(self, claim: Object, use: Callable[[Object, Sequence[Object]], bool]) -> bool:
        """Whether pods use the claim. Asks the cache, and, since that may be behind, the server."""
        if use(claim, self._pods.by_index("namespace", objects.namespace(claim))):
            return True
        return use(claim, list(self.client.pages(kinds.PODS, objects.namespace(claim))))


def _is_kept(claim: Object, there: Sequence[Object]) -> bool:
    return bool(volume_claims.users(claim, there))
