"""Pods that use more of the node's disk than they may: an ``emptyDir`` beyond its ``sizeLimit``.

Volumes in memory are bounded by the kernel; those on disk can only be measured, and their pod evicted.
"""

import os

from kubeshim.machinery import quantity
from kubeshim.machinery.objects import Object
from kubeshim.node.kubelet import pod_spec

CHECK_SECONDS = 10.0
"""How often volumes with a limit are measured."""


def limits(pod: Object) -> dict[str, str]:
    """Limits of volumes on disk, by name, as quantities."""
    found: dict[str, str] = {}
    for entry in pod_spec.spec(pod).get("volumes") or ():
        source = entry.get("emptyDir") or {}
        if source.get("sizeLimit") is not None and not source.get("medium"):
            found[entry["name"]] = str(source["sizeLimit"])
    return found


def exceeded(pod: Object, pod_directory: str) -> str:
    """The message of the eviction; empty where everything is within its limits."""
    for name, limit in limits(pod).items():
        bound = quantity.parse(limit).value()
        path = os.path.join(pod_directory, "volumes", "kubernetes.io~empty-dir", name)
        if bound > 0 and usage(path) > bound:
            return f'Usage of EmptyDir volume "{name}" exceeds the limit "{limit}". '
    return ""


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
