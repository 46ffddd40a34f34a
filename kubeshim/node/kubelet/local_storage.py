"""Pods that use more of the node's disk than they may: ``ephemeral-storage`` limits, an ``emptyDir``'s ``sizeLimit``.

Volumes in memory are bounded by the kernel; what is on disk can only be measured, and its pod evicted. A container's
share is what it wrote to its root file system and its log.
"""

import dataclasses
import os
from collections.abc import Mapping, Sequence

from kubeshim.machinery import objects, quantity
from kubeshim.machinery.objects import Object
from kubeshim.node.container_runtime import runtime
from kubeshim.node.kubelet import labels, pod_spec

CHECK_SECONDS = 10.0
"""How often pods with a limit are measured."""
RESOURCE = "ephemeral-storage"
_PLUGINS = {
    "emptyDir": "kubernetes.io~empty-dir",
    "configMap": "kubernetes.io~configmap",
    "downwardAPI": "kubernetes.io~downward-api",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Usage:
    """Bytes by container and by volume name."""

    containers: Mapping[str, int]
    volumes: Mapping[str, int]

    @property
    def total(self) -> int:
        return sum(self.containers.values()) + sum(self.volumes.values())


def limits(pod: Object) -> dict[str, str]:
    """Limits of volumes on disk, by name, as quantities."""
    found: dict[str, str] = {}
    for entry in pod_spec.spec(pod).get("volumes") or ():
        source = entry.get("emptyDir") or {}
        if source.get("sizeLimit") is not None and not source.get("medium"):
            found[entry["name"]] = str(source["sizeLimit"])
    return found


def container_limits(pod: Object) -> dict[str, str]:
    found: dict[str, str] = {}
    for container in [*pod_spec.containers(pod), *pod_spec.init_containers(pod)]:
        limit = objects.dig(container, "resources", "limits", RESOURCE)
        if limit is not None:
            found[container["name"]] = str(limit)
    return found


def is_limited(pod: Object) -> bool:
    return bool(limits(pod) or container_limits(pod))


def measure(engine: runtime.Runtime, pod: Object, pod_directory: str, containers: Sequence[runtime.Container]) -> Usage:
    """Raises ``runtime.RuntimeFailure``."""
    by_name: dict[str, int] = {}
    for container in containers:
        storage = engine.storage(container.id)
        name = container.labels.get(labels.CONTAINER, "")
        by_name[name] = by_name.get(name, 0) + (storage.total if storage is not None else 0)
    return Usage(by_name, _volumes(pod, pod_directory))


def _volumes(pod: Object, pod_directory: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for entry in pod_spec.spec(pod).get("volumes") or ():
        for kind, plugin in _PLUGINS.items():
            if kind in entry and (entry[kind] or {}).get("medium") != "Memory":
                found[entry["name"]] = usage(os.path.join(pod_directory, "volumes", plugin, entry["name"]))
    return found


def exceeded(pod: Object, used: Usage) -> str:
    """The message of the eviction; empty where everything is within its limits."""
    for name, limit in limits(pod).items():
        bound = quantity.parse(limit).value()
        if 0 < bound < used.volumes.get(name, 0):
            return f'Usage of EmptyDir volume "{name}" exceeds the limit "{limit}". '
    bounds = container_limits(pod)
    ordinary = {each["name"] for each in pod_spec.containers(pod)} & set(bounds)
    if ordinary:
        total = sum(quantity.parse(bounds[name]).value() for name in ordinary)
        if used.total > total:
            words = quantity.parse(str(total)).canonical()
            return f"Pod ephemeral local storage usage exceeds the total limit of containers {_binary(total, words)}. "
    for name, limit in bounds.items():
        if used.containers.get(name, 0) > quantity.parse(limit).value():
            return f'Container {name} exceeded its local ephemeral storage limit "{limit}". '
    return ""


def _binary(amount: int, plain: str) -> str:
    for unit in ("Ti", "Gi", "Mi", "Ki"):
        size = quantity.parse(f"1{unit}").value()
        if amount >= size and amount % size == 0:
            return f"{amount // size}{unit}"
    return plain


def usage(path: str) -> int:
    """Bytes of disk under ``path``; files with several names count once."""
    total = 0
    seen: set[tuple[int, int]] = set()
    for folder, _, names in os.walk(path):
        for name in [".", *names]:
            try:
                found = os.lstat(os.path.join(folder, name))
            except OSError:
                continue  # deleted meanwhile
            if (found.st_dev, found.st_ino) not in seen:
                seen.add((found.st_dev, found.st_ino))
                total += found.st_blocks * 512
    return total
