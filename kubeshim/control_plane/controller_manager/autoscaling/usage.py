"""Which pods' measurements count, and what they come to. Pure.

A pod that is gone or failed counts for nothing. One that is pending, or whose CPU was measured while it was still
getting ready, is *unready*; one without a measurement is *missing*. ``replicas`` says what is assumed of these.
"""

import dataclasses
import datetime
from collections.abc import Iterable, Mapping

from kubeshim import clock
from kubeshim.control_plane.controller_manager import pods
from kubeshim.machinery import objects, quantity
from kubeshim.machinery.objects import Object


class Unknown(Exception):
    """A number of replicas cannot be told; the message says why."""


@dataclasses.dataclass(frozen=True, slots=True)
class Measurement:
    value: int
    """In thousandths."""
    taken: datetime.datetime
    window: float
    """Seconds over which it was taken."""


Measurements = Mapping[str, Measurement]
"""By name of pod."""


@dataclasses.dataclass(frozen=True, slots=True)
class Patience:
    """How long a pod may take to get going; seconds."""

    cpu_initialization: float
    initial_readiness: float


@dataclasses.dataclass(frozen=True, slots=True)
class Groups:
    ready: int
    unready: frozenset[str]
    missing: frozenset[str]
    ignored: frozenset[str]


def group(
    chosen: Iterable[Object], measured: Measurements, resource: str, patience: Patience, now: datetime.datetime
) -> Groups:
    ready = 0
    unready, missing, ignored = set(), set(), set()
    for pod in chosen:
        name = objects.name(pod)
        if objects.is_deleting(pod) or pods.phase(pod) == "Failed":
            ignored.add(name)
        elif pods.phase(pod) == "Pending":
            unready.add(name)
        elif name not in measured:
            missing.add(name)
        elif resource == "cpu" and _too_early(pod, measured[name], patience, now):
            unready.add(name)
        else:
            ready += 1
    return Groups(ready, frozenset(unready), frozenset(missing), frozenset(ignored))


def _too_early(pod: Object, measured: Measurement, patience: Patience, now: datetime.datetime) -> bool:
    """Whether the pod's CPU was that of starting up."""
    condition, started = objects.condition(pod, "Ready"), objects.dig(pod, "status", "startTime")
    if condition is None or started is None:
        return True
    start, is_false = clock.parse_rfc3339(started), condition.get("status") == "False"
    text = condition.get("lastTransitionTime")
    changed = clock.parse_rfc3339(text) if text else datetime.datetime.min.replace(tzinfo=datetime.UTC)
    if start + datetime.timedelta(seconds=patience.cpu_initialization) > now:
        # not one whole window since it last became ready
        return is_false or measured.taken < changed + datetime.timedelta(seconds=measured.window)
    # it has never been ready
    return is_false and start + datetime.timedelta(seconds=patience.initial_readiness) > changed


def ready_pods(chosen: Iterable[Object]) -> int:
    return sum(pods.phase(pod) == "Running" and pods.is_ready(pod) for pod in chosen)


def requests(chosen: Iterable[Object], resource: str, container: str = "") -> dict[str, int]:
    """What each pod, or its ``container``, asks for, in thousandths. Raises ``Unknown`` where one says nothing."""
    return {objects.name(pod): _request(pod, resource, container) for pod in chosen}


def _request(pod: Object, resource: str, container: str) -> int:
    whole = objects.dig(pod, "spec", "resources", "requests", resource)
    if whole is not None and not container:
        return quantity.parse(whole).milli()
    total = 0
    sidecars = [one for one in pod["spec"].get("initContainers") or () if one.get("restartPolicy") == "Always"]
    for one in [*pod["spec"].get("containers", ()), *sidecars]:
        if container in ("", one["name"]):
            amount = objects.dig(one, "resources", "requests", resource)
            if amount is None:
                text = f"missing request for {resource} in container {one['name']} of Pod {objects.name(pod)}"
                raise Unknown(text)
            total += quantity.parse(amount).milli()
    return total
