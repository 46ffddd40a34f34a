"""What a deployment's status says: counts, ``Available``, ``Progressing``, ``ReplicaFailure``. Pure."""

import copy
import datetime
from collections.abc import Sequence

from kubeshim import clock
from kubeshim.control_plane.controller_manager import conditions, rollout
from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object

NO_DEADLINE = 2**31 - 1


def counts(deployment: Object, owned: Sequence[Object], new: Object | None, now: datetime.datetime) -> Object:
    """The status but for ``Progressing``."""
    old = deployment.get("status") or {}
    available = rollout.status_total(owned, "availableReplicas")
    numbers = {
        "replicas": rollout.status_total(owned, "replicas"),
        "updatedReplicas": rollout.status_total([new] if new else [], "replicas"),
        "readyReplicas": rollout.status_total(owned, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, rollout.total(owned) - available),
    }
    status: Object = {"observedGeneration": deployment["metadata"].get("generation", 0)}
    status |= {field: number for field, number in numbers.items() if number}
    status["terminatingReplicas"] = rollout.status_total(owned, "terminatingReplicas")
    if old.get("collisionCount") is not None:
        status["collisionCount"] = old["collisionCount"]
    status["conditions"] = copy.deepcopy(old.get("conditions") or [])
    enough = available >= rollout.replicas(deployment) - rollout.limits(deployment).unavailable
    put(
        status,
        "Available",
        "True" if enough else "False",
        "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable",
        "Deployment has minimum availability." if enough else "Deployment does not have minimum availability.",
        now,
    )
    return status


def put(status: Object, kind: str, value: str, reason: str, message: str, now: datetime.datetime) -> None:
    """Sets a condition in ``status``."""
    moment = clock.rfc3339(now)
    new = {
        "type": kind,
        "status": value,
        "lastUpdateTime": moment,
        "lastTransitionTime": moment,
        "reason": reason,
        "message": message,
    }
    status["conditions"] = conditions.put(status.get("conditions"), new)


def has_deadline(deployment: Object) -> bool:
    return deployment["spec"].get("progressDeadlineSeconds") not in (None, NO_DEADLINE)


def progress(
    deployment: Object, status: Object, owned: Sequence[Object], new: Object | None, now: datetime.datetime
) -> None:
    """Brings ``Progressing`` and ``ReplicaFailure`` of ``status`` up to date."""
    if not has_deadline(deployment):
        status["conditions"] = conditions.without(status["conditions"], "Progressing")
    else:
        current = conditions.find((deployment.get("status") or {}).get("conditions"), "Progressing")
        finished = (
            status.get("replicas", 0) == status.get("updatedReplicas", 0)
            and current is not None
            and current.get("reason") == "NewReplicaSetAvailable"
        )
        if not finished:
            _judge(deployment, status, new, current, now)
    failed = next((found for one in owned if (found := objects.condition(one, "ReplicaFailure"))), None)
    if failed is not None:
        put(status, "ReplicaFailure", failed["status"], failed.get("reason", ""), failed.get("message", ""), now)
    else:
        status["conditions"] = conditions.without(status["conditions"], "ReplicaFailure")


def _judge(
    deployment: Object, status: Object, new: Object | None, current: conditions.Condition | None, now: datetime.datetime
) -> None:
    subject = f'ReplicaSet "{objects.name(new)}"' if new else f'Deployment "{objects.name(deployment)}"'
    if rollout.is_complete(deployment, status):
        text = f"{subject} has successfully progressed."
        put(status, "Progressing", "True", "NewReplicaSetAvailable", text, now)
    elif rollout.is_progressing(deployment, status):
        moment = clock.rfc3339(now)
        fresh = {
            "type": "Progressing",
            "status": "True",
            "lastUpdateTime": moment,
            "lastTransitionTime": moment,
            "reason": "ReplicaSetUpdated",
            "message": f"{subject} is progressing.",
        }
        if current is not None and current["status"] == "True":
            fresh["lastTransitionTime"] = current.get("lastTransitionTime", moment)
        # Replaced even where only the time differs: the deadline counts from the last progress.
        status["conditions"] = [*conditions.without(status["conditions"], "Progressing"), fresh]
    elif timed_out(deployment, status, now):
        text = f"{subject} has timed out progressing."
        put(status, "Progressing", "False", "ProgressDeadlineExceeded", text, now)


def timed_out(deployment: Object, status: Object, now: datetime.datetime) -> bool:
    current = conditions.find(status.get("conditions"), "Progressing")
    if current is None or current.get("reason") == "NewReplicaSetAvailable":
        return False
    if current.get("reason") == "ProgressDeadlineExceeded":
        return True
    left = deadline_in(deployment, current, now)
    return left is not None and left < 0


def deadline_in(deployment: Object, current: conditions.Condition, now: datetime.datetime) -> float | None:
    """Seconds until the rollout counts as stuck."""
    text = current.get("lastUpdateTime")
    if not text:
        return None
    seconds = int(deployment["spec"].get("progressDeadlineSeconds") or 600)
    return seconds - (now - clock.parse_rfc3339(text)).total_seconds()


def look_again_in(deployment: Object, status: Object, now: datetime.datetime) -> float | None:
    """When a stuck rollout must be noticed though nothing happens; None if nothing is awaited."""
    if not has_deadline(deployment) or rollout.is_complete(deployment, status):
        return None
    current = conditions.find(status.get("conditions"), "Progressing")
    if current is None or current.get("reason") in ("NewReplicaSetAvailable", "ProgressDeadlineExceeded"):
        return None
    left = deadline_in(deployment, current, now)
    return max(0.0, left) + 1 if left is not None else None
