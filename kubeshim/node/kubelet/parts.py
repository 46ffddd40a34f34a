"""What the kubelet's parts share: one object made at start and handed to each."""

import dataclasses
import os
import threading
from collections.abc import Callable

from kubeshim import clock
from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object
from kubeshim.node.container_runtime import runtime
from kubeshim.node.kubelet import (
    back_off,
    config,
    field_paths,
    files,
    handlers,
    image_trees,
    images,
    labels,
    network_addresses,
    object_cache,
    pod_certificates,
    probes,
    seams,
    status_manager,
    threads,
    tokens,
)


@dataclasses.dataclass(slots=True)
class Parts:
    """Set up by ``kubelet.Kubelet``; ``addresses`` and ``node`` come once the node is registered."""

    config: config.KubeletConfig
    api: seams.Api
    engine: runtime.Runtime
    network: seams.Network
    recorder: seams.Recorder
    clock: clock.Clock
    pool: threads.Pool
    timers: threads.Timers
    images: images.Images
    trees: image_trees.Trees
    cache: object_cache.ObjectCache
    tokens: tokens.Tokens
    certificates: pod_certificates.Certificates
    probes: probes.Probes
    hooks: handlers.Hooks
    statuses: status_manager.StatusManager
    crashes: back_off.BackOff
    services: Callable[[str], list[Object]]
    """Services a pod of that namespace may get variables of."""
    node: Callable[[], Object | None]
    """The Node object as the API has it."""
    starts: threading.Semaphore
    """Held while the engine starts a sandbox or container."""
    memory_capacity: int
    pods: Callable[[], list[Object]]
    """Pods that are or will be running here."""
    resolver: files.Resolver
    addresses: network_addresses.Pools | None = None

    def now(self) -> float:
        return self.clock.now().timestamp()

    def pod_directory(self, uid: str) -> str:
        return os.path.join(self.config.data_dir, "pods", uid)

    def own_labels(self) -> dict[str, str]:
        """What all containers of this node carry."""
        return {labels.CLUSTER: self.config.cluster_name, labels.NODE: self.config.node_name}

    @property
    def cgroup_root(self) -> str:
        """The parent of all this node's pods, in the runtime's notation."""
        return f"{self.config.cgroup_root}/{self.config.node_name}"

    def facts(self, pod_ips: list[str]) -> field_paths.NodeFacts:
        node = self.node() or {}
        allocatable = objects.dig(node, "status", "allocatable", default={})
        return field_paths.NodeFacts(self.config.node_name, self.config.node_ips, pod_ips, allocatable)
