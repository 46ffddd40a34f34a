"""Waiting twice as long after each failure, up to a maximum, until things went well for a while.

Kept by key (a container of a pod, an image of a pod). Time is the caller's, so that tests need not wait.
"""

import dataclasses
import threading


@dataclasses.dataclass(slots=True)
class _Entry:
    delay: float
    since: float


class BackOff:
    """Delays by key. Safe from any thread. Durations are seconds, times seconds since the epoch."""

    def __init__(self, initial: float, maximum: float, reset: float) -> None:
        self._initial = initial
        self._maximum = maximum
        self._reset = reset
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] = {}

    def next(self, key: str, now: float) -> float:
        """Counts a failure at ``now``; returns the delay that begins there."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or now - entry.since > self._reset:
                entry = self._entries[key] = _Entry(min(self._initial, self._maximum), now)
            else:
                entry.delay = min(entry.delay * 2, self._maximum)
                entry.since = now
            return entry.delay

    def remaining(self, key: str, since: float, now: float) -> float:
        """Seconds still to wait where the last failure was at ``since``; 0 where there is nothing to wait for."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or since - entry.since > self._reset:
                return 0.0
            return max(0.0, entry.delay - (now - since))

    def delay(self, key: str) -> float:
        """The delay in force, 0 where there is none."""
        with self._lock:
            entry = self._entries.get(key)
            return entry.delay if entry else 0.0

    def forget(self, prefix: str) -> None:
        """Drops the keys that begin with ``prefix``."""
        with self._lock:
            for key in [key for key in self._entries if key.startswith(prefix)]:
                del self._entries[key]


def in_words(seconds: float) -> str:
    """As Go prints durations: ``10s``, ``1m20s``, ``5m0s``."""
    whole = round(seconds)
    return f"{whole}s" if whole < 60 else f"{whole // 60}m{whole % 60}s"
