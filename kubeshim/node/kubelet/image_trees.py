"""The file trees of images that pods mount as volumes: one a node and image, read-only, shared by its pods.

``DATA_DIR/image-volumes/IMAGE_ID`` is written beside and renamed, so a tree that is there is whole. Whoever mounts one
leaves its id in his pod's directory (``USED_BY``); ``sweep`` removes trees that no pod names.
"""

import io
import os
import shutil
import tarfile
import tempfile
import threading
from collections.abc import Iterator, Mapping

from kubeshim.node.container_runtime import runtime

PLUGIN = "kubernetes.io~image"
USED_BY = ".image"
"""Suffix of the file, beside the mount, that holds the image's id."""
_NEW = "new-"


class Trees:
    """Of one node. Safe from any thread."""

    def __init__(self, engine: runtime.Runtime, directory: str, labels: Mapping[str, str]) -> None:
        self._engine = engine
        self._directory = directory
        self._labels = labels
        self._lock = threading.Lock()

    def tree(self, image: runtime.Image) -> str:
        """The directory that holds the image's files. Raises ``runtime.RuntimeFailure``, ``OSError``."""
        path = os.path.join(self._directory, name_of(image.id))
        with self._lock:
            if os.path.isdir(path):
                return path
            os.makedirs(self._directory, 0o700, exist_ok=True)
            fresh = tempfile.mkdtemp(prefix=_NEW, dir=self._directory)
            try:
                extract(self._engine.export_image(image.id, self._labels), fresh)
                os.chmod(fresh, 0o755)
                os.rename(fresh, path)
            except BaseException:
                shutil.rmtree(fresh, ignore_errors=True)
                raise
        return path

    def sweep(self, pods_directory: str) -> None:
        """Removes trees without users."""
        with self._lock:
            for name in _names(self._directory) - used(pods_directory):
                shutil.rmtree(os.path.join(self._directory, name), ignore_errors=True)


def name_of(image_id: str) -> str:
    return image_id.rpartition(":")[2]


def used(pods_directory: str) -> set[str]:
    """Names of the trees that pods' directories name."""
    found: set[str] = set()
    for uid in _names(pods_directory):
        where = os.path.join(pods_directory, uid, "volumes", PLUGIN)
        for name in _names(where):
            if name.endswith(USED_BY):
                with open(os.path.join(where, name), encoding="ascii") as file:
                    found.add(name_of(file.read().strip()))
    return found


def _names(directory: str) -> set[str]:
    try:
        return set(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return set()


class _Reader(io.RawIOBase):
    """Chunks as a file that can only be read on."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        while not self._rest:
            try:
                self._rest = next(self._chunks)
            except StopIteration:
                return 0
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def extract(chunks: Iterator[bytes], directory: str) -> None:
    """Unpacks a tar stream of an image; nothing lands outside, devices are left out."""
    with tarfile.open(fileobj=io.BufferedReader(_Reader(chunks), 1 << 20), mode="r|") as archive:
        for member in archive:
            if member.isdev():
                continue
            try:
                safe = tarfile.tar_filter(member, directory)
            except tarfile.FilterError as error:
                raise OSError(f"image has a file that leads outside of it: {error}") from error
            # Bits that the filter takes away as unsafe for users' own archives are the image's.
            archive.extract(safe.replace(mode=member.mode, deep=False), directory, numeric_owner=True)
