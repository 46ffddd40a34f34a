"""Binding claims to volumes, and saying of each in which phase it is.

A binding is written in four steps, each of which may be the last before a crash and is then taken up again: the
volume names the claim, the volume is Bound, the claim names the volume, the claim is Bound. What a claim or volume
says of itself is the truth; nothing is remembered here. One worker, so that no volume is promised twice.

Volumes are made and deleted by provisioners, which are other programs: here a claim is only handed to its class's
provisioner by an annotation.
"""

import logging
from collections.abc import Iterable

from kubeshim.client import kinds
from kubeshim.control_plane.controller_manager import controller, indexes, inventory, volume_claims
from kubeshim.machinery import class_defaults, errors, objects, volumes
from kubeshim.machinery.objects import Object

_log = logging.getLogger(__name__)

BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
PROVISIONERS = ("volume.beta.kubernetes.io/storage-provisioner", "volume.kubernetes.io/storage-provisioner")
SELECTED_NODE = "volume.kubernetes.io/selected-node"
CLAIM, VOLUME = "claim/", "volume/"


class PersistentVolumeBinderController(controller.Controller):
    """Queue keys are ``claim/NS/NAME`` and ``volume/NAME``."""

    name = "persistentvolume-binder"
    component = "persistentvolume-controller"
    workers = 1

    def register(self) -> None:
        self._claims = self.informer(kinds.PERSISTENT_VOLUME_CLAIMS)
        self._volumes = self.informer(kinds.PERSISTENT_VOLUMES)
        self._classes = self.informer(kinds.STORAGE_CLASSES)
        self._claims.add_handler(
            added=self._claim_changed, updated=lambda _, new: self._claim_changed(new), deleted=self._claim_changed
        )
        self._volumes.add_handler(
            added=self._volume_changed, updated=lambda _, new: self._volume_changed(new), deleted=self._volume_changed
        )
        self._pods = indexes.by_namespace(self.informer(kinds.PODS))
        self._pods.add_handler(added=self._pod_added)
        self._classes.add_handler(added=self._class_changed, updated=lambda _, new: self._class_changed(new))

    def figures(self) -> Iterable[str]:
        return inventory.volumes(self._volumes.list(), self._claims.list())

    def _claim_changed(self, claim: Object) -> None:
        self.queue.add(CLAIM + objects.key(claim))
        name = claim["spec"].get("volumeName")
        if name:
            self.queue.add(VOLUME + name)

    def _volume_changed(self, volume: Object) -> None:
        self.queue.add(VOLUME + objects.name(volume))
        reference = volume["spec"].get("claimRef")
        if reference:
            self.queue.add(f"{CLAIM}{reference['namespace']}/{reference['name']}")
        else:  # it may be what a waiting claim was waiting for
            self._wake(str(volume["spec"].get("storageClassName") or ""))

    def _class_changed(self, storage_class: Object) -> None:
        self._wake(objects.name(storage_class))
        self._wake("")  # it may be the default now

    def _pod_added(self, pod: Object) -> None:
        for name in volumes.claims_of(pod):
            self.queue.add(f"{CLAIM}{objects.namespace(pod)}/{name}")

    def _wake(self, class_name: str) -> None:
        for claim in self._claims.list():
            if not claim["spec"].get("volumeName") and (claim["spec"].get("storageClassName") or "") == class_name:
                self.queue.add(CLAIM + objects.key(claim))

    def sync(self, key: str) -> None:
        if key.startswith(CLAIM):
            claim = self._claims.get(key.removeprefix(CLAIM))
            if claim is not None:
                self._sync_claim(claim)
        else:
            volume = self._volumes.get(key.removeprefix(VOLUME))
            if volume is not None:
                self._sync_volume(volume)

    def _sync_claim(self, claim: Object) -> None:
        if BIND_COMPLETED in objects.annotations(claim):
            self._sync_bound(claim)
        elif not claim["spec"].get("volumeName"):
            self._find_volume(claim)
        else:
            self._take_volume(claim, claim["spec"]["volumeName"])

    def _sync_bound(self, claim: Object) -> None:
        name = claim["spec"].get("volumeName")
        volume = self._volume(name) if name else None
        if not name:
            text = "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!"
            self._lose(claim, "ClaimLost", text)
        elif volume is None:
            self._lose(claim, "ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!")
        elif (volume["spec"].get("claimRef") or {}).get("uid") in (None, "", objects.uid(claim)):
            self._bind(claim, volume)
        else:
            text = "Two claims are bound to the same volume, this one is bound incorrectly"
            self._lose(claim, "ClaimMisbound", text)

    def _volume(self, name: str) -> Object | None:
        """The server is asked before it is said not to be there: two watches are not in step."""
        try:
            return self._volumes.get(name) or self.client.get(kinds.PERSISTENT_VOLUMES, name)
        except errors.NotFound:
            return None

    def _take_volume(self, claim: Object, name: str) -> None:
        """The claim names the volume it wants."""
        volume = self._volumes.get(name)
        if volume is None:
            self._claim_phase(claim, "Pending")
        elif belongs(volume, claim):
            self._bind(claim, volume)
        elif volume["spec"].get("claimRef") is not None:
            text = f'volume "{name}" already bound to a different claim.'
            self.recorder.event(claim, "Warning", "FailedBinding", text)
            self._claim_phase(claim, "Pending")
        elif why := volume_claims.mismatch(volume, claim):
            text = f'Cannot bind to requested volume "{name}": {why}'
            self.recorder.event(claim, "Warning", "VolumeMismatch", text)
            self._claim_phase(claim, "Pending")
        else:
            self._bind(claim, volume)

    def _find_volume(self, claim: Object) -> None:
        if objects.is_deleting(claim):
            return
        promised = [
            volume for volume in self._volumes.list() if belongs(volume, claim) and volumes.suits(volume, claim)
        ]
        class_name = str(claim["spec"].get("storageClassName") or "")
        storage_class = self._classes.get(class_name) if class_name else None
        waits = (storage_class or {}).get("volumeBindingMode") == "WaitForFirstConsumer"
        fitting = promised
        if not promised and not waits:
            fitting = [volume for volume in self._volumes.list() if volumes.fits(volume, claim)]
        if fitting:
            self._bind(claim, min(fitting, key=volumes.preference))
            return
        if volume_claims.wants_default(claim) and self._give_class(claim):
            return
        self._claim_phase(claim, "Pending")
        if waits and SELECTED_NODE not in objects.annotations(claim):
            there = self._pods.by_index("namespace", objects.namespace(claim))
            self.recorder.event(claim, "Normal", *volume_claims.waiting_for(claim, there))
        elif storage_class is not None and (why := volume_claims.no_provisioner(storage_class)):
            self.recorder.event(claim, "Warning", "ProvisioningFailed", why)
        elif storage_class is not None:
            self._hand_over(claim, str(storage_class["provisioner"]))
        elif class_name and storage_class is None:
            text = f'storageclass.storage.k8s.io "{class_name}" not found'
            self.recorder.event(claim, "Warning", "ProvisioningFailed", text)
        else:
            text = "no persistent volumes available for this claim and no storage class is set"
            self.recorder.event(claim, "Normal", "FailedBinding", text)

    def _give_class(self, claim: Object) -> bool:
        """A claim of before there was a default class."""
        default = class_defaults.pick(self._classes.list(), *class_defaults.STORAGE)
        if default is None:
            return False
        spec = {**claim["spec"], "storageClassName": objects.name(default)}
        self.client.update(kinds.PERSISTENT_VOLUME_CLAIMS, {**claim, "spec": spec})
        return True

    def _hand_over(self, claim: Object, provisioner: str) -> None:
        text = (
            f"Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the "
            "system administrator. If volume creation is delayed, please verify that the provisioner is running and "
            "correctly registered."
        )
        self.recorder.event(claim, "Normal", "ExternalProvisioning", text)
        wanted = dict.fromkeys(PROVISIONERS, provisioner)
        if wanted.items() <= objects.annotations(claim).items():
            return
        metadata = {**claim["metadata"], "annotations": {**objects.annotations(claim), **wanted}}
        self.client.update(kinds.PERSISTENT_VOLUME_CLAIMS, {**claim, "metadata": metadata})

    def _bind(self, claim: Object, volume: Object) -> None:
        if (volume["spec"].get("claimRef") or {}).get("uid") != objects.uid(claim):
            reference = {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": objects.namespace(claim),
                "name": objects.name(claim),
                "uid": objects.uid(claim),
                "resourceVersion": objects.resource_version(claim),
            }
            annotations = dict(objects.annotations(volume))
            if volume["spec"].get("claimRef") is None:
                annotations[BOUND_BY_CONTROLLER] = "yes"
            spec = {**volume["spec"], "claimRef": reference}
            metadata = {**volume["metadata"], "annotations": annotations}
            volume = self.client.update(kinds.PERSISTENT_VOLUMES, {**volume, "metadata": metadata, "spec": spec})
        self._volume_phase(volume, "Bound")
        annotations = {**objects.annotations(claim), BIND_COMPLETED: "yes"}
        if not claim["spec"].get("volumeName"):
            annotations[BOUND_BY_CONTROLLER] = "yes"
        if annotations != objects.annotations(claim) or not claim["spec"].get("volumeName"):
            metadata = {**claim["metadata"], "annotations": annotations}
            spec = {**claim["spec"], "volumeName": objects.name(volume)}
            claim = self.client.update(kinds.PERSISTENT_VOLUME_CLAIMS, {**claim, "metadata": metadata, "spec": spec})
        self._claim_status(claim, volume_claims.bound_status(claim, volume))

    def _lose(self, claim: Object, reason: str, text: str) -> None:
        if objects.dig(claim, "status", "phase") != "Lost":
            self.recorder.event(claim, "Warning", reason, text)
            self._claim_phase(claim, "Lost")

    def _sync_volume(self, volume: Object) -> None:
        reference = volume["spec"].get("claimRef")
        if reference is None or not reference.get("uid"):
            self._volume_phase(volume, "Available")
            return
        claim = self._claims.get(f"{reference['namespace']}/{reference['name']}")
        if claim is None or objects.uid(claim) != reference["uid"]:
            try:  # the cache may be behind, and a volume that was released stays so
                claim = self.client.get(kinds.PERSISTENT_VOLUME_CLAIMS, reference["name"], reference["namespace"])
            except errors.NotFound:
                claim = None
        if claim is None or objects.uid(claim) != reference["uid"]:
            self._release(volume)
        elif claim["spec"].get("volumeName") == objects.name(volume):
            self._volume_phase(volume, "Bound")
        elif not claim["spec"].get("volumeName"):
            self.queue.add(CLAIM + objects.key(claim))
        elif BOUND_BY_CONTROLLER in objects.annotations(volume):
            # The claim went to another volume: this one is free again.
            spec = {key: value for key, value in volume["spec"].items() if key != "claimRef"}
            self.client.update(kinds.PERSISTENT_VOLUMES, {**volume, "spec": spec})

    def _release(self, volume: Object) -> None:
        policy = volume["spec"].get("persistentVolumeReclaimPolicy")
        why = volume_claims.cannot_delete(volume) if policy == "Delete" else ""
        if not why:
            if objects.dig(volume, "status", "phase") != "Failed":
                self._volume_phase(volume, "Released")
        elif objects.dig(volume, "status", "phase") != "Failed":
            self._volume_phase(volume, "Failed", why)
            self.recorder.event(volume, "Warning", "VolumeFailedDelete", why)

    def _volume_phase(self, volume: Object, phase: str, message: str = "") -> None:
        before = volume.get("status") or {}
        if before.get("phase") != phase:
            status = {**before, "phase": phase}
            status.pop("message", None)
            if message:
                status["message"] = message
            self.client.update(kinds.PERSISTENT_VOLUMES, {**volume, "status": status}, subresource="status")

    def _claim_phase(self, claim: Object, phase: str) -> None:
        self._claim_status(claim, {**(claim.get("status") or {}), "phase": phase})

    def _claim_status(self, claim: Object, status: Object) -> None:
        if status != (claim.get("status") or {}):
            self.client.update(kinds.PERSISTENT_VOLUME_CLAIMS, {**claim, "status": status}, subresource="status")


def belongs(volume: Object, claim: Object) -> bool:
    """Whether the volume is promised to just this claim (by uid, or by name where it was bound by hand)."""
    reference = volume["spec"].get("claimRef") or {}
    named = (reference.get("namespace"), reference.get("name")) == (objects.namespace(claim), objects.name(claim))
    return named and reference.get("uid") in (None, "", objects.uid(claim))
