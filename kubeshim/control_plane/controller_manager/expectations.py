"""What a controller did and its cache has not shown yet.

A controller that made three pods and looks at its cache before the watch told of them would make three more.
So it notes how many creations and deletions it expects, informer events count them down, and it does not act
again before all were seen, or five minutes passed and they never will be.

They are kept by the uid of who expects them: one made anew under the same name has nothing to do with what its
namesake did, whose pods it would wait for in vain.

Deletions are expected by key, not by number: a pod that is seen terminating and then gone counts once.
"""

import dataclasses
import threading
from collections.abc import Callable, Iterable

from kubeshim import clock

EXPIRES = 300.0


@dataclasses.dataclass(slots=True)
class _Expected:
    since: float
    creations: int = 0
    deletions: set[str] = dataclasses.field(default_factory=set)


class Expectations:
    def __init__(self, time_source: clock.Clock = clock.SYSTEM) -> None:
        self._clock = time_source
        self._lock = threading.Lock()
        self._expected: dict[str, _Expected] = {}

    def satisfied(self, owner: str) -> bool:
        """Whether the cache has caught up for ``owner``."""
        return self.left(owner) is None

    def left(self, owner: str) -> float | None:
        """Seconds until what the cache has not shown is given up, when to come back; None where it has caught up."""
        with self._lock:
            expected = self._expected.get(owner)
            if expected is None or (expected.creations <= 0 and not expected.deletions):
                return None
            left = expected.since + EXPIRES - self._clock.monotonic()
            return left if left > 0 else None

    def expect_creations(self, owner: str, number: int) -> None:
        with self._lock:
            self._expected[owner] = _Expected(self._clock.monotonic(), creations=number)

    def expect_deletions(self, owner: str, of: Iterable[str]) -> None:
        with self._lock:
            self._expected[owner] = _Expected(self._clock.monotonic(), deletions=set(of))

    def expect(self, owner: str, creations: int, deletions: Iterable[str]) -> None:
        """Both at once, for controllers that do both in one turn."""
        with self._lock:
            self._expected[owner] = _Expected(self._clock.monotonic(), creations, set(deletions))

    def creation_observed(self, owner: str, number: int = 1) -> None:
        with self._lock:
            if owner in self._expected:
                self._expected[owner].creations -= number

    def deletion_observed(self, owner: str, of: str) -> None:
        with self._lock:
            if owner in self._expected:
                self._expected[owner].deletions.discard(of)

    def deletion(self, owner: str, of: str, delete: Callable[[], bool]) -> None:
        """Calls ``delete``; where that deletes nothing (False, or it raises), nothing is waited for."""
        told = False
        try:
            told = delete()
        finally:
            if not told:
                self.deletion_observed(owner, of)

    def forget(self, owner: str) -> None:
        with self._lock:
            self._expected.pop(owner, None)
