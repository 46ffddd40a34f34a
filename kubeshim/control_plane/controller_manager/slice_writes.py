"""EndpointSlices we wrote that the cache has not shown yet.

Writing on top of a cache that is behind would double a slice. So what we write is remembered by resourceVersion, and
a turn waits until the cache has it; after ``PATIENCE`` attempts, with doubling delays, the write is taken as lost.
"""

import threading

from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object

PATIENCE = 8


class Writes:
    """By key (whose slices they are): slice → the resourceVersion we wrote, None where we deleted it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._awaited: dict[str, dict[str, str | None]] = {}

    def wrote(self, key: str, written: Object, cached: Object | None) -> None:
        version = objects.resource_version(written)
        with self._lock:
            if cached is None or int(objects.resource_version(cached)) < int(version):
                self._awaited.setdefault(key, {})[objects.name(written)] = version

    def deleting(self, key: str, one: Object) -> None:
        with self._lock:
            self._awaited.setdefault(key, {})[objects.name(one)] = None

    def gone(self, key: str, one: Object) -> None:
        with self._lock:
            self._awaited.get(key, {}).pop(objects.name(one), None)

    def shown(self, key: str, one: Object) -> bool:
        """Whether what the cache shows now is our own last write: no reason for another turn."""
        with self._lock:
            awaited = self._awaited.get(key, {})
            wanted = awaited.get(objects.name(one))
            if wanted is None or int(objects.resource_version(one)) < int(wanted):
                return False
            del awaited[objects.name(one)]
            return objects.resource_version(one) == wanted

    def behind(self, key: str, failures: int) -> bool:
        with self._lock:
            return bool(self._awaited.get(key)) and failures < PATIENCE

    def forget(self, key: str) -> None:
        with self._lock:
            self._awaited.pop(key, None)
