"""Which of its names a definition gets: no two definitions of a group may share one.

Names that are accepted stay; a wish that collides is refused and the definition keeps what it had. Pure: everything
is decided from the definitions as they are.
"""

import dataclasses
from collections.abc import Iterable
from typing import Any

from kubeshim.control_plane.api_server.custom_resources import conditions
from kubeshim.machinery import objects
from kubeshim.machinery.validation import ca_bundles

Names = dict[str, Any]
_REASONS = {"plural": "PluralConflict", "singular": "SingularConflict", "kind": "KindConflict",
            "listKind": "ListKindConflict"}  # fmt: skip


@dataclasses.dataclass(slots=True)
class Taken:
    """Names that others of the group have: those of resources, and those of kinds."""

    resources: set[str] = dataclasses.field(default_factory=set)
    kinds: set[str] = dataclasses.field(default_factory=set)


def taken(crds: Iterable[objects.Object], group: str, but: str) -> Taken:
    """What the definitions of ``group`` other than ``but`` have been granted."""
    found = Taken()
    for crd in crds:
        if objects.dig(crd, "spec", "group") != group or objects.name(crd) == but:
            continue
        names = objects.dig(crd, "status", "acceptedNames", default={}) or {}
        found.resources |= {names.get("plural") or "", names.get("singular") or "", *(names.get("shortNames") or ())}
        found.kinds |= {names.get("kind") or "", names.get("listKind") or ""}
    found.resources.discard("")
    found.kinds.discard("")
    return found


def decide(crd: objects.Object, others: Taken) -> tuple[Names, dict[str, str]]:
    """``(accepted names, the NamesAccepted condition)``."""
    wanted: Names = objects.dig(crd, "spec", "names", default={}) or {}
    held: Names = objects.dig(crd, "status", "acceptedNames", default={}) or {}
    accepted = dict(held)
    reason = message = ""
    for field, used in (
        ("plural", others.resources), ("singular", others.resources), ("shortNames", others.resources),
        ("kind", others.kinds), ("listKind", others.kinds),
    ):  # fmt: skip
        problems = _collisions(wanted.get(field), held.get(field), used)
        if problems:
            reason = _REASONS.get(field, "ShortNamesConflict")
            message = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
        else:
            _take(accepted, field, wanted.get(field))
    _take(accepted, "categories", wanted.get("categories"))
    if reason:
        return accepted, conditions.condition("NamesAccepted", False, reason, message)
    return accepted, conditions.condition("NamesAccepted", True, "NoConflicts", "no conflicts found")


def _take(names: Names, field: str, value: Any) -> None:
    if value:
        names[field] = value
    else:
        names.pop(field, None)


def _collisions(wanted: Any, held: Any, used: set[str]) -> list[str]:
    asked = wanted if isinstance(wanted, list) else [wanted or ""]
    kept = held if isinstance(held, list) else [held or ""]
    return [f'"{name}" is already in use' for name in asked if name not in kept and name in used]


def established(crd: objects.Object, names_accepted: bool) -> dict[str, str]:
    """The Established condition that follows. Once established, always established."""
    if conditions.is_true(crd, "Established"):
        present = objects.condition(crd, "Established") or {}
        return {key: present.get(key) or "" for key in ("type", "status", "reason", "message")}
    if names_accepted:
        bundle = objects.dig(crd, "spec", "conversion", "webhook", "clientConfig", "caBundle")
        if bundle and ca_bundles.problem(bundle):
            text = "The conversion webhook CABundle is invalid"
            return conditions.condition("Established", False, "InvalidCABundle", text)
        text = "the initial names have been accepted"
        return conditions.condition("Established", True, "InitialNamesAccepted", text)
    return conditions.condition("Established", False, "NotAccepted", "not all names are accepted")
