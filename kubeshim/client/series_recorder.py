"""Events in the newer form, ``events.k8s.io``: an action on an object, and the same once more as a series.

An event that is equal in all but its note and time to one of the last six minutes is no new one: its series is counted
up. As the object's resourceVersion is part of what must be equal, a change of the object begins anew.
"""

import collections
import datetime
import logging
import time

from kubeshim import clock
from kubeshim.client import kinds, recorder, rest
from kubeshim.machinery import errors, objects
from kubeshim.machinery.objects import Object

_log = logging.getLogger(__name__)

LAST = datetime.timedelta(minutes=6)
"""A series to which nothing was added for so long has ended."""


class Series:
    """Which events are one. Not thread-safe: the recorder's thread asks."""

    def __init__(self) -> None:
        self._events: collections.OrderedDict[str, Object] = collections.OrderedDict()

    def next(self, event: Object, now: datetime.datetime) -> Object:
        """``event`` itself, or the earlier one that it repeats, with a series."""
        key = repr([event.get(field) for field in _KEY])
        known = self._events.pop(key, None)
        if known is not None and now - clock.parse_rfc3339(_last(known)) <= LAST:
            count = (known.get("series") or {}).get("count", 1) + 1
            event = {**known, "series": {"count": count, "lastObservedTime": event["eventTime"]}}
        self._events[key] = event
        if len(self._events) > recorder.CACHE_SIZE:
            self._events.popitem(last=False)
        return event


_KEY = ("type", "action", "reason", "reportingController", "reportingInstance", "regarding", "related")


def _last(event: Object) -> str:
    return str((event.get("series") or {}).get("lastObservedTime") or event["eventTime"])


class SeriesRecorder(recorder.Queue[Object]):
    """Writes as ``controller``, of which this is ``instance``."""

    def __init__(
        self, client: rest.Client, controller: str, instance: str, *, time_source: clock.Clock = clock.SYSTEM
    ) -> None:
        super().__init__(controller)
        self._client, self._controller, self._instance, self._clock = client, controller, instance, time_source
        self._series = Series()

    def event(
        self,
        obj: Object,
        type: recorder.EventType,
        reason: str,
        action: str,
        note: str,
        *,
        related: Object | None = None,
    ) -> None:
        """Tells that ``action`` on ``obj`` (with ``related``) went as ``reason`` says. Never blocks."""
        made: Object = {
            "apiVersion": kinds.SERIES_EVENTS.group_version,
            "kind": "Event",
            "metadata": {
                "name": f"{objects.name(obj)}.{time.time_ns():x}",
                "namespace": objects.namespace(obj) or "default",
            },
            "eventTime": clock.rfc3339_micro(self._clock.now()),
            "type": type,
            "reason": reason,
            "action": action,
            "note": note,
            "regarding": recorder.reference(obj),
            "reportingController": self._controller,
            "reportingInstance": self._instance,
        }
        if related is not None:
            made["related"] = recorder.reference(related)
        self.put(made)

    def prepare(self, event: Object) -> Object:
        return self._series.next(event, self._clock.now())

    def send(self, prepared: Object) -> None:
        event = prepared
        name, namespace = objects.name(event), objects.namespace(event)
        if "series" in event:
            try:
                patch = {"series": event["series"]}
                self._client.patch(kinds.SERIES_EVENTS, name, patch, namespace, kind="strategic")
                return
            except errors.NotFound:
                _log.debug("event %s has expired meanwhile: written again, as it now is", name)
        self._client.create(kinds.SERIES_EVENTS, event, namespace)
