"""A class of volume attributes that is deleted stays while a claim or a volume names it.

Its finalizer is ``kubernetes.io/vac-protection``. Before it is taken away the server is asked, since caches may be
behind.
"""

import logging
from collections.abc import Iterable

from kubeshim.client import kinds
from kubeshim.control_plane.controller_manager import controller
from kubeshim.machinery import errors, objects
from kubeshim.machinery.objects import Object

_log = logging.getLogger(__name__)

FINALIZER = "kubernetes.io/vac-protection"
INDEX = "attributes-class"
USERS = (kinds.PERSISTENT_VOLUME_CLAIMS, kinds.PERSISTENT_VOLUMES)


class VACProtectionController(controller.Controller):
    name = "volumeattributesclass-protection"
    workers = 1

    def register(self) -> None:
        self._classes = self.watch(kinds.VOLUME_ATTRIBUTES_CLASSES)
        self._users = [self.informer(gvr) for gvr in USERS]
        for users in self._users:
            users.add_index(INDEX, classes_of)
            users.add_handler(updated=lambda old, _: self._left(old), deleted=self._left)

    def _left(self, user: Object) -> None:
        for name in classes_of(user):
            self.queue.add(name)

    def sync(self, key: str) -> None:
        found = self._classes.get(key)
        if found is None or not objects.is_deleting(found):
            return
        finalizers = found["metadata"].get("finalizers") or []
        if FINALIZER not in finalizers or any(users.by_index(INDEX, key) for users in self._users):
            return
        if any(key in classes_of(user) for gvr in USERS for user in self.client.pages(gvr)):
            return  # which will be told of
        left = [name for name in finalizers if name != FINALIZER]
        try:
            self.client.update(
                kinds.VOLUME_ATTRIBUTES_CLASSES, {**found, "metadata": {**found["metadata"], "finalizers": left}}
            )
        except errors.NotFound:
            _log.debug("volume attributes class %s is gone", key)


def classes_of(user: Object) -> Iterable[str]:
    """The classes a claim or a volume has, wants, or is being changed to."""
    names = (
        objects.dig(user, "spec", "volumeAttributesClassName"),
        objects.dig(user, "status", "currentVolumeAttributesClassName"),
        objects.dig(user, "status", "modifyVolumeStatus", "targetVolumeAttributesClassName"),
    )
    return {str(name) for name in names if name}
