"""The queue between informers and workers.

A key that is added many times before a worker takes it is worked on once. A key that is added while a worker
has it is handed out again after that worker said ``done``: no two workers ever have the same key, and no
change is lost. Keys may be added after a delay, or after a delay that doubles with each failure until
``forget``.
"""

import collections
import heapq
import itertools
import threading
import time
from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar

K = TypeVar("K", bound=Hashable)


class Observer(Protocol):
    """Is told how long keys waited, and how long they were worked on."""

    def waited(self, seconds: float) -> None: ...

    def worked(self, seconds: float) -> None: ...


class ShutDown(Exception):
    """``get`` of a queue that was shut down."""


class ItemBackoff:
    """Delay of an item by the number of its failures: 5 ms, 10 ms … 1000 s."""

    def __init__(self, base: float = 0.005, maximum: float = 1000.0) -> None:
        self._base, self._maximum = base, maximum
        self._failures: collections.Counter[Hashable] = collections.Counter()

    def when(self, item: Hashable) -> float:
        failures = self._failures[item]
        self._failures[item] += 1
        # 2**64 is beyond any maximum; larger powers would not fit a float.
        return float(min(self._base * 2 ** min(failures, 64), self._maximum))

    def forget(self, item: Hashable) -> None:
        self._failures.pop(item, None)


class Bucket:
    """A token bucket over all items: ``rate`` a second after a burst. ``reserve`` returns the seconds to wait."""

    def __init__(self, rate: float, burst: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._monotonic = rate, float(burst), monotonic
        self._tokens, self._at = float(burst), monotonic()

    def _refill(self) -> None:
        now = self._monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now

    def reserve(self) -> float:
        self._refill()
        self._tokens -= 1
        return max(0.0, -self._tokens / self._rate)

    def give_back(self) -> None:
        """A token that was taken for nothing."""
        self._tokens = min(self._burst, self._tokens + 1)

    def try_take(self) -> bool:
        """Takes a token if there is a whole one."""
        self._refill()
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class RateLimitingQueue(Generic[K]):
    """Safe for any number of producers and workers.

    Invariants: a key in ``_queue`` is in ``_dirty`` and not in ``_processing``; a key in both ``_dirty`` and
    ``_processing`` enters ``_queue`` at ``done``.
    """

    def __init__(
        self,
        *,
        base_delay: float = 0.005,
        max_delay: float = 1000.0,
        rate: float = 10.0,
        burst: int = 100,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._monotonic = monotonic
        self._backoff = ItemBackoff(base_delay, max_delay)
        self._bucket = Bucket(rate, burst, monotonic)
        self._ready = threading.Condition()
        self._queue: collections.deque[K] = collections.deque()
        self._dirty: set[K] = set()
        self._processing: set[K] = set()
        self._waiting: list[tuple[float, int, K]] = []
        self._due: dict[K, float] = {}
        """When each waiting key is due; an entry of ``_waiting`` with another time is void."""
        self._order = itertools.count()
        self._shut_down = False
        self.adds = self.retries = 0
        """How many keys were taken in, and how many were to come later: measures of load."""
        self.observer: Observer | None = None
        self.on_crowded: Callable[[], None] | None = None
        """Called when a key is added for which nobody is free."""
        self._idle = 0
        self._added: dict[K, float] = {}
        self._started: dict[K, float] = {}
        """When keys that wait were added, and when the work began on those that are worked on."""

    def add(self, key: K) -> None:
        with self._ready:
            self._add(key)
            crowded = len(self._queue) > self._idle
        if crowded and self.on_crowded is not None:
            self.on_crowded()

    def add_after(self, key: K, delay: float) -> None:
        """Adds ``key`` in ``delay`` seconds; of several such wishes the earliest holds."""
        self.retries += 1
        if delay <= 0:
            self.add(key)
            return
        with self._ready:
            due = self._monotonic() + delay
            if self._shut_down or self._due.get(key, due + 1) <= due:
                return
            self._due[key] = due
            heapq.heappush(self._waiting, (due, next(self._order), key))
            # A worker that sleeps until a later time must look again.
            self._ready.notify()

    def add_rate_limited(self, key: K) -> None:
        """Adds ``key`` after the delay its failures, and the load of all retries, call for."""
        with self._ready:
            delay = max(self._backoff.when(key), self._bucket.reserve())
        self.add_after(key, delay)

    def forget(self, key: K) -> None:
        """The key is fine: its next failure starts with the shortest delay."""
        with self._ready:
            self._backoff.forget(key)

    def get(self, timeout: float | None = None) -> K:
        """Waits for a key; call ``done`` with it afterwards. Raises ``ShutDown``, or ``TimeoutError``."""
        give_up = None if timeout is None else self._monotonic() + timeout
        with self._ready:
            while True:
                self._move_due()
                if self._queue:
                    key = self._queue.popleft()
                    self._dirty.discard(key)
                    self._processing.add(key)
                    self._note_start(key)
                    return key
                if self._shut_down:
                    raise ShutDown
                if give_up is not None and self._monotonic() >= give_up:
                    raise TimeoutError
                self._idle += 1
                try:
                    self._ready.wait(self._patience(give_up))
                finally:
                    self._idle -= 1

    def done(self, key: K) -> None:
        """The worker is through with ``key``."""
        with self._ready:
            self._processing.discard(key)
            started = self._started.pop(key, None)
            if self.observer is not None and started is not None:
                self.observer.worked(self._monotonic() - started)
            if key in self._dirty:
                self._queue.append(key)
                self._ready.notify()

    def serve(self, handle: Callable[[K], None]) -> None:
        """One worker's life: handles keys until the queue is shut down."""
        while True:
            try:
                key = self.get()
            except ShutDown:
                return
            try:
                handle(key)
            finally:
                self.done(key)

    def shut_down(self) -> None:
        """No more keys are taken in; workers get what is queued, then ``ShutDown``."""
        with self._ready:
            self._shut_down = True
            self._waiting.clear()
            self._due.clear()
            self._ready.notify_all()

    def unfinished(self) -> list[float]:
        """For how many seconds each key has been worked on that still is."""
        with self._ready:
            now = self._monotonic()
            return [now - started for started in self._started.values()]

    def __len__(self) -> int:
        with self._ready:
            return len(self._queue)

    def _note_start(self, key: K) -> None:
        now = self._monotonic()
        added = self._added.pop(key, now)
        self._started[key] = now
        if self.observer is not None:
            self.observer.waited(now - added)

    def _add(self, key: K) -> None:
        if self._shut_down or key in self._dirty:
            return
        self._dirty.add(key)
        self.adds += 1
        self._added[key] = self._monotonic()
        if key not in self._processing:
            self._queue.append(key)
            self._ready.notify()

    def _move_due(self) -> None:
        now = self._monotonic()
        while self._waiting and self._waiting[0][0] <= now:
            due, _, key = heapq.heappop(self._waiting)
            if self._due.get(key) == due:
                del self._due[key]
                self._add(key)

    def _patience(self, give_up: float | None) -> float | None:
        """Seconds until something may change by itself."""
        ends = [end for end in (give_up, self._waiting[0][0] if self._waiting else None) if end is not None]
        return max(0.0, min(ends) - self._monotonic()) if ends else None
