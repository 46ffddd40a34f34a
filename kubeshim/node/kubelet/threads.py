"""Threads for the kubelet's work: a pool that grows with the work and shrinks when idle, and one thread of timers.

Work may block (an image pull, a container's grace), so nothing may wait behind it; idle threads cost memory, so
they end after a while. Timers only hand work to the pool: one thread keeps all of the kubelet's appointments.
"""

import heapq
import itertools
import logging
import queue
import threading
import time
from collections.abc import Callable

_log = logging.getLogger(__name__)

_IDLE_SECONDS = 10.0

Work = Callable[[], None]


class Pool:
    """Runs each piece of work in a thread; threads are reused and end when idle."""

    def __init__(self, name: str, maximum: int = 256) -> None:
        self._name = name
        self._maximum = maximum
        self._lock = threading.Lock()
        self._work: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._threads = 0
        self._idle = 0
        """Threads that wait, beyond one for each piece of work that waits."""
        self._backlog = 0
        """Pieces of work for which there is no thread: there are as many as there may be."""
        self._numbers = itertools.count(1)
        self._closed = False

    def submit(self, work: Work) -> None:
        with self._lock:
            if self._closed:
                return
            self._work.put(work)
            if self._idle:
                self._idle -= 1
                return
            if self._threads == self._maximum:
                self._backlog += 1
                return
            self._threads += 1
        threading.Thread(target=self._run, name=f"{self._name}-{next(self._numbers)}", daemon=True).start()

    def close(self) -> None:
        """Lets threads end after what they are doing; what waits is dropped."""
        with self._lock:
            self._closed = True
            for _ in range(self._threads):
                self._work.put(None)

    def _run(self) -> None:
        """Of one thread; a piece of work waits when it begins."""
        while True:
            try:
                work = self._work.get(timeout=_IDLE_SECONDS)
            except queue.Empty:
                with self._lock:
                    if not self._idle:  # work was handed in at this very moment
                        continue
                    self._idle -= 1
                    self._threads -= 1
                return
            if work is None or self._closed:
                return
            try:
                work()
            except Exception:
                _log.exception("%s: unexpected failure", self._name)
            with self._lock:
                if self._backlog:
                    self._backlog -= 1
                else:
                    self._idle += 1


class Timers:
    """Calls back at a time. Callbacks run in the timer thread and must only hand over."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._heap: list[tuple[float, int, Timer]] = []
        self._numbers = itertools.count()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="kubelet-timers", daemon=True)
        self._thread.start()

    def after(self, seconds: float, call: Work) -> "Timer":
        timer = Timer(call)
        with self._changed:
            entry = (time.monotonic() + max(0.0, seconds), next(self._numbers), timer)
            heapq.heappush(self._heap, entry)
            if self._heap[0] is entry:
                self._changed.notify()
        return timer

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._closed and (not self._heap or self._heap[0][0] > time.monotonic()):
                    self._changed.wait(self._heap[0][0] - time.monotonic() if self._heap else None)
                if self._closed:
                    return
                timer = heapq.heappop(self._heap)[2]
            if timer.cancelled:
                continue
            try:
                timer.call()
            except Exception:
                _log.exception("a timer's callback failed")


class Timer:
    """An appointment; ``cancel`` makes it not happen."""

    __slots__ = ("call", "cancelled")

    def __init__(self, call: Work) -> None:
        self.call = call
        self.cancelled = False

    def cancel(self) -> None:
        """Lets go of what it would have called: the entry itself stays until its time."""
        self.cancelled = True
        self.call = _nothing


def _nothing() -> None:
    pass
