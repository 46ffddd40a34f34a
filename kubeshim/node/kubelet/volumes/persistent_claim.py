"""``persistentVolumeClaim``: the bound PersistentVolume, of the kinds a node mounts by itself: hostPath and local."""

import os
import stat

from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object
from kubeshim.node.kubelet.volumes import host_path, ownership, volume


def set_up(spec: Object, directory: str, context: volume.Context) -> volume.Made:
    source = spec["persistentVolumeClaim"]
    return bound(source["claimName"], bool(source.get("readOnly")), directory, context)


def bound(name: str, read_only: bool, directory: str, context: volume.Context) -> volume.Made:
    claim = context.lookup("PersistentVolumeClaim", name)
    if claim is None:
        raise volume.VolumeProblem(f'persistentvolumeclaim "{name}" not found')
    if objects.is_deleting(claim) and objects.dig(claim, "status", "phase") != "Bound":
        raise volume.VolumeProblem(f"can't start pod because PVC '{context.namespace}/{name}' is being deleted")
    volume_name = objects.dig(claim, "spec", "volumeName")
    if objects.dig(claim, "status", "phase") != "Bound" or not volume_name:
        raise volume.VolumeProblem(f'PVC "{context.namespace}/{name}" is not bound')
    found = context.lookup("PersistentVolume", volume_name)
    if found is None:
        raise volume.VolumeProblem(f'failed to fetch PV "{volume_name}" from API server')
    return _of_volume(found, read_only, directory, context)


def _of_volume(found: Object, read_only: bool, directory: str, context: volume.Context) -> volume.Made:
    spec = found.get("spec") or {}
    if spec.get("volumeMode") == "Block":
        return _device(found, read_only)
    if spec.get("hostPath"):
        path = host_path.check(spec["hostPath"]["path"], spec["hostPath"].get("type") or "")
    elif spec.get("local"):
        path = spec["local"]["path"]
        if not os.path.exists(path):
            raise volume.VolumeProblem(f'path "{path}" does not exist')
        _give(path, directory + ".given", context)
    else:
        kinds = sorted(key for key, value in spec.items() if isinstance(value, dict) and key not in _NOT_SOURCES)
        raise volume.VolumeProblem(f"no volume plugin matched: {', '.join(kinds) or 'no source'}")
    return volume.Made(path, read_only)


def _give(path: str, mark: str, context: volume.Context) -> None:
    """Once a pod, before its containers: from then on permissions are theirs, and files come and go."""
    if context.fs_group is None or os.path.exists(mark):
        return
    policy = objects.dig(context.pod, "spec", "securityContext", "fsGroupChangePolicy")
    ownership.give(path, context.fs_group, on_mismatch=policy == "OnRootMismatch")
    os.makedirs(os.path.dirname(mark), 0o755, exist_ok=True)
    with open(mark, "w", encoding="ascii"):
        pass


def _device(found: Object, read_only: bool) -> volume.Made:
    """Only local volumes can be raw devices."""
    path = objects.dig(found, "spec", "local", "path")
    if not path:
        raise volume.VolumeProblem(f"no volume plugin matched: {objects.name(found)} cannot be a raw block volume")
    if not os.path.exists(path) or not stat.S_ISBLK(os.stat(path).st_mode):
        raise volume.VolumeProblem(f'path "{path}" is not a block device')
    return volume.Made(path, read_only, block=True)


_NOT_SOURCES = ("capacity", "claimRef", "nodeAffinity")
