"""Events: what happened to an object, told to people. Best effort, never in the way.

``event`` only puts a record in a bounded queue; a thread of its own writes. So that a fault that repeats
does not fill the cluster, three rules hold, with client-go's numbers:

1. Spam: an object has a budget of 25 events a source, refilled with one every five minutes; beyond it
   events are dropped.
2. Aggregation: more than ten different messages of one reason on one object within ten minutes become one
   event, ``(combined from similar events): MESSAGE``.
3. Counting: an event that was written before, equal in all but time, is patched: ``count`` and
   ``lastTimestamp``.
"""

import collections
import dataclasses
import logging
import queue
import threading
import time
from typing import Any, Generic, Literal, TypeVar

from kubeshim import clock
from kubeshim.client import kinds, rest, workqueue
from kubeshim.machinery import errors, objects
from kubeshim.machinery.objects import Object

_log = logging.getLogger(__name__)

QUEUE_SIZE = 1000
CACHE_SIZE = 4096
SPAM_BURST, SPAM_RATE = 25, 1 / 300
SIMILAR_MAXIMUM, SIMILAR_SECONDS = 10, 600.0
ATTEMPTS, ATTEMPT_DELAY = 12, 10.0

EventType = Literal["Normal", "Warning"]
P = TypeVar("P")


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """What to write: nothing (``event`` is None), a new event, or a further count of one that is there."""

    event: Object | None
    patch: Object | None = None
    key: tuple[str, ...] = ()


@dataclasses.dataclass(slots=True)
class _Similar:
    messages: set[str]
    last: float


class Correlator:
    """The three rules, without I/O. Not thread-safe: one thread asks and then tells what came of it."""

    def __init__(self, time_source: clock.Clock = clock.SYSTEM) -> None:
        self._clock = time_source
        self._budgets: collections.OrderedDict[tuple[str, ...], workqueue.Bucket] = collections.OrderedDict()
        self._similar: collections.OrderedDict[tuple[str, ...], _Similar] = collections.OrderedDict()
        self._written: collections.OrderedDict[tuple[str, ...], Object] = collections.OrderedDict()

    def judge(self, event: Object) -> Verdict:
        involved, source = event["involvedObject"], event["source"]
        subject: tuple[str, ...] = (
            source.get("component", ""), source.get("host", ""), involved.get("kind", ""),
            involved.get("namespace", ""), involved.get("name", ""), involved.get("uid", ""),
            involved.get("apiVersion", ""),
        )  # fmt: skip
        if not self._within_budget(subject):
            return Verdict(None)
        group = (*subject, event["type"], event["reason"], event["reportingComponent"], event["reportingInstance"])
        fields = involved.get("fieldPath", "")
        if self._is_many(group, event["message"]):
            key = (*group, fields)
            event = {**event, "message": f"(combined from similar events): {event['message']}"}
        else:
            key = (*group, fields, event["message"])
        earlier = self._written.get(key)
        if earlier is None:
            return Verdict(event, None, key)
        count = earlier["count"] + 1
        event = {**event, "metadata": earlier["metadata"], "count": count, "firstTimestamp": earlier["firstTimestamp"]}
        patch = {"count": count, "lastTimestamp": event["lastTimestamp"], "message": event["message"]}
        return Verdict(event, patch, key)

    def wrote(self, key: tuple[str, ...], event: Object) -> None:
        """The event as it now is on the server."""
        _remember(self._written, key, event)

    def lost(self, key: tuple[str, ...]) -> None:
        """The event is not on the server any more."""
        self._written.pop(key, None)

    def _within_budget(self, subject: tuple[str, ...]) -> bool:
        bucket = self._budgets.get(subject) or workqueue.Bucket(SPAM_RATE, SPAM_BURST, self._clock.monotonic)
        _remember(self._budgets, subject, bucket)
        return bucket.try_take()

    def _is_many(self, group: tuple[str, ...], message: str) -> bool:
        now = self._clock.monotonic()
        entry = self._similar.get(group)
        if entry is None or now - entry.last > SIMILAR_SECONDS:
            entry = _Similar(set(), now)
        entry.last = now
        if message not in entry.messages and len(entry.messages) < SIMILAR_MAXIMUM:
            entry.messages.add(message)
            over = len(entry.messages) >= SIMILAR_MAXIMUM
        else:
            over = len(entry.messages) >= SIMILAR_MAXIMUM
        _remember(self._similar, group, entry)
        return over


def _remember(cache: collections.OrderedDict[Any, Any], key: Any, value: Any) -> None:
    cache[key] = value
    cache.move_to_end(key)
    if len(cache) > CACHE_SIZE:
        cache.popitem(last=False)


