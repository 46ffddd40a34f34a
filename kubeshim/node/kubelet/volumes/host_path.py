"""``hostPath``: a file or directory of this machine, checked to be of the type asked for."""

import os
import stat
from collections.abc import Callable

from kubeshim.machinery.objects import Object
from kubeshim.node.kubelet.volumes import volume

_CHECKS: dict[str, tuple[Callable[[int], bool], str]] = {
    "Directory": (stat.S_ISDIR, "a directory"),
    "DirectoryOrCreate": (stat.S_ISDIR, "a directory"),
    "File": (stat.S_ISREG, "a file"),
    "FileOrCreate": (stat.S_ISREG, "a file"),
    "Socket": (stat.S_ISSOCK, "a socket file"),
    "CharDevice": (stat.S_ISCHR, "a character device"),
    "BlockDevice": (stat.S_ISBLK, "a block device"),
}


def set_up(spec: Object, directory: str, context: volume.Context) -> volume.Made:
    source = spec["hostPath"]
    return volume.Made(check(source["path"], source.get("type") or ""))


def check(path: str, kind: str) -> str:
    """The path, made where its type says so. Raises ``VolumeProblem``."""
    if not os.path.exists(path):
        if kind == "FileOrCreate":
            with open(path, "a", encoding="ascii"):
                os.chmod(path, 0o644)
        elif kind in ("", "DirectoryOrCreate"):
            os.makedirs(path, 0o755, exist_ok=True)
    if not kind:
        return path
    predicate, words = _CHECKS[kind]
    if not os.path.exists(path) or not predicate(os.stat(path).st_mode):
        raise volume.VolumeProblem(f"hostPath type check failed: {path} is not {words}")
    return path
