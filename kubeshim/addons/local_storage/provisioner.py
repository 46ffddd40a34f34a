"""Follows claims and volumes, and brings each in order with the directories of the nodes it is for."""

import logging
import threading
from collections.abc import Callable

from kubeshim import clock
from kubeshim.addons.local_storage import claims, directories
from kubeshim.client import informer, kinds, recorder, rest, workqueue
from kubeshim.machinery import errors, objects
from kubeshim.machinery.objects import Object

_log = logging.getLogger(__name__)

CLAIM, VOLUME = "claim/", "volume/"
GONE_NODE_SECONDS = 60.0
"""Between two looks whether the node of a volume that waits for its removal still exists."""


class Provisioner:
    """For the nodes ``owns`` says are ours; ``here`` is the node for claims that nothing has placed.

    With ``forgets``, it also lets go of released volumes whose node is gone from the API, for their data went with it,
    and gives claims back that were meant for such a node.

    Queue keys are ``claim/NS/NAME`` and ``volume/NAME``; one worker.
    """

    def __init__(
        self,
        client: rest.Client,
        owns: Callable[[str], bool],
        places: directories.Directories,
        *,
        here: str = "",
        forgets: bool = False,
        host: str = "",
        time_source: clock.Clock = clock.SYSTEM,
    ) -> None:
        self._client, self._owns, self._places, self._here, self._forgets = client, owns, places, here, forgets
        self._clock = time_source
        self._recorder = recorder.Recorder(client, claims.PROVISIONER, host or here)
        self._queue: workqueue.RateLimitingQueue[str] = workqueue.RateLimitingQueue(max_delay=60.0)
        self._claims = informer.Informer(client, kinds.PERSISTENT_VOLUME_CLAIMS)
        self._volumes = informer.Informer(client, kinds.PERSISTENT_VOLUMES)
        self._classes = informer.Informer(client, kinds.STORAGE_CLASSES)
        self._hesitated: set[str] = set()
        """Uids of claims that nothing has placed and that were looked at once."""
        self._all = (self._claims, self._volumes, self._classes)
        self._thread = threading.Thread(target=self._run, name="local-storage", daemon=True)

    def start(self) -> None:
        self._claims.add_handler(
            added=self._claim_changed,
            updated=lambda _, new: self._claim_changed(new),
            deleted=lambda claim: self._hesitated.discard(objects.uid(claim)),
        )
        self._volumes.add_handler(added=self._volume_changed, updated=lambda _, new: self._volume_changed(new))
        self._classes.add_handler(added=self._class_changed, updated=lambda _, new: self._class_changed(new))
        for source in self._all:
            source.start()
        self._thread.start()

    def stop(self) -> None:
        self._queue.shut_down()
        for source in self._all:
            source.stop()
        self._recorder.stop()

    def _claim_changed(self, claim: Object) -> None:
        self._queue.add(CLAIM + objects.key(claim))

    def _volume_changed(self, volume: Object) -> None:
        if claims.is_ours(volume):
            self._queue.add(VOLUME + objects.name(volume))

    def _class_changed(self, storage_class: Object) -> None:
        if storage_class.get("provisioner") == claims.PROVISIONER:
            for claim in self._claims.list():
                if not claim["spec"].get("volumeName"):
                    self._claim_changed(claim)

    def _run(self) -> None:
        for source in self._all:
            source.wait_for_sync()
        self._tidy()
        self._queue.serve(self._handle)

    def _handle(self, key: str) -> None:
        try:
            self._sync(key)
        except (errors.APIStatusError, OSError) as error:
            _log.info("%s, will be tried again: %s", key, error)
            self._queue.add_rate_limited(key)
        except Exception:
            _log.exception("%s failed, will be tried again", key)
            self._queue.add_rate_limited(key)
        else:
            self._queue.forget(key)

    def _tidy(self) -> None:
        """Directories whose volume was never made, and never will be."""
        known = {objects.uid(claim) for claim in self._claims.list()}
        volumes = {objects.name(volume) for volume in self._volumes.list()}
        for name in self._places.left_behind():
            volume = name.split("_")[0]
            if volume not in volumes and volume.removeprefix("pvc-") not in known:
                self._places.remove_empty(name)

    def _sync(self, key: str) -> None:
        if key.startswith(CLAIM):
            claim = self._claims.get(key.removeprefix(CLAIM))
            if claim is not None:
                self._sync_claim(claim)
        else:
            volume = self._volumes.get(key.removeprefix(VOLUME))
            if volume is not None:
                self._sync_volume(volume)

    # -- making ----------------------------------------------------------------------------------------------------

    def _sync_claim(self, claim: Object) -> None:
        if claims.grows(claim):
            self._grow(claim)
            return
        storage_class = self._classes.get(str(claim["spec"].get("storageClassName") or ""))
        if storage_class is None or not claims.awaits_us(claim, storage_class):
            return
        node = claims.selected_node(claim)
        if not node:
            self._take(claim, storage_class)
        elif self._owns(node):
            self._provision(claim, storage_class, node)
        elif self._forgets:
            self._give_back(claim, node)

    def _take(self, claim: Object, storage_class: Object) -> None:
        """An unplaced claim: whichever node's provisioner writes its name first has it."""
        if not self._here or not claims.admits(self._client.get(kinds.NODES, self._here), storage_class):
            return
        uid = objects.uid(claim)
        if uid not in self._hesitated:
            self._hesitated.add(uid)
            self._queue.add_after(CLAIM + objects.key(claim), claims.hesitation(claim, self._here))
            return
        annotations = {**objects.annotations(claim), claims.SELECTED_NODE: self._here}
        metadata = {**claim["metadata"], "annotations": annotations}
        self._client.update(kinds.PERSISTENT_VOLUME_CLAIMS, {**claim, "metadata": metadata})
        self._hesitated.discard(uid)

    def _give_back(self, claim: Object, node: str) -> None:
        """A node that is gone makes no volumes: the scheduler shall choose another."""
        if self._exists(node):
            self._queue.add_after(CLAIM + objects.key(claim), GONE_NODE_SECONDS)
            return
        self._recorder.event(claim, "Warning", "ProvisioningFailed", f'node "{node}" not found')
        kept = {key: value for key, value in objects.annotations(claim).items() if key != claims.SELECTED_NODE}
        self._client.update(
            kinds.PERSISTENT_VOLUME_CLAIMS, {**claim, "metadata": {**claim["metadata"], "annotations": kept}}
        )

    def _provision(self, claim: Object, storage_class: Object, node: str) -> None:
        if self._volumes.get(claims.volume_name(claim)) is not None:
            return  # the binder has not written it into the claim yet
        refusal = claims.refusal(claim, storage_class)
        if refusal:
            self._failed(claim, storage_class, refusal)
            return
        text = f'External provisioner is provisioning volume for claim "{objects.key(claim)}"'
        self._recorder.event(claim, "Normal", "Provisioning", text)
        found = self._client.get(kinds.NODES, node)
        hostname = objects.labels(found).get(claims.HOSTNAME, node)
        try:
            path = self._places.make(claims.directory_name(claim))
        except OSError as error:
            self._failed(claim, storage_class, str(error))
            raise
        volume = claims.volume(claim, storage_class, hostname, path)
        try:
            self._client.create(kinds.PERSISTENT_VOLUMES, volume)
        except errors.AlreadyExists:
            _log.debug("volume %s is there already", objects.name(volume))
        text = f"Successfully provisioned volume {objects.name(volume)}"
        self._recorder.event(claim, "Normal", "ProvisioningSucceeded", text)

    def _failed(self, claim: Object, storage_class: Object, why: str) -> None:
        text = f'failed to provision volume with StorageClass "{objects.name(storage_class)}": {why}'
        self._recorder.event(claim, "Warning", "ProvisioningFailed", text)

    # -- growing ---------------------------------------------------------------------------------------------------

    def _grow(self, claim: Object) -> None:
        volume = self._volumes.get(str(claim["spec"].get("volumeName")))
        if volume is None or not claims.is_ours(volume) or not self._owns(claims.hostname_of(volume)):
            return
        size, name = claims.requested(claim), objects.name(volume)
        self._recorder.event(claim, "Normal", "Resizing", f"External resizer is resizing volume {name}")
        growing = claims.growing(claim, clock.rfc3339(self._clock.now()))
        claim = self._write_status(claim, growing)
        if objects.dig(volume, "spec", "capacity", "storage") != size:
            self._client.patch(kinds.PERSISTENT_VOLUMES, name, {"spec": {"capacity": {"storage": size}}})
        self._write_status(claim, claims.grown(growing, size))
        self._recorder.event(claim, "Normal", "VolumeResizeSuccessful", "Resize volume succeeded")

    def _write_status(self, claim: Object, status: Object) -> Object:
        return self._client.update(kinds.PERSISTENT_VOLUME_CLAIMS, {**claim, "status": status}, subresource="status")

    # -- removing --------------------------------------------------------------------------------------------------

    def _sync_volume(self, volume: Object) -> None:
        node = claims.hostname_of(volume)
        if self._owns(node):
            self._keep_or_remove(volume, lambda: self._places.remove(volume["spec"]["local"]["path"]))
        elif self._forgets and claims.to_be_removed(volume):
            if self._exists(node):
                self._queue.add_after(VOLUME + objects.name(volume), GONE_NODE_SECONDS)
            else:
                self._keep_or_remove(volume, lambda: None)

    def _exists(self, node: str) -> bool:
        try:
            self._client.get(kinds.NODES, node)
        except errors.NotFound:
            return False
        return True

    def _keep_or_remove(self, volume: Object, remove: Callable[[], None]) -> None:
        if not claims.to_be_removed(volume):
            wanted = volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete"
            if not objects.is_deleting(volume):
                self._set_finalizer(volume, wanted=wanted)
            elif not wanted:
                self._set_finalizer(volume, wanted=False)
            return
        try:
            remove()
        except OSError as error:
            self._recorder.event(volume, "Warning", "VolumeFailedDelete", str(error))
            raise
        try:
            if not objects.is_deleting(volume):
                options = {"preconditions": {"uid": objects.uid(volume)}}
                self._client.delete(kinds.PERSISTENT_VOLUMES, objects.name(volume), options=options)
                volume = self._client.get(kinds.PERSISTENT_VOLUMES, objects.name(volume))
            self._set_finalizer(volume, wanted=False)
        except errors.NotFound:
            _log.debug("volume %s is gone", objects.name(volume))

    def _set_finalizer(self, volume: Object, *, wanted: bool) -> None:
        finalizers = claims.finalizers(volume, wanted=wanted)
        if sorted(finalizers) != sorted(volume["metadata"].get("finalizers") or ()):
            metadata = {**volume["metadata"], "finalizers": finalizers}
            self._client.update(kinds.PERSISTENT_VOLUMES, {**volume, "metadata": metadata})