class Queue(Generic[P]):
    """What every recorder has: a bounded queue, and a thread of its own that writes."""

    def __init__(self, component: str) -> None:
        self._component = component
        self._queue: queue.Queue[Object | None] = queue.Queue(QUEUE_SIZE)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()

    def prepare(self, event: Object) -> P | None:
        """What to write for it; None for nothing."""
        raise NotImplementedError

    def send(self, prepared: P) -> None:
        """Writes. Raises what the server answered; if none did, it is called again later."""
        raise NotImplementedError

    def put(self, event: Object) -> None:
        """Never blocks; drops events when a thousand wait."""
        self._start()
        try:
            self._queue.put_nowait(event)
        except queue.Full:
            _log.warning("event dropped, too many wait: %s %s", objects.name(event), event["reason"])

    def stop(self, timeout: float = 1.0) -> None:
        """Writes what waits, for at most ``timeout`` seconds."""
        thread = self._thread
        if thread is not None:
            try:
                self._queue.put_nowait(None)
            except queue.Full:
                self._stopped.set()
            thread.join(timeout)
        self._stopped.set()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name=f"events-{self._component}", daemon=True)
                thread.start()
                self._thread = thread  # only now: who stops us joins what has begun

    def _run(self) -> None:
        while not self._stopped.is_set():
            event = self._queue.get()
            if event is None:
                return
            try:
                prepared = self.prepare(event)
                if prepared is not None:
                    self._write(prepared)
            except Exception:
                _log.exception("an event could not be written")

    def _write(self, prepared: P) -> None:
        for _ in range(ATTEMPTS):
            try:
                self.send(prepared)
            except errors.APIStatusError as error:  # a namespace that is going away, mostly
                _log.debug("the server refused an event: %s", error)
                return
            except rest.Unreachable as error:
                _log.info("cannot write an event, will try again: %s", error)
                if self._stopped.wait(ATTEMPT_DELAY):
                    return
                continue
            return


class Recorder(Queue[Verdict]):
    """Writes core/v1 Events as ``component`` on ``host``."""

    def __init__(
        self, client: rest.Client, component: str, host: str = "", *, time_source: clock.Clock = clock.SYSTEM
    ) -> None:
        super().__init__(component)
        self._client, self._host, self._clock = client, host, time_source
        self._correlator = Correlator(time_source)

    def event(self, obj: Object, type: EventType, reason: str, message: str, *, field_path: str = "") -> None:
        """Tells that ``reason`` happened to ``obj``. Never blocks; drops events when a thousand wait.

        ``field_path`` names a part (``spec.containers{web}``).
        """
        self.put(self._build(obj, type, reason, message, field_path))

    def _build(self, obj: Object, kind: str, reason: str, message: str, field_path: str) -> Object:
        moment = clock.rfc3339(self._clock.now())
        involved = reference(obj)
        if field_path:
            involved["fieldPath"] = field_path
        source = {"component": self._component}
        if self._host:
            source["host"] = self._host
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": f"{objects.name(obj)}.{time.time_ns():x}",
                "namespace": objects.namespace(obj) or "default",
            },
            "involvedObject": involved,
            "reason": reason,
            "message": message,
            "source": source,
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "count": 1,
            "type": kind,
            "eventTime": None,
            "reportingComponent": self._component,
            "reportingInstance": self._host,
        }

    def prepare(self, event: Object) -> Verdict | None:
        verdict = self._correlator.judge(event)
        return verdict if verdict.event is not None else None

    def send(self, prepared: Verdict) -> None:
        written = self._send(prepared)
        kept = {field: written[field] for field in ("metadata", "count", "firstTimestamp")}
        kept["metadata"] = {field: written["metadata"][field] for field in ("name", "namespace")}
        self._correlator.wrote(prepared.key, kept)

    def _send(self, verdict: Verdict) -> Object:
        event = verdict.event
        assert event is not None
        namespace = objects.namespace(event)
        if verdict.patch is not None:
            try:
                return self._client.patch(kinds.EVENTS, objects.name(event), verdict.patch, namespace, kind="strategic")
            except errors.NotFound:  # expired meanwhile: it starts a new life
                self._correlator.lost(verdict.key)
                event = {**event, "metadata": {**event["metadata"], "name": _fresh_name(event)}}
        return self._client.create(kinds.EVENTS, event, namespace)


def _fresh_name(event: Object) -> str:
    return f"{event['involvedObject'].get('name', '')}.{time.time_ns():x}"


def reference(obj: Object) -> dict[str, Any]:
    """What an event says which object it is about."""
    found = {
        "kind": obj.get("kind", ""),
        "namespace": objects.namespace(obj),
        "name": objects.name(obj),
        "uid": objects.uid(obj),
        "apiVersion": obj.get("apiVersion", ""),
        "resourceVersion": objects.resource_version(obj),
    }
    return {field: value for field, value in found.items() if value}
