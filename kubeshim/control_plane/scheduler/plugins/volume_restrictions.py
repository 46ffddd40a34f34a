"""Volumes that only one pod may use: a claim with ReadWriteOncePod, and disks that one machine may write to."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from kubeshim.client import kinds
from kubeshim.control_plane.scheduler import framework, node_info, pod_info
from kubeshim.machinery import volumes

DISK_CONFLICT = "node(s) had no available disk"
CLAIM_CONFLICT = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"

Source = Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class _State:
    claim_in_use: bool


class VolumeRestrictions(framework.Plugin):
    name = "VolumeRestrictions"
    events = frozenset({"AssignedPod/Delete", "Node/Add", "PersistentVolumeClaim/Add"})

    def __init__(self, handle: framework.Handle) -> None:
        super().__init__(handle)
        self._claims = handle.informer(kinds.PERSISTENT_VOLUME_CLAIMS)

    def hint(self, pod: pod_info.PodInfo, event: framework.Event) -> bool:
        if event.kind == "Node/Add":
            return True
        other = event.old or event.new or {}
        if other["metadata"].get("namespace") != pod.namespace:
            return False
        if event.kind == "PersistentVolumeClaim/Add":
            return other["metadata"]["name"] in volumes.named_claims(pod.pod)
        gone = volumes.named_claims(other)
        return any(name in gone for name in volumes.named_claims(pod.pod)) or disk_conflict(pod.spec, other["spec"])

    def pre_filter(
        self, state: framework.CycleState, pod: pod_info.PodInfo, nodes: framework.Nodes
    ) -> framework.Status | framework.PreFilterResult | None:
        exclusive = set()
        for name in volumes.named_claims(pod.pod):
            claim = self._claims.get(f"{pod.namespace}/{name}")
            if claim is None:
                return framework.unresolvable(f'persistentvolumeclaim "{name}" not found')
            if "ReadWriteOncePod" in (claim["spec"].get("accessModes") or ()):
                exclusive.add(name)
        state[self.name] = _State(bool(exclusive) and any(_uses(node, pod.namespace, exclusive) for node in nodes))
        return None

    def filter(
        self, state: framework.CycleState, pod: pod_info.PodInfo, node: node_info.NodeInfo
    ) -> framework.Status | None:
        if has_disks(pod.spec) and any(disk_conflict(pod.spec, other.spec) for other in node.pods.values()):
            return framework.unschedulable(DISK_CONFLICT)
        found: _State = state[self.name]
        return framework.unschedulable(CLAIM_CONFLICT) if found.claim_in_use else None


def _uses(node: node_info.NodeInfo, namespace: str, names: set[str]) -> bool:
    return any(
        other.namespace == namespace and not names.isdisjoint(volumes.named_claims(other.pod))
        for other in node.pods.values()
        if other.spec.get("volumes")
    )


def has_disks(spec: Mapping[str, Any]) -> bool:
    return any(kind in volume for volume in spec.get("volumes") or () for kind in SAME)


def disk_conflict(spec: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether both pods use one disk in a way that it cannot be used by two. Pure."""
    return any(
        kind in one and kind in two and same(one[kind], two[kind])
        for kind, same in SAME.items()
        for one in spec.get("volumes") or ()
        for two in other.get("volumes") or ()
    )


def _only_read(one: Source, two: Source) -> bool:
    return bool(one.get("readOnly") and two.get("readOnly"))


def _same_rbd(one: Source, two: Source) -> bool:
    shared = set(one.get("monitors") or ()) & set(two.get("monitors") or ())
    image = all(one.get(field) == two.get(field) for field in ("pool", "image"))
    return bool(shared) and image and not _only_read(one, two)


SAME: dict[str, Callable[[Source, Source], bool]] = {
    "gcePersistentDisk": lambda one, two: one.get("pdName") == two.get("pdName") and not _only_read(one, two),
    "awsElasticBlockStore": lambda one, two: one.get("volumeID") == two.get("volumeID"),
    "iscsi": lambda one, two: one.get("iqn") == two.get("iqn") and not _only_read(one, two),
    "rbd": _same_rbd,
}
"""Kinds of volumes, and whether two of one kind are the same disk and get in each other's way."""
