"""A volume that is deleted stays while it is bound: its finalizer ``kubernetes.io/pv-protection``."""

import logging

from kubeshim.client import kinds
from kubeshim.control_plane.controller_manager import controller
from kubeshim.machinery import errors, objects

_log = logging.getLogger(__name__)

FINALIZER = "kubernetes.io/pv-protection"


class PVProtectionController(controller.Controller):
    name = "persistentvolume-protection"
    workers = 1

    def register(self) -> None:
        self._volumes = self.watch(kinds.PERSISTENT_VOLUMES)

    def sync(self, key: str) -> None:
        volume = self._volumes.get(key)
        if volume is None or not objects.is_deleting(volume) or objects.dig(volume, "status", "phase") == "Bound":
            return
        finalizers = volume["metadata"].get("finalizers") or []
        if FINALIZER not in finalizers:
            return
        left = [name for name in finalizers if name != FINALIZER]
        try:
            self.client.update(
                kinds.PERSISTENT_VOLUMES, {**volume, "metadata": {**volume["metadata"], "finalizers": left}}
            )
        except errors.NotFound:
            _log.debug("volume %s is gone", key)
