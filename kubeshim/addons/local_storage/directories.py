"""The directories behind the volumes: making and removing them, and nothing outside their common root."""

import contextlib
import os
import pathlib
import shutil
from typing import Protocol

_PREFIX = "pvc-"


class Directories(Protocol):
    """Where a node's volumes are."""

    def make(self, name: str) -> str:
        """Makes the directory, or finds it; its path. Raises ``OSError``."""

    def remove(self, path: str) -> None:
        """Removes it with all that is in it, if it is there. Raises ``OSError``."""

    def left_behind(self) -> list[str]:
        """Names of the directories that are there."""

    def remove_empty(self, name: str) -> None:
        """Removes a directory that nobody ever wrote to; leaves any other."""


class OnDisk:
    """Below ``root``. Whatever user a container runs as may write, as with other provisioners of this sort."""

    def __init__(self, root: pathlib.Path) -> None:
        self._root = root

    def make(self, name: str) -> str:
        self._root.mkdir(mode=0o711, parents=True, exist_ok=True)
        path = self._root / name
        path.mkdir(exist_ok=True)
        if not any(path.iterdir()):  # one that has been in use belongs to its user
            path.chmod(0o777)
        return str(path)

    def remove(self, path: str) -> None:
        wanted = pathlib.Path(os.path.normpath(path))
        if wanted.parent != self._root or not wanted.name.startswith(_PREFIX):
            raise PermissionError(f"{path} is not a volume below {self._root}")
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(wanted)

    def left_behind(self) -> list[str]:
        try:
            return [entry for entry in os.listdir(self._root) if entry.startswith(_PREFIX)]
        except FileNotFoundError:
            return []

    def remove_empty(self, name: str) -> None:
        with contextlib.suppress(OSError):  # not empty: data outlives what made it
            (self._root / name).rmdir()
