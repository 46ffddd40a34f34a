"""The current objects of one type, the last events about them, and who is watching.

Everything here happens in the event loop's thread and never waits, so each method sees and leaves a consistent
state. ``apply`` is fed the store's events in order of revision; it keeps the objects and their sorted keys, a ring of
past events (from which watches resume and older snapshots are rebuilt), and hands the event to every watcher whose
scope and selectors it concerns.

A watcher has a bounded buffer. Who does not drain it is dropped at the bound, never waited for; its stream ends and the
client resumes from what it last saw.
"""

import bisect
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence

import gevent

from kubeshim.control_plane.api_server import stored as kept
from kubeshim.control_plane.api_server import wakes

_log = logging.getLogger(__name__)

RING = 1024
"""Events remembered for each type; older ones are asked of the store."""
WATCHER_BUFFER = 4096
"""Events a watcher may lag behind."""

_FRAMES = 128
"""Events whose encoded frames are kept: long enough for every live watcher to have taken them."""

Matches = Callable[[kept.Stored], bool]


class Event:
    """A change of one object. ``stored`` is the object after it (for DELETED: the last state, at the deletion's
    revision), ``previous`` the one before it."""

    __slots__ = ("_left", "frames", "kind", "previous", "revision", "stored")

    def __init__(self, kind: str, revision: int, stored: kept.Stored, previous: kept.Stored | None) -> None:
        self.kind = kind
        self.revision = revision
        self.stored = stored
        self.previous = previous
        self.frames: dict[object, bytes] = {}
        """Encoded once for each representation, shared by all watchers."""
        self._left: kept.Stored | None = None

    def left(self) -> kept.Stored:
        """What a watcher is shown when the object has left its selection: the state it knew, at this revision."""
        if self._left is None:
            assert self.previous is not None
            self._left = self.previous.at(self.revision)
        return self._left


Seen = tuple[str, kept.Stored, Event]
"""What a watcher is told: the kind as it sees it, the object to show, and the event behind it."""


def seen(event: Event, matches: Matches | None) -> Seen | None:
    """An event through a selector: changes into and out of the selection are additions and deletions."""
    if matches is None:
        return event.kind, event.stored, event
    if event.kind == "ADDED":
        return ("ADDED", event.stored, event) if matches(event.stored) else None
    assert event.previous is not None
    before = matches(event.previous)
    if event.kind == "DELETED":
        return ("DELETED", event.stored, event) if before else None
    after = matches(event.stored)
    if after:
        return ("MODIFIED" if before else "ADDED"), event.stored, event
    return ("DELETED", event.left(), event) if before else None


class Watcher:
    """One watch: a scope, a selection and a buffer."""

    __slots__ = (
        "_after",
        "_limit",
        "_pace",
        "_pending",
        "_sleeper",
        "buffer",
        "dropped",
        "matches",
        "prefix",
        "stopped",
    )

    def __init__(
        self, prefix: str, matches: Matches | None, pace: wakes.Pace, after: int = 0, limit: int = WATCHER_BUFFER
    ) -> None:
        self.prefix = prefix
        """``namespace/`` for a watch of one namespace, else empty."""
        self.matches = matches
        self.buffer: deque[Seen] = deque()
        self.dropped = False
        self.stopped = False
        self._after = after
        self._limit = limit
        self._pace = pace
        self._pending = False
        """Whether the wake for what is in the buffer is on its way."""
        self._sleeper = wakes.Sleeper()

    def offer(self, event: Event) -> None:
        if self.prefix and not event.stored.key.startswith(self.prefix):
            return
        if event.revision <= self._after:
            return
        told = (event.kind, event.stored, event) if self.matches is None else seen(event, self.matches)
        if told is None or self.stopped:
            return
        if len(self.buffer) >= self._limit:
            self.dropped = True
            self.stop()
            return
        self.buffer.append(told)
        if not self._pending:
            self._pending = True
            self._pace.wake(self._sleeper)

    def wait(self, timeout: float) -> bool:
        """``wait_until`` so many seconds from now."""
        return self.wait_until(time.monotonic() + timeout)

    def wait_until(self, deadline: float) -> bool:
        """Until there is something in the buffer or the watch is stopped; False when it is ``deadline``."""
        if self.stopped:
            return True
        if self.buffer and not self._pending:
            return True
        self._sleeper.sleep(deadline)
        self._pending = False
        return bool(self.buffer) or self.stopped

    def stop(self) -> None:
        self.stopped = True
        self._sleeper.close()
        gevent.get_hub().loop.run_callback(self._sleeper.wake)


