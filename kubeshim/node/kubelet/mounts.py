"""Mounting, asking what is mounted, and taking directories away without following mounts into others' data."""

import ctypes
import errno
import os
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND, MS_REC = 1, 2, 4, 8, 32, 4096, 16384
MS_PRIVATE, MS_SHARED = 1 << 18, 1 << 20
_DETACH = 2
_OPENAT2, _MOUNT_SETATTR = 437, 442
_AT_FDCWD, _AT_RECURSIVE, _ATTRIBUTE_READ_ONLY = -100, 0x8000, 1
_RESOLVE_BENEATH, _RESOLVE_NO_MAGICLINKS = 0x08, 0x02

_libc = ctypes.CDLL(None, use_errno=True)


class _How(ctypes.Structure):
    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """mount(2). Raises ``OSError``."""
    arguments = source.encode(), target.encode(), kind.encode() or None, ctypes.c_ulong(flags), options.encode() or None
    if _libc.mount(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), target)


def unmount(target: str) -> None:
    """Detaches a mount, also where somebody still uses it."""
    if _libc.umount2(target.encode(), _DETACH) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), target)


def tmpfs(target: str, *, size: int = 0, mode: int = 0o1777) -> None:
    """Makes ``target`` a file system in memory; nothing to do where it is one."""
    if is_mount(target):
        return
    os.makedirs(target, exist_ok=True)
    options = f"mode={mode:o}" + (f",size={size}" if size else "")
    mount("tmpfs", target, "tmpfs", MS_NOSUID | MS_NODEV, options)


def huge_pages(target: str, page_size: int) -> None:
    """Makes ``target`` a file system of huge pages; nothing to do where it is one."""
    if is_mount(target):
        return
    os.makedirs(target, exist_ok=True)
    mount("nodev", target, "hugetlbfs", 0, f"pagesize={page_size},mode=0777")


def bind(source: str, target: str) -> None:
    mount(source, target, "", MS_BIND | MS_REC)


def bind_read_only(source: str, target: str) -> None:
    """Binds a directory so that nothing in it can be changed, and no program in it run."""
    mount(source, target, "", MS_BIND)
    try:
        mount("none", target, "", MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOEXEC | MS_NOSUID | MS_NODEV)
    except OSError:
        unmount(target)
        raise


def share(path: str) -> None:
    """Has mounts made below ``path`` show in every bind of it. Idempotent.

    Propagation belongs to mounts: a plain directory is bound on itself first.
    """
    known = _propagation(path)
    if known is None:
        mount(path, path, "", MS_BIND | MS_REC)
    if known is None or "shared:" not in known:
        mount("none", path, "", MS_SHARED | MS_REC)


def _propagation(path: str) -> str | None:
    """The optional fields of the topmost mount at ``path``; None where it is no mount point."""
    wanted, found = os.path.realpath(path), None
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            fields = line.split(" ")
            if _unescape(fields[4]) == wanted:
                found = " ".join(fields[6 : fields.index("-")])
    return found


class _Attributes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("attr_set", "attr_clr", "propagation", "userns_fd")]


def bind_recursively_read_only(source: str, target: str) -> None:
    """Binds a directory with all that is mounted below it, none of which can be changed through ``target``."""
    bind(source, target)
    wanted = _Attributes(_ATTRIBUTE_READ_ONLY, 0, 0, 0)
    answer = _libc.syscall(
        _MOUNT_SETATTR, _AT_FDCWD, target.encode(), _AT_RECURSIVE, ctypes.byref(wanted), ctypes.sizeof(wanted)
    )
    if answer != 0:
        code = ctypes.get_errno()
        unmount(target)
        raise OSError(code, os.strerror(code), target)


def recursive_read_only() -> bool:
    """Whether this kernel (5.12 or later) can do that: any other answer than "no such call" will do."""
    _libc.syscall(_MOUNT_SETATTR, -1, b"", 0, None, 0)
    return ctypes.get_errno() != errno.ENOSYS


def recursively(entry: Mapping[str, Any]) -> bool:
    """Whether a ``volumeMounts`` entry is made read-only with all that is mounted below it."""
    asked = entry.get("recursiveReadOnly") in ("Enabled", "IfPossible") and bool(entry.get("readOnly"))
    return asked and recursive_read_only()


def is_mount(path: str) -> bool:
    return os.path.realpath(path) in points()


def points(below: str = "", mountinfo: str = "") -> list[str]:
    """Mount points, deepest first; of ``below`` and under it where given. ``mountinfo`` is as in ``/proc``."""
    if not mountinfo:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            mountinfo = file.read()
    found = [_unescape(line.split(" ")[4]) for line in mountinfo.splitlines()]
    if below:
        root = os.path.realpath(below)
        found = [point for point in found if point == root or point.startswith(root + "/")]
    return sorted(found, key=lambda point: point.count("/"), reverse=True)


def _unescape(text: str) -> str:
    for code, plain in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, plain)
    return text


def unmount_all(path: str) -> int:
    """Detaches whatever is mounted at or under ``path``; how many that were. Raises ``OSError``."""
    count = 0
    for point in points(path):
        try:
            unmount(point)
            count += 1
        except OSError as error:  # it went with another of its group, or somebody else takes it away
            if error.errno not in (errno.EINVAL, errno.ENOENT):
                raise
    return count


def remove_tree(path: str) -> None:
    """Unmounts whatever is mounted at or under ``path``, then deletes it.

    Refuses while something is still mounted there: what is mounted may be a user's own directory.
    """
    if not os.path.lexists(path):
        return
    unmount_all(path)
    left = points(path)
    if left:
        raise OSError(16, f"still mounted: {left[0]}", path)
    if not os.path.isdir(path) or os.path.islink(path):
        os.unlink(path)
        return
    while os.path.lexists(path):
        try:
            shutil.rmtree(path)
        except FileNotFoundError:
            continue  # somebody else is taking it away as well


def open_beneath(root: int, path: str, flags: int = 0, mode: int = 0) -> int:
    """A descriptor of ``path`` under the directory ``root``, whatever symbolic links stand in the way.

    Links may lead anywhere inside; one that leads out raises ``OSError`` (EXDEV).
    """
    how = _How(flags | os.O_CLOEXEC, mode, _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS)
    text = (path or ".").encode()
    descriptor = _libc.syscall(_OPENAT2, root, text, ctypes.byref(how), ctypes.sizeof(how))
    if descriptor < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), path)
    return int(descriptor)


def make_directories_beneath(root: int, parts: Sequence[str], mode: int) -> None:
    """``mkdir -p`` that cannot be led out of ``root``."""
    for position in range(len(parts)):
        parent = open_beneath(root, "/".join(parts[:position]), os.O_PATH | os.O_DIRECTORY)
        try:
            os.mkdir(parts[position], mode, dir_fd=parent)
        except FileExistsError:
            continue
        finally:
            os.close(parent)
