"""Pods that wait to be scheduled, in one of three places.

*Active*: to be tried now, the most important first. *Backoff*: tried before, to be tried again not before its
delay (1 s, doubled with each attempt, at most 10 s) has passed, or sooner when nothing else is to do.
*Unschedulable*: nothing that has happened since its last try can have helped it; there it stays until an event
does that the plugins which rejected it were waiting for, or five minutes have passed. Gated pods (PreEnqueue)
are unschedulable too, but only a change of their own moves them.

Events that happen while a pod is being tried are kept and weighed when it comes back, so none is missed.
"""

import collections
import dataclasses
import heapq
import itertools
import threading
import time
from collections.abc import Callable
from typing import Any

from kubeshim.control_plane.scheduler import framework, metrics, pod_info

INITIAL_BACKOFF, MAX_BACKOFF = 1.0, 10.0
LONGEST_STAY = 300.0
_ADDED, _UPDATED, _FAILED = "UnschedulablePodAdd", "UnschedulablePodUpdate", "ScheduleAttemptFailure"
"""Why pods come into a queue, as metrics say it."""


@dataclasses.dataclass(slots=True)
class _Waiting:
    info: pod_info.PodInfo
    rejected_by: frozenset[str]
    since: float
    gated: bool = False


class SchedulingQueue:
    def __init__(
        self,
        profile: framework.Framework,
        monotonic: Callable[[], float] = time.monotonic,
        counted: metrics.Metrics | None = None,
    ) -> None:
        self._profile, self._monotonic = profile, monotonic
        self._metrics = counted or metrics.Metrics()
        self._changed = threading.Condition()
        self._order = itertools.count()
        self._active: list[tuple[tuple[Any, ...], int, str]] = []
        self._backoff: list[tuple[float, int, str]] = []
        self._infos: dict[str, pod_info.PodInfo] = {}
        """Pods in active or backoff, by uid; heap entries without one, or of another place, are void."""
        self._place: dict[str, tuple[str, int]] = {}
        self._failed: set[str] = set()
        """Pods in backoff because of an error: those wait their whole delay."""
        self._unschedulable: dict[str, _Waiting] = {}
        self._in_flight: dict[str, list[framework.Event]] = {}
        self._closed = False

    def add(self, info: pod_info.PodInfo) -> None:
        """A new pod."""
        with self._changed:
            if info.uid in self._infos or info.uid in self._in_flight:
                return
            info.since = info.since or self._monotonic()
            self._unschedulable.pop(info.uid, None)
            self._to_active(info, _ADDED)

    def update(self, info: pod_info.PodInfo, *, worth_a_try: bool) -> None:
        """A waiting pod changed. ``worth_a_try``: in something that may make it schedulable."""
        with self._changed:
            if info.uid in self._in_flight:
                if worth_a_try:
                    self._in_flight[info.uid].append(framework.Event("Pod/Update", None, info.pod))
                return
            queued = self._infos.get(info.uid)
            if queued is not None:
                info.take_over(queued)
                self._infos[info.uid] = info
                if queued.priority != info.priority and self._place[info.uid][0] == "active":
                    self._to_active(info, _UPDATED)
                return
            waiting = self._unschedulable.get(info.uid)
            if waiting is None:
                self.add(info)
                return
            info.take_over(waiting.info)
            waiting.info = info
            if waiting.gated or worth_a_try:
                del self._unschedulable[info.uid]
                self._release(waiting, _UPDATED)

    def delete(self, uid: str) -> None:
        with self._changed:
            self._infos.pop(uid, None)
            self._place.pop(uid, None)
            self._unschedulable.pop(uid, None)
            self._failed.discard(uid)

    def pop(self, timeout: float | None = None) -> pod_info.PodInfo | None:
        """Waits for the next pod to try; call ``done`` afterwards. None when closed (or timed out)."""
        ends = None if timeout is None else self._monotonic() + timeout
        with self._changed:
            while not self._closed:
                self._flush()
                uid = self._next_active() or self._next_backoff(due_only=False)
                if uid is not None:
                    info = self._infos.pop(uid)
                    del self._place[uid]
                    info.attempts += 1
                    info.tried_since = info.tried_since or self._monotonic()
                    self._in_flight[uid] = []
                    return info
                if ends is not None and self._monotonic() >= ends:
                    return None
                self._changed.wait(self._patience(ends))
            return None

    def done(self, uid: str) -> None:
        """The pod was scheduled, or is not ours any more."""
        with self._changed:
            self._in_flight.pop(uid, None)

    def unschedulable(self, info: pod_info.PodInfo, rejected_by: frozenset[str]) -> None:
        """The pod could not be placed; ``rejected_by`` are the plugins that said no."""
        with self._changed:
            events = self._in_flight.pop(info.uid, [])
            waiting = _Waiting(info, rejected_by, self._monotonic())
            if any(event.kind == "Pod/Update" or self._helps(waiting, event) for event in events):
                self._to_backoff(info, _FAILED)
            else:
                self._metrics.incoming("unschedulable", _FAILED)
                self._unschedulable[info.uid] = waiting
                self._changed.notify()

    def failed(self, info: pod_info.PodInfo) -> None:
        """Something went wrong; the pod is tried again after its delay."""
        with self._changed:
            self._in_flight.pop(info.uid, None)
            self._failed.add(info.uid)
            self._to_backoff(info, _FAILED)

    def tell(self, event: framework.Event) -> None:
        """Moves the pods that ``event`` may help."""
        with self._changed:
            for events in self._in_flight.values():
                events.append(event)
            for uid, waiting in list(self._unschedulable.items()):
                if not waiting.gated and self._helps(waiting, event):
                    del self._unschedulable[uid]
                    self._release(waiting, metrics.label(event.kind))

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def counts(self) -> dict[str, int]:
        """Pods by place."""
        with self._changed:
            places = [place for place, _ in self._place.values()]
            gated = sum(waiting.gated for waiting in self._unschedulable.values())
            return {
                "active": places.count("active"),
                "backoff": places.count("backoff"),
                "unschedulable": len(self._unschedulable) - gated,
                "gated": gated,
            }

    def rejected(self) -> dict[str, int]:
        """Pods that wait because plugins said no, by plugin."""
        with self._changed:
            return collections.Counter(name for one in self._unschedulable.values() for name in one.rejected_by)

    def _helps(self, waiting: _Waiting, event: framework.Event) -> bool:
        if not waiting.rejected_by:
            return True
        for name in waiting.rejected_by:
            plugin = self._profile.by_name.get(name)
            if plugin is not None and event.kind in plugin.events and plugin.hint(waiting.info, event):
                return True
        return False

    def _release(self, waiting: _Waiting, event: str) -> None:
        if not waiting.gated and self._must_back_off(waiting):
            self._to_backoff(waiting.info, event)
        else:
            self._to_active(waiting.info, event)

    def _to_active(self, info: pod_info.PodInfo, event: str) -> None:
        status = self._profile.pre_enqueue(info)
        if status is not None:
            waiting = _Waiting(info, frozenset({status.plugin}), self._monotonic(), gated=True)
            self._unschedulable[info.uid] = waiting
            self._metrics.incoming("gated", event)
            self._infos.pop(info.uid, None)
            self._place.pop(info.uid, None)
            return
        number = next(self._order)
        self._infos[info.uid] = info
        self._place[info.uid] = "active", number
        self._metrics.incoming("active", event)
        self._failed.discard(info.uid)
        heapq.heappush(self._active, (self._profile.sort_key(info), number, info.uid))
        self._changed.notify()

    def _to_backoff(self, info: pod_info.PodInfo, event: str) -> None:
        number = next(self._order)
        self._infos[info.uid] = info
        self._place[info.uid] = "backoff", number
        self._metrics.incoming("backoff", event)
        heapq.heappush(self._backoff, (self._monotonic() + self._delay(info), number, info.uid))
        self._changed.notify()

    def _delay(self, info: pod_info.PodInfo) -> float:
        return min(INITIAL_BACKOFF * 2.0 ** min(max(0, info.attempts - 1), 10), MAX_BACKOFF)

    def _must_back_off(self, waiting: _Waiting) -> bool:
        return waiting.info.attempts > 0 and self._monotonic() - waiting.since < self._delay(waiting.info)

    def _flush(self) -> None:
        while (uid := self._next_backoff(due_only=True)) is not None:
            self._to_active(self._infos[uid], "BackoffComplete")
        now = self._monotonic()
        for uid, waiting in list(self._unschedulable.items()):
            if not waiting.gated and now - waiting.since >= LONGEST_STAY:
                del self._unschedulable[uid]
                self._to_active(waiting.info, "UnschedulableTimeout")

    def _next_active(self) -> str | None:
        while self._active:
            _, number, uid = heapq.heappop(self._active)
            if self._place.get(uid) == ("active", number):
                return uid
        return None

    def _next_backoff(self, *, due_only: bool) -> str | None:
        while self._backoff:
            due, number, uid = self._backoff[0]
            valid = self._place.get(uid) == ("backoff", number)
            if valid and due > self._monotonic() and (due_only or uid in self._failed):
                return None
            heapq.heappop(self._backoff)
            if valid:
                return uid
        return None

    def _patience(self, ends: float | None) -> float | None:
        times = [self._backoff[0][0]] if self._backoff else []
        times += [waiting.since + LONGEST_STAY for waiting in self._unschedulable.values() if not waiting.gated]
        if ends is not None:
            times.append(ends)
        return max(0.0, min(times) - self._monotonic()) if times else None
