"""One lock a key, there only while somebody holds or wants it."""

import contextlib
from collections.abc import Iterator

from gevent import lock


class Locks:
    """Locks by name, for the greenlets of one loop."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[lock.RLock, int]] = {}

    @contextlib.contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Holds the lock ``name``; the same greenlet may take it again."""
        entry, users = self._held.get(name) or (lock.RLock(), 0)
        self._held[name] = (entry, users + 1)
        try:
            with entry:
                yield
        finally:
            entry, users = self._held[name]
            if users == 1:
                del self._held[name]
            else:
                self._held[name] = (entry, users - 1)
