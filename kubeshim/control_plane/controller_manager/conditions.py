"""``status.conditions``: reading, and setting one as upstream's helpers do."""

from collections.abc import Iterable, Mapping
from typing import Any

Condition = dict[str, Any]


def find(conditions: Iterable[Condition] | None, kind: str) -> Condition | None:
    return next((condition for condition in conditions or () if condition.get("type") == kind), None)


def is_true(status: Mapping[str, Any], kind: str) -> bool:
    found = find(status.get("conditions"), kind)
    return found is not None and found.get("status") == "True"


def put(conditions: Iterable[Condition] | None, new: Condition) -> list[Condition]:
    """The list with ``new`` in it, at the end.

    Where status and reason are as before, nothing changes at all; where the status is, its transition time stays.
    """
    present = list(conditions or ())
    old = find(present, new["type"])
    if old is not None and old.get("status") == new["status"] and old.get("reason") == new.get("reason"):
        return present
    if old is not None and old.get("status") == new["status"] and "lastTransitionTime" in old:
        new = {**new, "lastTransitionTime": old["lastTransitionTime"]}
    return [*without(present, new["type"]), new]


def following(old: Condition | None, new: Condition) -> Condition:
    """``new`` as it is written after ``old``: that one where both say the same, with its time where the status is."""
    return new if old is None else put([old], new)[0]


def without(conditions: Iterable[Condition] | None, kind: str) -> list[Condition]:
    return [condition for condition in conditions or () if condition.get("type") != kind]
