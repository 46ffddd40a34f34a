"""What controllers need to know of pods: their state, their order of deletion, and making one from a template."""

import copy
import datetime
import functools
from collections.abc import Sequence
from typing import Any

from kubeshim import clock
from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"


def phase(pod: Object) -> str:
    return str(objects.dig(pod, "status", "phase", default=""))


def is_finished(pod: Object) -> bool:
    return phase(pod) in ("Succeeded", "Failed")


def is_terminated(pod: Object) -> bool:
    """Ended, or on its way out with none of its containers running."""
    return is_finished(pod) or (objects.is_deleting(pod) and not any(map(_runs, _container_statuses(pod))))


def _container_statuses(pod: Object) -> list[Object]:
    kinds = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
    return [one for kind in kinds for one in objects.dig(pod, "status", kind, default=()) or ()]


def _runs(status: Object) -> bool:
    state = status.get("state") or {}
    return state.get("terminated") is None and state.get("waiting") is None


def is_active(pod: Object) -> bool:
    """Neither ended nor on its way out."""
    return not is_finished(pod) and not objects.is_deleting(pod)


def is_terminating(pod: Object) -> bool:
    return not is_finished(pod) and objects.is_deleting(pod)


def is_ready(pod: Object) -> bool:
    found = objects.condition(pod, "Ready")
    return found is not None and found.get("status") == "True"


def ready_since(pod: Object) -> datetime.datetime | None:
    found = objects.condition(pod, "Ready")
    text = (found or {}).get("lastTransitionTime")
    return clock.parse_rfc3339(text) if text else None


def available_in(pod: Object, min_ready_seconds: int, now: datetime.datetime) -> float | None:
    """Seconds until the pod counts as available (0: it is); None while it is not ready."""
    if not is_ready(pod):
        return None
    if not min_ready_seconds:
        return 0.0
    since = ready_since(pod)
    if since is None:
        return None
    return max(0.0, min_ready_seconds - (now - since).total_seconds())


def is_available(pod: Object, min_ready_seconds: int, now: datetime.datetime) -> bool:
    return available_in(pod, min_ready_seconds, now) == 0.0


def restarts(pod: Object) -> int:
    statuses = objects.dig(pod, "status", "containerStatuses", default=())
    return max((int(status.get("restartCount") or 0) for status in statuses), default=0)


def deletion_cost(pod: Object) -> int:
    text = objects.annotations(pod).get(DELETION_COST, "0")
    try:
        return int(text)
    except ValueError:
        return 0


_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}


def deletion_order(pods: Sequence[Object], related: Sequence[Object], now: datetime.datetime) -> list[Object]:
    """``pods``, the first to be deleted first.

    Unassigned before assigned; pending, unknown, running; not ready before ready; lower deletion cost; more
    ``related`` pods on the same node; ready for a shorter time; more restarts; younger. Times are compared by
    the order of magnitude of the age, so that among long-lived pods chance decides.
    """
    crowd: dict[str, int] = {}
    for pod in related:
        if is_active(pod):
            node = objects.dig(pod, "spec", "nodeName", default="")
            crowd[node] = crowd.get(node, 0) + 1

    def rank(pod: Object) -> tuple[Any, ...]:
        node = objects.dig(pod, "spec", "nodeName", default="")
        ready = is_ready(pod)
        since = ready_since(pod) if ready else None
        created = objects.dig(pod, "metadata", "creationTimestamp")
        return (
            bool(node),
            _PHASES.get(phase(pod), 0),
            ready,
            deletion_cost(pod),
            -crowd.get(node, 0),
            _age_rank(since, now) if ready else 0,
            -restarts(pod),
            _age_rank(clock.parse_rfc3339(created) if created else None, now),
            objects.uid(pod),
        )

    return sorted(pods, key=rank)


def _age_rank(moment: datetime.datetime | None, now: datetime.datetime) -> int:
    """Bit length of the age in seconds; what has no time is the youngest."""
    if moment is None:
        return -1
    return max(0, int((now - moment).total_seconds())).bit_length()


def from_template(template: Object, owner: Object, *, name: str = "") -> Object:
    """A pod of ``template`` controlled by ``owner``; its name is generated unless given."""
    metadata = template.get("metadata") or {}
    made: dict[str, Any] = {
        "labels": dict(metadata.get("labels") or {}),
        "annotations": dict(metadata.get("annotations") or {}),
        "ownerReferences": [objects.owner_reference(owner)],
        "namespace": objects.namespace(owner),
    }
    if metadata.get("finalizers"):
        made["finalizers"] = list(metadata["finalizers"])
    if name:
        made["name"] = name
    else:
        made["generateName"] = f"{objects.name(owner)}-"
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": made,
        "spec": copy.deepcopy(template.get("spec") or {}),
    }


@functools.lru_cache(maxsize=1024)
def encode_hash(number: int) -> str:
    """A decimal number written in letters that form no words."""
    alphabet = "bcdfghjklmnpqrstvwxz2456789"
    return "".join(alphabet[ord(digit) % len(alphabet)] for digit in str(number))


def ended(pod: Object) -> datetime.datetime:
    """When its last container ended; else when it became unready, was told to go, or was made."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    sidecars = {one["name"] for one in spec.get("initContainers") or () if one.get("restartPolicy") == "Always"}
    counted = [*(status.get("containerStatuses") or ())]
    counted += [one for one in status.get("initContainerStatuses") or () if one["name"] in sidecars]
    texts = [objects.dig(one, "state", "terminated", "finishedAt") for one in counted]
    if texts and all(texts):
        return max(clock.parse_rfc3339(text) for text in texts)
    ready = objects.condition(pod, "Ready") or {}
    if ready.get("status") == "False" and ready.get("lastTransitionTime"):
        return clock.parse_rfc3339(ready["lastTransitionTime"])
    if objects.is_deleting(pod):
        grace = float(pod["metadata"].get("deletionGracePeriodSeconds") or 0)
        return clock.parse_rfc3339(pod["metadata"]["deletionTimestamp"]) - datetime.timedelta(seconds=grace)
    return clock.parse_rfc3339(pod["metadata"]["creationTimestamp"])
