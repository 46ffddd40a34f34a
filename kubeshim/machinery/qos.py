"""A pod's quality-of-service class, from what its containers request and are limited to."""

from collections.abc import Mapping
from typing import Any

from kubeshim.machinery import quantity

_COUNTED = ("cpu", "memory")


def of(spec: Mapping[str, Any]) -> str:
    """``Guaranteed``, ``Burstable`` or ``BestEffort``.

    Guaranteed: every container limits cpu and memory and requests just that. BestEffort: nobody asks for anything.
    Resources of the pod as a whole, where given, decide alone.
    """
    whole = spec.get("resources") or {}
    if whole.get("requests") or whole.get("limits"):
        groups = [whole]
    else:
        lists = (spec.get("containers") or (), spec.get("initContainers") or ())
        groups = [container.get("resources") or {} for found in lists for container in found]
    asked = False
    guaranteed = True
    for resources in groups:
        requests, limits = _amounts(resources.get("requests")), _amounts(resources.get("limits"))
        asked = asked or bool(requests) or bool(limits)
        guaranteed = (
            guaranteed and len(limits) == 2 and all(requests.get(name, limits[name]) == limits[name] for name in limits)
        )
    if not asked:
        return "BestEffort"
    return "Guaranteed" if guaranteed else "Burstable"


def _amounts(found: Mapping[str, str] | None) -> dict[str, quantity.Quantity]:
    """What is asked for of cpu and memory, zeros left out."""
    if not found:
        return {}
    parsed = {name: quantity.parse(found[name]) for name in _COUNTED if name in found}
    return {name: amount for name, amount in parsed.items() if amount.nano > 0}