class Cache:
    """All objects under one storage prefix."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.objects: dict[str, kept.Stored] = {}
        self.keys: list[str] = []
        """Sorted; the order of lists and of their pages."""
        self.ring: deque[Event] = deque()
        self.floor = 0
        """The ring has every event after this revision."""
        self.changed = 0
        """The revision of the last event."""
        self.watchers: dict[Watcher, None] = {}
        self.observers: list[Callable[[Event], None]] = []
        self.loaded = False
        self.pending: list[Event] = []
        self.pace = wakes.Pace(self.watchers.__len__)

    def load(self, items: Sequence[kept.Stored], revision: int) -> None:
        """The state at ``revision``; events that came in meanwhile follow."""
        self.objects = {item.key: item for item in items}
        self.keys = sorted(self.objects)
        self.floor = self.changed = revision
        self.loaded = True
        pending, self.pending = self.pending, []
        for event in pending:
            if event.revision > revision:
                self.apply(event)

    def apply(self, event: Event) -> None:
        """One event more. Objects the event calls previous are replaced by the cache's own, which are shared."""
        if not self.loaded:
            self.pending.append(event)
            return
        key = event.stored.key
        previous = self.objects.get(key)
        if previous is not None:
            event.previous = previous
        if event.kind == "DELETED":
            if self.objects.pop(key, None) is not None:
                del self.keys[bisect.bisect_left(self.keys, key)]
        else:
            if previous is None:
                bisect.insort(self.keys, key)
            self.objects[key] = event.stored
        self.changed = event.revision
        self.ring.append(event)
        if len(self.ring) > RING:
            self.floor = self.ring.popleft().revision
        if len(self.ring) > _FRAMES:
            self.ring[-_FRAMES - 1].frames.clear()
        for watcher in list(self.watchers):
            try:
                watcher.offer(event)
            except Exception:  # what it selects by cannot be read of this object; the others are told all the same
                _log.exception("a watch of %s ends: its selectors failed", self.prefix)
                watcher.stop()
            if watcher.stopped:
                self.watchers.pop(watcher, None)
        for observer in self.observers:
            observer(event)

    def since(self, revision: int) -> list[Event] | None:
        """Events after ``revision``, or None where the ring does not reach back so far."""
        if revision < self.floor:
            return None
        found = []
        for event in reversed(self.ring):
            if event.revision <= revision:
                break
            found.append(event)
        found.reverse()
        return found

    def at(self, revision: int) -> tuple[list[str], dict[str, kept.Stored]] | None:
        """Sorted keys and objects as they were at ``revision``, or None where the ring does not reach."""
        if revision >= self.changed:
            return self.keys, self.objects
        later = self.since(revision)
        if later is None:
            return None
        state = dict(self.objects)
        for event in reversed(later):
            if event.previous is None:
                state.pop(event.stored.key, None)
            else:
                state[event.stored.key] = event.previous
        return sorted(state), state

    def in_scope(self, keys: list[str], namespace: str, after: str = "") -> Iterator[str]:
        """Keys of a namespace (or all), beyond ``after``."""
        start, end = 0, len(keys)
        if namespace:
            start = bisect.bisect_left(keys, namespace + "/")
            end = bisect.bisect_left(keys, namespace + "0")
        if after:
            start = max(start, bisect.bisect_left(keys, after))
        return iter(keys[start:end])
