"""Events are news, not history: each goes ``event_ttl`` after it was last written.

Every write of an event puts it at the end of a queue with its new time; only the front is ever looked at, so a
thousand events cost no more to wait for than one.
"""

import heapq
from typing import TYPE_CHECKING

import gevent

from kubeshim import clock
from kubeshim.control_plane.api_server import storage as storages
from kubeshim.machinery import objects, resources

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

EVENTS = resources.GroupVersionResource("", "v1", "events")
_LONGEST_WAIT = 60.0
_AT_ONCE = 500


def run(server: "servers.Server") -> None:
    expiry = Expiry(server)
    server.storage.subscribe(EVENTS, expiry.follow)
    while not server.stopping.is_set():
        server.stopping.wait(min(max(expiry.sweep(), 0.0), _LONGEST_WAIT))


class Expiry:
    """Which events are due when."""

    def __init__(self, server: "servers.Server") -> None:
        self._server = server
        self._ttl = server.config.event_ttl
        self._due: list[tuple[float, str, str]] = []
        """A heap of (time, uid, namespace/name)."""
        self._latest: dict[str, float] = {}
        """uid → the time that counts; older entries of the heap are stale."""

    def follow(self, change: storages.Change) -> None:
        uid = objects.uid(change.obj)
        if change.kind == "DELETED":
            self._latest.pop(uid, None)
            return
        due = written(change.obj, self._server.clock) + self._ttl
        self._latest[uid] = due
        heapq.heappush(self._due, (due, uid, objects.key(change.obj)))

    def sweep(self) -> float:
        """Deletes what is due; returns the seconds until there is more to do."""
        now = self._server.clock.now().timestamp()
        done = 0
        while self._due and self._due[0][0] <= now:
            due, uid, key = heapq.heappop(self._due)
            if self._latest.get(uid) == due:
                self._delete(key)
                done += 1
                if done % _AT_ONCE == 0:
                    gevent.sleep(0)
        return self._due[0][0] - now if self._due else _LONGEST_WAIT

    def _delete(self, key: str) -> None:
        resource = self._server.registry.get(*EVENTS)
        assert resource is not None
        item = self._server.storage.get(resource, *objects.split_key(key))
        if item is not None:
            try:
                self._server.storage.delete(resource, item)
            except storages.Stale:
                pass  # just written again: it is in the queue with its new time


def written(event: objects.Object, time_source: clock.Clock) -> float:
    """When an event was last written, as far as it tells; in seconds since the epoch."""
    told = [
        event.get("lastTimestamp"),
        event.get("eventTime"),
        objects.dig(event, "series", "lastObservedTime"),
        objects.dig(event, "metadata", "creationTimestamp"),
    ]
    times = []
    for text in told:
        try:
            times.append(clock.parse_rfc3339(text).timestamp())
        except (TypeError, ValueError):
            continue
    now = time_source.now().timestamp()
    return min(max(times), now) if times else now
