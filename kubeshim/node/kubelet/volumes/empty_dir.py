"""``emptyDir``: a directory that lives as long as its pod, on disk or in memory."""

import os

from kubeshim.machinery import quantity
from kubeshim.machinery.objects import Object
from kubeshim.node.kubelet import mounts, quality
from kubeshim.node.kubelet.volumes import ownership, volume


def set_up(spec: Object, directory: str, context: volume.Context) -> volume.Made:
    source = spec["emptyDir"] or {}
    medium = source.get("medium") or ""
    if medium == "Memory":
        limit = source.get("sizeLimit")
        mounts.tmpfs(directory, size=quantity.parse(str(limit)).value() if limit is not None else 0, mode=0o777)
    elif medium == "HugePages" or medium.startswith("HugePages-"):
        mounts.huge_pages(directory, page_size(medium, context.pod))
    elif medium:
        raise volume.VolumeProblem(f"unknown storage medium {medium!r}")
    mark = directory + ".ready"
    if not os.path.exists(mark):
        os.makedirs(directory, exist_ok=True)
        os.chmod(directory, 0o777)
        ownership.give(directory, context.fs_group)
        with open(mark, "w", encoding="ascii"):
            pass  # containers may change its permissions from now on; a restarted kubelet must not reset them
    return volume.Made(directory)


def page_size(medium: str, pod: Object) -> int:
    """Bytes of the page a medium names, or of the only one the pod asks for. Raises ``VolumeProblem``."""
    asked = quality.huge_pages(pod)
    if medium != "HugePages":
        size = quantity.parse(medium.removeprefix("HugePages-")).value()
        if size not in asked:
            raise volume.VolumeProblem(f"medium {medium} requires resource hugepages of its size to be requested")
        return size
    if len(asked) != 1:
        word = "no" if not asked else "multiple"
        raise volume.VolumeProblem(f"medium HugePages: {word} page sizes in the containers' resource requests")
    return next(iter(asked))
