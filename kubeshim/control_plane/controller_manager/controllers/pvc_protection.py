"""A claim that is deleted stays until no pod uses it: its finalizer ``kubernetes.io/pvc-protection``."""

import logging

from kubeshim.client import kinds
from kubeshim.control_plane.controller_manager import controller, indexes, pods
from kubeshim.machinery import errors, objects
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
        for name in claims_of(pod):
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
        name, namespace = objects.name(claim), objects.namespace(claim)
        if any(uses(pod, name) for pod in self._pods.by_index("namespace", namespace)):
            return True
        return any(uses(pod, name) for pod in self.client.pages(kinds.PODS, namespace))


def claims_of(pod: Object) -> list[str]:
    found = []
    for volume in pod["spec"].get("volumes") or ():
        if volume.get("persistentVolumeClaim"):
            found.append(str(volume["persistentVolumeClaim"]["claimName"]))
        elif volume.get("ephemeral"):
            found.append(f"{objects.name(pod)}-{volume['name']}")
    return found


def uses(pod: Object, claim: str) -> bool:
    """A pod that has a node and has not ended; one without a node may not start any more."""
    return bool(pod["spec"].get("nodeName")) and not pods.is_finished(pod) and claim in claims_of(pod)
