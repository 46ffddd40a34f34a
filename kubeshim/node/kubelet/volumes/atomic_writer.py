"""Files that change all at once: readers see the old set or the new one, never a mixture.

The files are in a directory named after the time; ``..data`` is a symbolic link to it, replaced by rename; what
containers see are links through ``..data``. Nothing is written where nothing changed.

    DIR/..2026_01_31_12_00_00.123456789/key
    DIR/..data -> ..2026_01_31_12_00_00.123456789
    DIR/key    -> ..data/key
"""

import dataclasses
import datetime
import os
import shutil
import stat
import tempfile
from collections.abc import Mapping

_DATA = "..data"
_DATA_NEW = "..data_tmp"
_LONGEST = 255


@dataclasses.dataclass(frozen=True, slots=True)
class File:
    """Content and permissions of one file; ``user`` owns it where given."""

    data: bytes
    mode: int
    user: int | None = None


Payload = Mapping[str, File]
"""By relative path."""


def write(directory: str, payload: Payload, group: int | None = None) -> bool:
    """Makes ``directory`` show exactly ``payload``; whether anything changed. Raises ``ValueError``, ``OSError``.

    Files and directories are given to ``group``, readable by it, where there is one.
    """
    for path in payload:
        check_path(path)
    link = os.path.join(directory, _DATA)
    old = os.readlink(link) if os.path.islink(link) else ""
    current = os.path.join(directory, old) if old else ""
    if current and os.path.isdir(current) and not _differs(current, payload, group):
        _link_names(directory, payload)
        return False
    fresh = _write_files(directory, payload, group)
    _link_names(directory, payload)
    temporary = os.path.join(directory, _DATA_NEW)
    if os.path.lexists(temporary):
        os.unlink(temporary)
    os.symlink(os.path.basename(fresh), temporary)
    os.rename(temporary, link)
    _drop_names(directory, payload)
    for name in os.listdir(directory):
        if name.startswith("..") and name not in (_DATA, os.path.basename(fresh)):
            shutil.rmtree(os.path.join(directory, name), ignore_errors=True)
    return True


def check_path(path: str) -> None:
    """Raises ``ValueError`` for paths that could leave the volume or hide its machinery."""
    parts = path.split("/")
    if not path or path.startswith("/"):
        raise ValueError(f"invalid path: must be relative path: {path}")
    if ".." in parts:
        raise ValueError(f"invalid path: must not contain '..': {path}")
    if path.startswith(".."):
        raise ValueError(f"invalid path: must not start with '..': {path}")
    if any(len(part) > _LONGEST for part in parts):
        raise ValueError(f"invalid path: must be less than or equal to {_LONGEST} characters: {path}")


def permissions(mode: int, group: int | None) -> int:
    """What a file's mode becomes when it is given to a group."""
    return mode | 0o440 if group is not None else mode


def _differs(current: str, payload: Payload, group: int | None) -> bool:
    existing = {
        os.path.relpath(os.path.join(folder, name), current) for folder, _, names in os.walk(current) for name in names
    }
    if existing != {os.path.normpath(path) for path in payload}:
        return True
    for path, file in payload.items():
        full = os.path.join(current, path)
        if stat.S_IMODE(os.stat(full).st_mode) != permissions(file.mode, group):
            return True
        with open(full, "rb") as opened:
            if opened.read() != file.data:
                return True
    return False


def _write_files(directory: str, payload: Payload, group: int | None) -> str:
    stamp = datetime.datetime.now(datetime.UTC).strftime("..%Y_%m_%d_%H_%M_%S.")
    fresh = tempfile.mkdtemp(prefix=stamp, dir=directory)
    os.chmod(fresh, 0o755)
    for path, file in payload.items():
        full = os.path.join(fresh, path)
        os.makedirs(os.path.dirname(full), 0o755, exist_ok=True)
        descriptor = os.open(full, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(file.data)
            if file.user is not None or group is not None:
                os.fchown(opened.fileno(), -1 if file.user is None else file.user, -1 if group is None else group)
            os.fchmod(opened.fileno(), permissions(file.mode, group))
    if group is not None:
        for folder, _, _ in os.walk(fresh):
            os.chown(folder, -1, group)
            os.chmod(folder, 0o2755)
    return fresh


def _tops(payload: Payload) -> set[str]:
    return {path.split("/")[0] for path in payload}


def _link_names(directory: str, payload: Payload) -> None:
    for name in _tops(payload):
        path = os.path.join(directory, name)
        if not os.path.islink(path):
            os.symlink(os.path.join(_DATA, name), path)


def _drop_names(directory: str, payload: Payload) -> None:
    for name in os.listdir(directory):
        if not name.startswith("..") and name not in _tops(payload):
            os.unlink(os.path.join(directory, name))
