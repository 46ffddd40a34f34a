"""Objects a controller wrote that its cache has not shown yet, where no name or resourceVersion guards against that.

Who makes things under names that the server chooses, or by what it sees of their neighbours, must not do so on top of
a cache that is behind: a slice would be doubled, a second ReplicaSet made beside one that nobody sees. So what is
written is remembered by resourceVersion, and a turn waits until the cache has it: who was turned away is called when it
does. A write that is not shown within ``PATIENCE`` seconds is taken as lost; a cache that is merely behind never takes
that long.
"""

import threading
from collections.abc import Callable

from kubeshim import clock
from kubeshim.machinery import errors, objects
from kubeshim.machinery.objects import Object

PATIENCE = 60.0


class Writes:
    """By key (whose they are): name → the resourceVersion we wrote, None where we deleted it."""

    def __init__(self, time_source: clock.Clock = clock.SYSTEM) -> None:
        self._clock = time_source
        self._lock = threading.Lock()
        self._awaited: dict[str, dict[str, str | None]] = {}
        self._since: dict[str, float] = {}
        """When something was last written."""
        self._waiting: set[str] = set()
        """Keys whose turn was put off."""

    def wrote(self, key: str, written: Object, look: Callable[[], Object | None]) -> None:
        """``look`` is how the cache has it. It is asked in here, lest an event come between question and answer."""
        version = objects.resource_version(written)
        with self._lock:
            cached = look()
            if cached is None or int(objects.resource_version(cached)) < int(version):
                self._await(key, objects.name(written), version)

    def deleting(self, key: str, one: Object) -> None:
        with self._lock:
            self._await(key, objects.name(one), None)

    def delete(self, key: str, one: Object, delete: Callable[[], None], look: Callable[[], Object | None]) -> None:
        """Calls ``delete``. What is gone or on its way out then is not waited for; ``look`` as above."""
        self.deleting(key, one)
        try:
            delete()
        except errors.NotFound:
            self.gone(key, one)
        cached = look()
        if cached is None or objects.is_deleting(cached):
            self.gone(key, one)

    def gone(self, key: str, one: Object) -> None:
        with self._lock:
            self._awaited.get(key, {}).pop(objects.name(one), None)

    def shown(self, key: str, one: Object) -> bool:
        """Whether what the cache shows now is our own last write, and nobody waits for it: no reason for a turn."""
        with self._lock:
            awaited = self._awaited.get(key, {})
            if objects.is_deleting(one):  # held by somebody's finalizer: it counts as gone
                awaited.pop(objects.name(one), None)
            wanted = awaited.get(objects.name(one))
            if wanted is None or int(objects.resource_version(one)) < int(wanted):
                return False
            del awaited[objects.name(one)]
            return objects.resource_version(one) == wanted and key not in self._waiting

    def behind(self, key: str) -> bool:
        """Whether the turn must be put off."""
        with self._lock:
            late = self._clock.monotonic() - self._since.get(key, 0.0) > PATIENCE
            if self._awaited.get(key) and not late:
                self._waiting.add(key)
                return True
            self._awaited.pop(key, None)
            self._waiting.discard(key)
            return False

    def forget(self, key: str) -> None:
        with self._lock:
            self._awaited.pop(key, None)
            self._since.pop(key, None)
            self._waiting.discard(key)

    def _await(self, key: str, name: str, version: str | None) -> None:
        self._awaited.setdefault(key, {})[name] = version
        self._since[key] = self._clock.monotonic()
