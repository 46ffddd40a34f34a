"""Tells of claims that wait to grow. Whoever made the volume makes it larger; no kind of volume is grown from here."""

from kubeshim.client import kinds
from kubeshim.control_plane.controller_manager import controller
from kubeshim.machinery import objects, quantity
from kubeshim.machinery.objects import Object

WAITING = "waiting for an external controller to expand this PVC"


class VolumeExpandController(controller.Controller):
    name = "persistentvolume-expander"
    component = "volume_expand"
    workers = 1

    def register(self) -> None:
        self._claims = self.informer(kinds.PERSISTENT_VOLUME_CLAIMS)
        self._volumes = self.informer(kinds.PERSISTENT_VOLUMES)
        self._claims.add_handler(added=self.enqueue, updated=self._updated)

    def _updated(self, old: Object, new: Object) -> None:
        if _asked(new) > _asked(old):
            self.enqueue(new)

    def sync(self, key: str) -> None:
        claim = self._claims.get(key)
        if claim is None or objects.dig(claim, "status", "phase") != "Bound":
            return
        had = quantity.parse(objects.dig(claim, "status", "capacity", "storage", default="0"))
        volume = self._volumes.get(str(claim["spec"].get("volumeName")))
        if volume is not None and _asked(claim) > had:
            # of kinds that are never grown from here, as upstream's
            self.recorder.event(claim, "Normal" if "csi" in volume["spec"] else "Warning", "ExternalExpanding", WAITING)


def _asked(claim: Object) -> quantity.Quantity:
    return quantity.parse(objects.dig(claim, "spec", "resources", "requests", "storage", default="0"))
