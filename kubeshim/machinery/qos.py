"""A pod's quality-of-service class, from what its containers request and are limited to."""

from collections.abc import Mapping
from typing import Any

from kubeshim.machinery import quantity

_COUNTED = ("cpu", "memory")


def of(spec: Mapping[str, Any]) -> str:
    """``Guaranteed``, ``Burstable`` or ``BestEffort``.

    Guaranteed: every container limits cpu and memory, and all together request just that. BestEffort: nobody asks for
    anything. Resources of the pod as a whole, where given, decide alone.
    """
    if (whole := spec.get("resources")) is not None:
        groups = [whole]
    else:
        lists = (spec.get("containers") or (), spec.get("initContainers") or ())
        groups = [container.get("resources") or {} for found in lists for container in found]
    requests: dict[str, quantity.Quantity] = {}
    limits: dict[str, quantity.Quantity] = {}
    guaranteed = True
    for resources in groups:
        limited = _amounts(resources.get("limits"))
        guaranteed = guaranteed and len(limited) == len(_COUNTED)
        for total, amounts in ((requests, _amounts(resources.get("requests"))), (limits, limited)):
            for name, amount in amounts.items():
                total[name] = total.get(name, quantity.ZERO) + amount
    if not requests and not limits:
        return "BestEffort"
    return "Guaranteed" if guaranteed and requests == limits else "Burstable"


def _amounts(found: Mapping[str, str] | None) -> dict[str, quantity.Quantity]:
    """What is asked for of cpu and memory, zeros left out."""
    if not found:
        return {}
    parsed = {name: quantity.parse(found[name]) for name in _COUNTED if name in found}
    return {name: amount for name, amount in parsed.items() if amount.nano > 0}
