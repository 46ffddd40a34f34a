"""What controllers may say of their workloads: counts that fit each other."""

from collections.abc import Mapping
from typing import Any

from kubeshim.machinery import objects
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import fields

_MORE = "cannot be greater than status.replicas"


def _counts(found: Mapping[str, Any], *names: str) -> list[FieldError]:
    return [problem for name in names for problem in fields.non_negative(f"status.{name}", found.get(name))]


def _within(found: Mapping[str, Any], *names: str) -> list[FieldError]:
    most = found.get("replicas") or 0
    given = {name: found.get(name) or 0 for name in names}
    return [fields.invalid(f"status.{name}", count, _MORE) for name, count in given.items() if count > most]


def _available(found: Mapping[str, Any], other: str) -> list[FieldError]:
    available = found.get("availableReplicas") or 0
    if available <= (found.get("readyReplicas") or 0):
        return []
    return [fields.invalid("status.availableReplicas", available, f"cannot be greater than {other}")]


def _collisions(found: Mapping[str, Any], old: objects.Object) -> list[FieldError]:
    new, before = found.get("collisionCount"), objects.dig(old, "status", "collisionCount")
    if before is None or (new is not None and new >= before):
        return []
    return [fields.invalid("status.collisionCount", new or 0, "cannot be decremented")]


def deployment(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    found = obj.get("status") or {}
    wrong = _counts(
        found, "observedGeneration", "replicas", "updatedReplicas", "readyReplicas", "availableReplicas",
        "unavailableReplicas", "collisionCount",
    )  # fmt: skip
    wrong += _within(found, "updatedReplicas", "readyReplicas", "availableReplicas")
    return wrong + _available(found, "readyReplicas") + _collisions(found, old)


def replica_set(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    """ReplicationControllers' as well."""
    found = obj.get("status") or {}
    wrong = _counts(
        found, "replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration"
    )
    wrong += _within(found, "fullyLabeledReplicas", "readyReplicas", "availableReplicas")
    return wrong + _available(found, "readyReplicas")


def stateful_set(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    found = obj.get("status") or {}
    wrong = _counts(
        found, "replicas", "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas",
        "observedGeneration", "collisionCount",
    )  # fmt: skip
    wrong += _within(found, "readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas")
    return wrong + _available(found, "status.readyReplicas") + _collisions(found, old)


def daemon_set(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    found = obj.get("status") or {}
    wrong = _counts(
        found, "currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady",
        "observedGeneration", "updatedNumberScheduled", "numberAvailable", "numberUnavailable", "collisionCount",
    )  # fmt: skip
    return wrong + _collisions(found, old)
