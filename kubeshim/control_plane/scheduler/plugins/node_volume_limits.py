"""How many volumes of a CSI driver a node can have attached: what its CSINode says is allocatable."""

from collections.abc import Mapping

from kubeshim.client import kinds
from kubeshim.control_plane.scheduler import framework, node_info, pod_info
from kubeshim.machinery import objects, volumes
from kubeshim.machinery.objects import Object

REASON = "node(s) exceed max volume count"

Volumes = dict[str, str]
"""What tells a volume from others → its driver."""


class NodeVolumeLimits(framework.Plugin):
    name = "NodeVolumeLimits"
    events = frozenset(
        {
            "AssignedPod/Delete", "CSINode/Add", "CSINode/Update", "Node/Add", "PersistentVolume/Add",
            "PersistentVolumeClaim/Add", "VolumeAttachment/Delete",
        }
    )  # fmt: skip

    def __init__(self, handle: framework.Handle) -> None:
        super().__init__(handle)
        self._claims = handle.informer(kinds.PERSISTENT_VOLUME_CLAIMS)
        self._volumes = handle.informer(kinds.PERSISTENT_VOLUMES)
        self._classes = handle.informer(kinds.STORAGE_CLASSES)
        self._nodes = handle.informer(kinds.CSI_NODES)
        self._attachments = handle.informer(kinds.VOLUME_ATTACHMENTS)

    def hint(self, pod: pod_info.PodInfo, event: framework.Event) -> bool:
        if event.kind == "PersistentVolumeClaim/Add":
            new = event.new or {}
            return objects.namespace(new) == pod.namespace and objects.name(new) in volumes.claims_of(pod.pod)
        if event.kind == "AssignedPod/Delete" and event.old is not None:
            return bool(volumes.claims_of(event.old))
        return True

    def filter(
        self, state: framework.CycleState, pod: pod_info.PodInfo, node: node_info.NodeInfo
    ) -> framework.Status | None:
        if not volumes.claims_of(pod.pod):
            return None
        limits = limits_of(self._nodes.get(node.name))
        if not limits or not (new := self._of(pod)):
            return None
        attached: Volumes = {}
        for other in node.pods.values():
            attached |= self._of(other)
        attached |= self._attached(node.name)
        return framework.unschedulable(REASON) if over(limits, new, attached) else None

    def _of(self, pod: pod_info.PodInfo) -> Volumes:
        found: Volumes = {}
        for name in volumes.claims_of(pod.pod):
            key = f"{pod.namespace}/{name}"
            claim = self._claims.get(key)
            if claim is None:
                continue
            volume = self._volumes.get(str(claim["spec"].get("volumeName") or ""))
            if volume is not None:
                found |= volume_of(volume)
            elif storage_class := self._classes.get(str(claim["spec"].get("storageClassName") or "")):
                driver = str(storage_class.get("provisioner") or "")
                found[f"{driver}/claim {key}"] = driver
        return found

    def _attached(self, node: str) -> Volumes:
        found: Volumes = {}
        for attachment in self._attachments.list():
            if attachment["spec"].get("nodeName") == node:
                volume = self._volumes.get(str(objects.dig(attachment, "spec", "source", "persistentVolumeName")))
                found |= volume_of(volume) if volume is not None else {}
        return found


def volume_of(volume: Object) -> Volumes:
    source = volume["spec"].get("csi")
    return {f"{source['driver']}/{source['volumeHandle']}": str(source["driver"])} if source else {}


def limits_of(node: Object | None) -> dict[str, int]:
    """Driver → how many of its volumes the node takes, of drivers that say so."""
    found = {}
    for driver in objects.dig(node or {}, "spec", "drivers", default=()) or ():
        count = (driver.get("allocatable") or {}).get("count")
        if count is not None:
            found[str(driver["name"])] = int(count)
    return found


def over(limits: Mapping[str, int], new: Volumes, attached: Volumes) -> bool:
    """Whether ``new`` beside ``attached`` would be too many; one that is there already counts once. Pure."""
    added = [driver for volume, driver in new.items() if volume not in attached]
    there = list(attached.values())
    return any(driver in limits and there.count(driver) + added.count(driver) > limits[driver] for driver in set(added))
