"""A claim that is deleted stays until no pod uses it: its finalizer ``kubernetes.io/pvc-protection``."""

import logging

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
        self._pods.add_handler(updated=lambda _, new: self._pod_changed(new), deleted=self._pod_changed)

    def _pod_changed(self, pod: Object) -> None:
        for name in volumes.claims_of(pod):
            self.queue.add(f"{objects.namespace(pod)}/{name}")

    def sync(self, key: str) -> None:
        claim = self._claims.get(key)
        if claim is None or not objects.is_deleting(claim):
            return
        finalizers = claim["metadata"].get("finalizers") or []
        if FINALIZER not in finalizers or self._is_used(claim):
            return
        left = [name for name in finalizers if name != FINALIZER]
        changed = {**claim, "metadata": {**claim["metadata"], "finalizers": left}}
        try:
            self.client.update(kinds.PERSISTENT_VOLUME_CLAIMS, changed)
        except errors.NotFound:
            _log.debug("claim %s is gone", key)

    def _is_used(self, claim: Object) -> bool:
        """Asks the cache, and, since that may be behind, the server."""
        if volume_claims.users(claim, self._pods.by_index("namespace", objects.namespace(claim))):
            return True
        return bool(volume_claims.users(claim, list(self.client.pages(kinds.PODS, objects.namespace(claim)))))
