"""The calling user's kubeconfig: a context of the cluster's name put in, and taken out again.

The file is the user's: whatever else stands in it stays, the lock is the one kubectl itself takes, and a file that is
no kubeconfig is left alone.
"""

import contextlib
import os
import pwd
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kubeshim import fast_yaml, pki


class UserKubeconfigError(RuntimeError):
    """The file cannot be changed; the message says what to do."""


def location(asked: Path | None) -> tuple[Path, tuple[int, int] | None]:
    """Where kubectl of the calling user looks, and who must own what is made there (None: as we are).

    Under sudo that is the user who called sudo.
    """
    if asked is not None:
        return asked, None
    sudo = os.environ.get("SUDO_UID")
    if sudo and os.geteuid() == 0:
        entry = pwd.getpwuid(int(sudo))
        return Path(entry.pw_dir) / ".kube" / "config", (entry.pw_uid, entry.pw_gid)
    first = os.environ.get("KUBECONFIG", "").split(os.pathsep)[0]
    return Path(first) if first else Path.home() / ".kube" / "config", None


_LISTS = ("clusters", "users", "contexts")
_PREVIOUS = "kubeshim.io/previous-context"


def merge(
    path: Path, config: dict[str, Any], name: str, *, owner: tuple[int, int] | None = None, use: bool = True
) -> None:
    """Puts ``config``'s one context into the user's kubeconfig as cluster, user and context ``name``.

    Everything else in the file stays. With ``use`` it becomes the current context and the former one is
    remembered for ``unmerge``. ``owner`` (uid, gid) owns what has to be made. Raises ``UserKubeconfigError`` where
    the file is not a kubeconfig: nothing is overwritten then.
    """
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    if not path.parent.exists():
        path.parent.mkdir(mode=0o750, parents=True)
        if owner:
            os.chown(path.parent, *owner)
    with _locked(path, owner):
        merged = _read(path) or {"apiVersion": "v1", "kind": "Config"}
        previous = merged.get("current-context") or ""
        if previous == name:
            previous = _remembered(merged, name)
        target: dict[str, Any] = {"cluster": name, "user": name}
        if previous:
            target["extensions"] = [{"name": _PREVIOUS, "extension": {"context": previous}}]
        for section, entry in zip(
            _LISTS, ({"cluster": cluster}, {"user": user}, {"context": target}), strict=True
        ):  # fmt: skip
            kept = [one for one in merged.get(section) or [] if one.get("name") != name]
            merged[section] = [*kept, {"name": name, **entry}]
        if use:
            merged["current-context"] = name
        _write(path, merged, owner)


def unmerge(path: Path, name: str) -> None:
    """Takes cluster, user and context ``name`` out again; the file goes when nothing is left in it."""
    if not path.exists():
        return
    with _locked(path, None):
        config = _read(path)
        if config is None:
            return
        before = {section: list(config.get(section) or []) for section in _LISTS}
        previous = _remembered(config, name)
        for section in _LISTS:
            config[section] = [one for one in before[section] if one.get("name") != name]
        if config.get("current-context") == name:
            known = {one.get("name") for one in config["contexts"]}
            config["current-context"] = previous if previous in known else ""
        elif all(config[section] == before[section] for section in _LISTS):
            return
        if any(config[section] for section in _LISTS):
            _write(path, config, None)
        else:
            path.unlink()


def _remembered(config: dict[str, Any], name: str) -> str:
    for entry in config.get("contexts") or []:
        if entry.get("name") == name:
            for extension in (entry.get("context") or {}).get("extensions") or []:
                if extension.get("name") == _PREVIOUS:
                    return str((extension.get("extension") or {}).get("context") or "")
    return ""


def _read(path: Path) -> dict[str, Any] | None:
    """None where there is no file, or an empty one."""
    try:
        config = fast_yaml.load(path.read_bytes())
    except FileNotFoundError:
        return None
    except fast_yaml.Error as problem:
        raise UserKubeconfigError(f"{path} is not YAML, so it was left alone: {problem}") from problem
    if config is None:
        return None
    sections = [config.get(section) or [] for section in _LISTS] if isinstance(config, dict) else [None]
    if not all(isinstance(entries, list) and all(isinstance(e, dict) for e in entries) for entries in sections):
        raise UserKubeconfigError(f"{path} is not a kubeconfig, so it was left alone; move it away and try again")
    return dict(config)


def _write(path: Path, config: dict[str, Any], owner: tuple[int, int] | None) -> None:
    target = Path(os.path.realpath(path))  # a symbolic link stays one
    with contextlib.suppress(FileNotFoundError):
        held = target.stat()
        owner = (held.st_uid, held.st_gid)
    pki.write_file(target, fast_yaml.dump(config).encode(), owner=owner)


LOCK_PATIENCE = 5.0
"""Seconds to wait for whoever holds the lock: kubectl holds it for milliseconds."""


@contextlib.contextmanager
def _locked(path: Path, owner: tuple[int, int] | None) -> Iterator[None]:
    """The lock file kubectl itself uses, ``PATH.lock``, so that we and it exclude each other.

    Ours has our pid inside; one left by a process that is gone is taken away.
    """
    lock = path.with_name(path.name + ".lock")
    deadline = time.monotonic() + LOCK_PATIENCE
    while True:
        try:
            descriptor = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            break
        except FileExistsError:
            if _abandoned(lock):
                _take_away(lock)
            elif time.monotonic() > deadline:
                raise UserKubeconfigError(f"{path} is locked; if no kubectl is running, remove {lock}") from None
            else:
                time.sleep(0.02)
    try:
        os.write(descriptor, str(os.getpid()).encode())
        os.close(descriptor)
        if owner:
            os.chown(lock, *owner)
        yield
    finally:
        lock.unlink(missing_ok=True)


def _take_away(lock: Path) -> None:
    """What was abandoned, and not the lock of somebody who has taken that away and locked anew in this moment."""
    taken = lock.with_name(f"{lock.name}.{os.getpid()}")
    try:
        lock.rename(taken)
    except FileNotFoundError:
        return
    if not _abandoned(taken):
        with contextlib.suppress(FileExistsError):
            os.link(taken, lock)
    taken.unlink()


def _abandoned(lock: Path) -> bool:
    try:
        pid = int(lock.read_text())
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except (OSError, ValueError):
        return False
    return False
