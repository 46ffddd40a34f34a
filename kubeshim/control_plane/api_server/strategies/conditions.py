"""Conditions of a status as a client sends them: what it may not change stays, what it leaves out is filled in."""

from collections.abc import Iterable, Sequence
from typing import Any


def keep(found: list[Any], held: Sequence[Any], kinds: Iterable[str]) -> None:
    """Puts back what the old conditions of these types said; one more or less is for validation to refuse."""
    for kind in kinds:
        places = [index for index, one in enumerate(found) if one.get("type") == kind]
        before = [one for one in held if one.get("type") == kind]
        if len(places) == len(before):
            for index, one in zip(places, before, strict=True):
                found[index] = one


def date(found: Iterable[dict[str, Any]], held: Sequence[Any], now: str) -> None:
    """Says since when conditions are as they are, where the client does not."""
    known: dict[tuple[Any, Any], Any] = {}
    for one in held:
        if one.get("lastTransitionTime"):
            known.setdefault((one.get("type"), one.get("status")), one["lastTransitionTime"])
    for one in found:
        if not one.get("lastTransitionTime"):
            one["lastTransitionTime"] = known.get((one.get("type"), one.get("status"))) or now
