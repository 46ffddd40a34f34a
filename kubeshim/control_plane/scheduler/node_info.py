"""A node with the sum of what is on it."""

import collections
import dataclasses

from kubeshim.control_plane.scheduler import pod_info
from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object


@dataclasses.dataclass(slots=True, eq=False)
class NodeInfo:
    """Sums are kept as pods come and go. ``node`` is None while only its pods are known."""

    name: str
    node: Object | None = None
    allocatable: pod_info.Amounts = dataclasses.field(default_factory=dict)
    pods: dict[str, pod_info.PodInfo] = dataclasses.field(default_factory=dict)
    requested: pod_info.Amounts = dataclasses.field(default_factory=dict)
    scored: pod_info.Amounts = dataclasses.field(default_factory=dict)
    ports: collections.Counter[tuple[str, str, int]] = dataclasses.field(default_factory=collections.Counter)
    with_affinity: dict[str, pod_info.PodInfo] = dataclasses.field(default_factory=dict)
    with_anti_affinity: dict[str, pod_info.PodInfo] = dataclasses.field(default_factory=dict)
    images: dict[str, int] = dataclasses.field(default_factory=dict)
    labels: dict[str, str] = dataclasses.field(default_factory=dict)

    def set_node(self, node: Object | None) -> None:
        self.node = node
        status = (node or {}).get("status") or {}
        self.allocatable = pod_info.amounts(status.get("allocatable") or status.get("capacity"))
        self.labels = objects.labels(node or {})
        self.images = {
            name: int(image.get("sizeBytes") or 0)
            for image in status.get("images") or ()
            for name in image.get("names") or ()
        }

    def add(self, pod: pod_info.PodInfo) -> None:
        self.remove(pod.uid)
        self.pods[pod.uid] = pod
        pod_info.add(self.requested, pod.requests)
        pod_info.add(self.scored, pod.scored)
        self.ports.update(pod.ports)
        if pod.affinity or pod.preferred_affinity or pod.preferred_anti_affinity or pod.anti_affinity:
            self.with_affinity[pod.uid] = pod
        if pod.anti_affinity:
            self.with_anti_affinity[pod.uid] = pod

    def remove(self, uid: str) -> None:
        pod = self.pods.pop(uid, None)
        if pod is None:
            return
        pod_info.subtract(self.requested, pod.requests)
        pod_info.subtract(self.scored, pod.scored)
        self.ports -= collections.Counter(pod.ports)
        self.with_affinity.pop(uid, None)
        self.with_anti_affinity.pop(uid, None)

    def copy(self) -> "NodeInfo":
        """One that can be changed to see what would be."""
        return NodeInfo(
            self.name,
            self.node,
            self.allocatable,
            dict(self.pods),
            dict(self.requested),
            dict(self.scored),
            self.ports.copy(),
            dict(self.with_affinity),
            dict(self.with_anti_affinity),
            self.images,
            self.labels,
        )

    @property
    def taints(self) -> list[Object]:
        return list(objects.dig(self.node, "spec", "taints", default=()))
