"""Giving a volume to a pod's ``fsGroup``: the group may read and write, and owns what is made later."""

import contextlib
import os
import stat


def give(path: str, group: int | None, *, read_only: bool = False, on_mismatch: bool = False) -> None:
    """Everything under ``path``, symbolic links aside. Nothing to do without a group.

    With ``on_mismatch`` nothing either where the top is the group's already: large volumes take long.
    """
    if group is None or (on_mismatch and _is_given(path, group, read_only=read_only)):
        return
    for folder, _, names in os.walk(path):
        for name in (".", *names):
            with contextlib.suppress(FileNotFoundError):  # another pod's, who removes it meanwhile
                _give_one(os.path.join(folder, name), group, read_only=read_only)


def _is_given(path: str, group: int, *, read_only: bool) -> bool:
    found = os.stat(path)
    wanted = _mask(read_only=read_only) | stat.S_ISGID | 0o110
    return found.st_gid == group and found.st_mode & wanted == wanted


def _mask(*, read_only: bool) -> int:
    return 0o440 if read_only else 0o660


def _give_one(path: str, group: int, *, read_only: bool) -> None:
    found = os.lstat(path)
    if stat.S_ISLNK(found.st_mode):
        os.lchown(path, -1, group)
        return
    os.chown(path, -1, group)
    mask = _mask(read_only=read_only)
    if stat.S_ISDIR(found.st_mode):
        mask |= stat.S_ISGID | 0o110
    os.chmod(path, stat.S_IMODE(found.st_mode) | mask)
