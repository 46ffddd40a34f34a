"""Which images a full disk can do without, and remembering which are ours to remove.

Only images that this node's kubelet pulled are collected: on a developer's machine the engine also holds what he built
and pulled himself, and no registry would bring that back. ``Pulled`` keeps their names in a file of the node.
"""

import dataclasses
import json
import logging
import os
import threading
from collections.abc import Callable, Collection, Sequence

from kubeshim.node.container_runtime import runtime

_log = logging.getLogger(__name__)


class Pulled:
    """References this kubelet pulled, kept in a file. Safe from any thread."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._names = self._read()

    def add(self, reference: str) -> None:
        with self._lock:
            if reference not in self._names:
                self._names.add(reference)
                self._write()

    def discard(self, reference: str) -> None:
        with self._lock:
            if reference in self._names:
                self._names.discard(reference)
                self._write()

    def all(self) -> set[str]:
        with self._lock:
            return set(self._names)

    def _read(self) -> set[str]:
        try:
            with open(self._path, encoding="utf-8") as file:
                return set(json.load(file))
        except (OSError, ValueError):
            return set()  # nothing pulled yet, or written by nobody we know: then nothing is ours to remove

    def _write(self) -> None:
        temporary = f"{self._path}.new"
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(sorted(self._names), file)
        os.rename(temporary, self._path)


@dataclasses.dataclass(slots=True)
class Record:
    """One image as the collector has seen it. Times are seconds of a steady clock."""

    first_seen: float
    last_used: float = 0.0


def wanted_bytes(available: int, capacity: int, high: int, low: int) -> int:
    """How much to free so that no more than ``low`` percent are in use; 0 below ``high`` percent."""
    if capacity <= 0 or high >= 100:
        return 0
    if 100 - available * 100 // capacity < high:
        return 0
    return max(0, capacity * (100 - low) // 100 - available)


def choose(
    found: Sequence[tuple[str, int, Record]], wanted: int, now: float, minimum_age: float, maximum_age: float
) -> list[str]:
    """Of unused images ``(name, size, record)``, those to remove: too old ones, then the longest unused."""
    oldest_first = sorted(found, key=lambda each: (each[2].last_used, each[2].first_seen))
    chosen: list[str] = []
    for name, size, record in oldest_first:
        expired = 0 < maximum_age < now - max(record.last_used, record.first_seen)
        if expired or (wanted > 0 and now - record.first_seen >= minimum_age):
            chosen.append(name)
            wanted -= size
    return chosen


class Collector:
    """Removes images. One caller at a time."""

    def __init__(self, engine: runtime.Runtime, pulled: Pulled, in_use: Callable[[], Collection[str]]) -> None:
        """``in_use`` gives the ids and references that containers of this node were made from."""
        self._engine = engine
        self._pulled = pulled
        self._in_use = in_use
        self._records: dict[str, Record] = {}

    def collect(self, wanted: int, now: float, minimum_age: float = 0.0, maximum_age: float = 0.0) -> int:
        """Frees about ``wanted`` bytes; gives how many were freed. Raises ``runtime.RuntimeFailure``."""
        ours, used = self._pulled.all(), self._in_use()
        unused: list[tuple[str, int, Record]] = []
        sizes: dict[str, int] = {}
        for image in self._engine.images():
            for name in ours.intersection((*image.tags, *image.digests)):
                record = self._records.setdefault(name, Record(now))
                if image.id in used or name in used:
                    record.last_used = now
                    continue
                sizes[name] = image.size
                unused.append((name, image.size, record))
        freed = 0
        for name in choose(unused, wanted, now, minimum_age, maximum_age):
            if self._remove(name):
                freed += sizes[name]
        return freed

    def _remove(self, name: str) -> bool:
        try:
            self._engine.remove_image(name)
        except runtime.NotFound:
            self._forget(name)
            return False
        except runtime.RuntimeFailure as failure:
            _log.info("image %s stays: %s", name, failure)  # somebody else's container uses it
            return False
        self._forget(name)
        return True

    def _forget(self, name: str) -> None:
        self._pulled.discard(name)
        self._records.pop(name, None)
