"""A store in this process's memory, for tests and trials: the same behaviour, nothing survives.

Writes are done by the caller's thread at once; the log is a list of events, compaction cuts its head.
"""

import bisect
from collections.abc import Sequence

from kubeshim.control_plane.cluster_store import batch, broadcast, store


class MemoryStore:
    """``store.Store`` in dictionaries."""

    def __init__(self) -> None:
        self._broadcast = broadcast.Broadcaster()
        self._current: dict[str, store.Record] = {}
        self._log: list[store.Event] = []
        self._base: dict[str, store.Record] = {}
        """State at the compacted revision, from which ``range`` replays the log."""
        self._compacted = 0
        self._revision = 0
        self._closed = False

    def submit(self, operation: store.Operation, reply: store.Reply) -> None:
        with self._broadcast.lock:
            self._check_open()
            here = self._current.get(operation.key)
            decided = batch.plan((operation,), {operation.key: here} if here else {}, self._revision)
            for event in decided.events:
                self._apply(event)
            self._broadcast.deliver(decided.events, [(reply, decided.outcomes[0])])

    def _apply(self, event: store.Event) -> None:
        self._log.append(event)
        self._revision = event.revision
        _replay(self._current, event)

    def subscribe(self, subscriber: store.Subscriber) -> int:
        with self._broadcast.lock:
            self._broadcast.add(subscriber)
            return self._revision

    def get(self, key: str) -> store.Record | None:
        with self._broadcast.lock:
            return self._current.get(key)

    def range(self, prefix: str, *, revision: int = 0, limit: int = 0, after: str = "") -> store.Range:
        with self._broadcast.lock:
            state = self._at(revision) if revision else self._current
            at = revision or self._revision
            found = sorted(
                (record for key, record in state.items() if key.startswith(prefix) and key > after),
                key=lambda record: record.key,
            )
        page = found[:limit] if limit else found
        return store.Range(page, at, len(page) < len(found), len(found))

    def _at(self, revision: int) -> dict[str, store.Record]:
        if revision < self._compacted:
            raise store.Compacted(self._compacted)
        if revision > self._revision:
            raise store.FutureRevision(self._revision)
        state = dict(self._base)
        for event in self._log[: bisect.bisect_right(self._log, revision, key=_revision)]:
            _replay(state, event)
        return state

    def events(self, prefix: str, *, after: int) -> Sequence[store.Event]:
        with self._broadcast.lock:
            if after < self._compacted:
                raise store.Compacted(self._compacted)
            start = bisect.bisect_right(self._log, after, key=_revision)
            return [event for event in self._log[start:] if event.key.startswith(prefix)]

    def revision(self) -> int:
        return self._revision

    def compact(self, revision: int) -> None:
        with self._broadcast.lock:
            if revision > self._revision:
                raise store.FutureRevision(self._revision)
            if revision <= self._compacted:
                return
            cut = bisect.bisect_right(self._log, revision, key=_revision)
            for event in self._log[:cut]:
                _replay(self._base, event)
            del self._log[:cut]
            self._compacted = revision

    def oldest(self) -> int:
        return self._compacted

    def size(self) -> int:
        """Nothing is kept anywhere."""
        return 0

    def ping(self) -> None:
        self._check_open()

    def close(self) -> None:
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            raise store.Unavailable("the store is closed")


def _revision(event: store.Event) -> int:
    return event.revision


def _replay(state: dict[str, store.Record], event: store.Event) -> None:
    if event.record is None:
        state.pop(event.key, None)
    else:
        state[event.key] = event.record
