"""When watchers are woken: at once, but the same one not again before the others could have had their turn.

Waking a watcher, encrypting and sending costs much more than one event more in the same send. So a watcher that was
woken just now waits for as long as waking all watchers of its type takes, and then gets what has gathered: with few
watchers that is nothing, with a thousand some tens of milliseconds. However busy a type is, its watchers so take a
bounded part of the loop's time, and requests get through. Who has been quiet for that long hears of an event at once.

All here happens in the loop's thread; ``Sleeper`` is for one greenlet.
"""

import time
from collections import deque
from collections.abc import Callable
from typing import Any

import gevent
import gevent.hub

WAKE_SECONDS = 80e-6
"""The time a woken watcher is given: about twice what it takes."""


class Pace:
    """Wakes the watchers of one type. ``count`` says how many they are."""

    __slots__ = ("_count", "_later", "_loop", "_timer")

    def __init__(self, count: Callable[[], int]) -> None:
        self._count = count
        self._loop: Any = None
        self._timer: Any = None
        self._later: deque[tuple[float, Sleeper]] = deque()
        """In the order of their times, nearly: the pause changes with the number of watchers only."""

    def wake(self, sleeper: "Sleeper") -> None:
        now = time.monotonic()
        due = sleeper.woken + self._count() * WAKE_SECONDS
        if self._loop is None:
            self._loop = gevent.get_hub().loop
        if due <= now:
            sleeper.woken = now
            self._loop.run_callback(sleeper.wake)
            return
        self._later.append((due, sleeper))
        if len(self._later) == 1:
            self._start(due - now)

    def _start(self, seconds: float) -> None:
        self._timer = self._loop.timer(max(seconds, 0.0))
        self._timer.start(self._due)

    def _due(self) -> None:
        """In the hub: wakes those whose time has come."""
        self._timer.close()
        now = time.monotonic()
        later = self._later
        while later and later[0][0] <= now:
            sleeper = later.popleft()[1]
            sleeper.woken = now
            self._loop.run_callback(sleeper.wake)
        if later:
            self._start(later[0][0] - now)


class Sleeper:
    """What one greenlet sleeps on, until it is woken or a deadline has passed."""

    __slots__ = ("_awake", "_deadline", "_greenlet", "_timer", "woken")

    def __init__(self) -> None:
        self.woken = 0.0
        self._awake = False
        self._greenlet: Any = None
        self._timer: Any = None
        self._deadline = 0.0

    def sleep(self, deadline: float) -> None:
        """Returns at once after a ``wake`` that nobody slept through. The timer stays while the deadline does."""
        if not self._awake:
            if deadline != self._deadline:
                self._set(deadline)
            self._greenlet = gevent.getcurrent()
            try:
                gevent.get_hub().switch()
            finally:
                self._greenlet = None
        self._awake = False

    def wake(self) -> None:
        """In the hub only."""
        self._awake = True
        if self._greenlet is not None:
            self._greenlet.switch()

    def close(self) -> None:
        """Nothing wakes it by itself any more."""
        if self._timer is not None:
            self._timer.stop()
            self._timer.close()
            self._timer = None
        self._deadline = 0.0

    def _set(self, deadline: float) -> None:
        self.close()
        self._deadline = deadline
        self._timer = gevent.get_hub().loop.timer(max(deadline - time.monotonic(), 0.0))
        self._timer.start(self._rang)

    def _rang(self) -> None:
        self.close()
        self.wake()
