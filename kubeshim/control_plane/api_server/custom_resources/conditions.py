"""Conditions of a CustomResourceDefinition."""

from collections.abc import Mapping
from typing import Any

from kubeshim.machinery import objects


def is_true(crd: objects.Object, kind: str) -> bool:
    found = objects.condition(crd, kind)
    return found is not None and found.get("status") == "True"


def put(crd: objects.Object, wanted: Mapping[str, Any], now: str) -> bool:
    """Writes a condition (type, status, reason, message) into ``crd``; says whether that changed anything.

    The time is that of the last change of ``status``.
    """
    conditions = crd.setdefault("status", {}).get("conditions") or []
    present = next((entry for entry in conditions if entry.get("type") == wanted["type"]), None)
    if present is None:
        crd["status"]["conditions"] = [*conditions, {"lastTransitionTime": now, **wanted}]
        return True
    if all(present.get(key) == value for key, value in wanted.items()):
        return False
    if present.get("status") != wanted["status"]:
        present["lastTransitionTime"] = now
    present.update(wanted)
    return True


def condition(kind: str, status: bool, reason: str, message: str) -> dict[str, str]:
    return {"type": kind, "status": "True" if status else "False", "reason": reason, "message": message}
