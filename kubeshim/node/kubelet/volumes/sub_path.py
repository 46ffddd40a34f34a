"""``subPath``: a part of a volume, bound so that no symbolic link in it can lead a container out of the volume.

The part is opened below the volume's root by the kernel's own rule (``openat2``), and the descriptor is what gets
bound: whoever swaps a link afterwards changes nothing.
"""

import os
import stat

from kubeshim.node.kubelet import mounts
from kubeshim.node.kubelet.volumes import volume

_OUTSIDE = 18  # EXDEV: what openat2 answers when the path leaves its root


def prepare(root: str, part: str, target: str) -> str:
    """Binds ``root/part`` at ``target`` and returns it; missing directories are made. Raises ``VolumeProblem``."""
    if mounts.is_mount(target):
        mounts.unmount(target)
    try:
        directory = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except NotADirectoryError:
        raise volume.VolumeProblem(f"volume root {root} is not a directory: subPath {part!r} cannot be used") from None
    try:
        descriptor = _open(directory, root, part)
        try:
            make_target(target, os.fstat(descriptor).st_mode)
            mounts.bind(f"/proc/self/fd/{descriptor}", target)
        finally:
            os.close(descriptor)
    finally:
        os.close(directory)
    return target


def _open(directory: int, root: str, part: str) -> int:
    try:
        try:
            return mounts.open_beneath(directory, part, os.O_PATH)
        except FileNotFoundError:
            mode = stat.S_IMODE(os.stat(root).st_mode)
            mounts.make_directories_beneath(directory, [word for word in part.split("/") if word], mode)
            return mounts.open_beneath(directory, part, os.O_PATH)
    except OSError as error:
        if error.errno == _OUTSIDE:
            raise volume.VolumeProblem(f"subPath {part!r} leads outside of its volume") from error
        raise volume.VolumeProblem(f"subPath {part!r}: {error.strerror}") from error


def make_target(target: str, mode: int) -> None:
    """Something to bind on: a directory or a file, as ``mode`` is of one or the other."""
    os.makedirs(os.path.dirname(target), 0o750, exist_ok=True)
    if stat.S_ISDIR(mode):
        os.makedirs(target, 0o750, exist_ok=True)
    elif not os.path.exists(target):
        with open(target, "w", encoding="ascii"):
            pass
