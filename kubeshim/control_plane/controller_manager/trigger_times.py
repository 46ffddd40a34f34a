"""Since when a Service's endpoints are what they are: the annotation by which the delay of its proxies is measured.

A pod's moment is when it became ready or ceased to be; a Service's, when it was made. Of those that are new since the
last look the earliest counts; where none is, the annotation is taken off.
"""

import dataclasses
import threading
from collections.abc import Mapping, Sequence

from kubeshim.control_plane.controller_manager import endpoints
from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object


@dataclasses.dataclass(frozen=True, slots=True)
class Seen:
    """Moments as the API writes them, which sort as texts do."""

    service: str = ""
    pods: Mapping[str, str] = dataclasses.field(default_factory=dict)


def look(before: Seen, service: Object, there: Sequence[Object]) -> tuple[Seen, str]:
    """What is seen now, and the earliest moment that is new ("" where none is). Pure."""
    found = {objects.name(pod): moment for pod in there if (moment := _of(pod))}
    made = str(objects.dig(service, "metadata", "creationTimestamp", default=""))
    new = [moment for name, moment in found.items() if moment > before.pods.get(name, "")]
    if made > before.service:
        new.append(made)
    return Seen(made, found), min(new, default="")


def _of(pod: Object) -> str:
    return str((objects.condition(pod, "Ready") or {}).get("lastTransitionTime") or "")


def annotated(metadata: Mapping[str, object], moment: str) -> Object:
    """``metadata`` with the annotation, or without it. Pure."""
    annotations = {
        key: value
        for key, value in objects.annotations({"metadata": metadata}).items()
        if key != endpoints.TRIGGER_TIME
    }
    if moment:
        annotations[endpoints.TRIGGER_TIME] = moment
    made = {key: value for key, value in metadata.items() if key != "annotations"}
    return {**made, "annotations": annotations} if annotations else made


class Tracker:
    """What was seen last, by Service. Safe for any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[str, Seen] = {}

    def look(self, key: str, service: Object, there: Sequence[Object]) -> str:
        with self._lock:
            self._seen[key], moment = look(self._seen.get(key, Seen()), service, there)
        return moment

    def forget(self, key: str) -> None:
        with self._lock:
            self._seen.pop(key, None)
