"""Claims for pods' ephemeral volumes: made with the pod, owned by it, and so deleted with it."""

import copy
import logging

from kubeshim.client import kinds
from kubeshim.control_plane.controller_manager import controller, pod_control
from kubeshim.machinery import errors, objects
from kubeshim.machinery.objects import Object

_log = logging.getLogger(__name__)


class EphemeralVolumeController(controller.Controller):
    name = "ephemeral-volume"
    component = "ephemeral_volume"
    workers = 1

    def register(self) -> None:
        self._claims = self.informer(kinds.PERSISTENT_VOLUME_CLAIMS)
        self._claims.add_handler(deleted=self._claim_deleted)
        self._pods = self.informer(kinds.PODS)
        self._pods.add_handler(added=self._pod_added)

    def _pod_added(self, pod: Object) -> None:
        if not objects.is_deleting(pod) and any("ephemeral" in one for one in pod["spec"].get("volumes") or ()):
            self.enqueue(pod)

    def _claim_deleted(self, claim: Object) -> None:
        owner = objects.controller_of(claim)
        if owner is not None and owner["kind"] == "Pod":
            self.queue.add(f"{objects.namespace(claim)}/{owner['name']}")

    def sync(self, key: str) -> None:
        pod = self._pods.get(key)
        if pod is None or objects.is_deleting(pod):
            return
        for volume in pod["spec"].get("volumes") or ():
            if "ephemeral" in volume:
                self._provide(pod, volume)

    def _provide(self, pod: Object, volume: Object) -> None:
        name = f"{objects.name(pod)}-{volume['name']}"
        present = self._claims.get(f"{objects.namespace(pod)}/{name}")
        if present is not None:
            if (objects.controller_of(present) or {}).get("uid") != objects.uid(pod):
                why = f"PVC {objects.key(present)} was not created for pod {objects.key(pod)} (pod is not owner)"
                text = f"ephemeral volume {volume['name']}: {why}"
                self.recorder.event(pod, "Warning", "FailedBinding", text)
                raise errors.Conflict(why)
            return
        template = volume["ephemeral"]["volumeClaimTemplate"]
        claim = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {
                "name": name,
                "namespace": objects.namespace(pod),
                "labels": dict(objects.labels(template)),
                "annotations": dict(objects.annotations(template)),
                "ownerReferences": [objects.owner_reference(pod)],
            },
            "spec": copy.deepcopy(template["spec"]),
        }
        try:
            self.client.create(kinds.PERSISTENT_VOLUME_CLAIMS, claim)
        except errors.APIStatusError as error:
            if pod_control.namespace_is_going(error):
                return
            text = f"ephemeral volume {volume['name']}: create PVC {name}: {error}"
            self.recorder.event(pod, "Warning", "FailedBinding", text)
            raise
