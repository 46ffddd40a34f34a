"""Bound volumes with zone labels: a node that has a zone must be in one of the volume's."""

from kubeshim.client import kinds
from kubeshim.control_plane.scheduler import framework, node_info, pod_info
from kubeshim.machinery import objects, volumes
from kubeshim.machinery.objects import Object

CONFLICT = "node(s) had no available volume zone"
ZONE, REGION = "topology.kubernetes.io/zone", "topology.kubernetes.io/region"
SUCCESSORS = {"failure-domain.beta.kubernetes.io/zone": ZONE, "failure-domain.beta.kubernetes.io/region": REGION}
"""The labels' older names, and today's."""
LABELS = (*SUCCESSORS, ZONE, REGION)

Topology = tuple[str, frozenset[str]]
"""A label and the values that are right."""


class VolumeZone(framework.Plugin):
    name = "VolumeZone"
    events = frozenset(
        {
            "Node/Add", "Node/Label", "PersistentVolume/Add", "PersistentVolume/Update", "PersistentVolumeClaim/Add",
            "PersistentVolumeClaim/Update", "StorageClass/Add",
        }
    )  # fmt: skip

    def __init__(self, handle: framework.Handle) -> None:
        super().__init__(handle)
        self._claims = handle.informer(kinds.PERSISTENT_VOLUME_CLAIMS)
        self._volumes = handle.informer(kinds.PERSISTENT_VOLUMES)
        self._classes = handle.informer(kinds.STORAGE_CLASSES)

    def hint(self, pod: pod_info.PodInfo, event: framework.Event) -> bool:
        new = event.new or {}
        if event.kind.startswith("PersistentVolumeClaim/"):
            return objects.namespace(new) == pod.namespace and objects.name(new) in volumes.named_claims(pod.pod)
        if event.kind == "PersistentVolume/Update":
            return topologies(event.old or {}) != topologies(new)
        return event.kind != "StorageClass/Add" or new.get("volumeBindingMode") == "WaitForFirstConsumer"

    def pre_filter(
        self, state: framework.CycleState, pod: pod_info.PodInfo, nodes: framework.Nodes
    ) -> framework.Status | framework.PreFilterResult | None:
        wanted: list[Topology] = []
        for name in volumes.named_claims(pod.pod):
            claim = self._claims.get(f"{pod.namespace}/{name}")
            if claim is None:
                return framework.unresolvable(f'persistentvolumeclaim "{name}" not found')
            bound = claim["spec"].get("volumeName")
            if not bound:
                if (why := self._unbound(claim)) is not None:
                    return framework.unresolvable(why)
                continue
            volume = self._volumes.get(bound)
            if volume is None:
                return framework.unresolvable(f'persistentvolume "{bound}" not found')
            wanted += topologies(volume)
        state[self.name] = wanted
        return None

    def _unbound(self, claim: Object) -> str | None:
        name = claim["spec"].get("storageClassName")
        if not name:
            return "PersistentVolumeClaim had no pv name and storageClass name"
        storage_class = self._classes.get(name)
        if storage_class is None:
            return f'storageclass.storage.k8s.io "{name}" not found'
        waits = storage_class.get("volumeBindingMode") == "WaitForFirstConsumer"
        return None if waits else "PersistentVolume had no name"

    def filter(
        self, state: framework.CycleState, pod: pod_info.PodInfo, node: node_info.NodeInfo
    ) -> framework.Status | None:
        wanted: list[Topology] = state[self.name]
        return None if in_zone(node.labels, wanted) else framework.unresolvable(CONFLICT)


def topologies(volume: Object) -> list[Topology]:
    """The zones and regions a volume's labels name; several of one kind are joined with ``__``. Pure."""
    labels = objects.labels(volume)
    parts = (
        (label, frozenset(part.strip() for part in labels[label].split("__"))) for label in LABELS if label in labels
    )
    return [(label, values) for label, values in parts if "" not in values]


def in_zone(labels: dict[str, str], wanted: list[Topology]) -> bool:
    """Whether a node with these labels is where the volumes are. One without zones may be anywhere. Pure."""
    if not any(label in labels for label in LABELS):
        return True
    return all(labels.get(label, labels.get(SUCCESSORS.get(label, ""))) in values for label, values in wanted)
