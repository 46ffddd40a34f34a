"""Which zone each endpoint serves, for Services that ask for traffic spread by zones (``topology-mode: Auto``). Pure.

A zone is due as many endpoints as its share of the nodes' processors. Endpoints serve their own zone, as long as that
overloads none: where a zone has more than it may keep, the surplus serves those that lack some. Where no such split is
to be had nobody gets a hint, and traffic goes everywhere.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence

from kubeshim.machinery import objects, quantity
from kubeshim.machinery.objects import Object

MODE = "service.kubernetes.io/topology-mode"
OLDER_MODE = "service.kubernetes.io/topology-aware-hints"
ZONE = "topology.kubernetes.io/zone"
OVERLOAD = 0.2
"""How much more than its share an endpoint of a zone may come to bear."""
_EXCLUDED = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")

NO_NODE_INFORMATION = "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes"
ONE_ZONE = "Nodes only ready in one zone"
TOO_FEW = "Insufficient number of endpoints"
NO_ZONE = "One or more endpoints do not have a zone specified"
OVERLOADED = "Minimum allocation of required endpoints exceeds number of endpoints"


class Impossible(Exception):
    """Why there are no hints."""


@dataclasses.dataclass(slots=True)
class _Due:
    least: int
    most: int
    have: int = 0


def wanted(service: Object) -> bool:
    """Whether the Service asks for it."""
    annotations = objects.annotations(service)
    return annotations.get(OLDER_MODE, annotations.get(MODE)) in ("Auto", "auto")


def shares(nodes: Iterable[Object]) -> dict[str, float]:
    """Each zone's part of the processors of ready nodes; empty where that is not known of one of them."""
    found: dict[str, float] = {}
    for node in nodes:
        labels = objects.labels(node)
        if (
            any(label in labels for label in _EXCLUDED)
            or (objects.condition(node, "Ready") or {}).get("status") != "True"
        ):
            continue
        cpu = objects.dig(node, "status", "allocatable", "cpu", default="")
        amount = float(quantity.parse(str(cpu)).milli()) if cpu else 0.0
        if not labels.get(ZONE) or not amount:
            return {}
        found[labels[ZONE]] = found.get(labels[ZONE], 0.0) + amount
    total = sum(found.values())
    return {zone: amount / total for zone, amount in found.items()}


def assign(zones: Sequence[str], parts: Mapping[str, float]) -> list[str]:
    """The zone that each endpoint serves, of the zones they are in. Raises ``Impossible``."""
    due = _due(len(zones), parts)
    if not all(zones):
        raise Impossible(NO_ZONE)
    serving: list[str] = []
    surplus: list[int] = []
    for index, zone in enumerate(zones):
        serving.append(zone)
        mine = due.get(zone)
        if mine is None or mine.have >= mine.most:
            surplus.append(index)
        else:
            mine.have += 1
    for zone in sorted(due, key=lambda name: due[name].have - due[name].least):
        while due[zone].have < due[zone].least:
            index = surplus.pop() if surplus else _spare(serving, due)
            serving[index] = zone
            due[zone].have += 1
    for index in surplus:
        zone = min(sorted(due), key=lambda name: due[name].have / due[name].most)
        serving[index] = zone
        due[zone].have += 1
    return serving


def _due(count: int, parts: Mapping[str, float]) -> dict[str, _Due]:
    """How many endpoints each zone must and may have."""
    if not parts:
        raise Impossible(NO_NODE_INFORMATION)
    if len(parts) < 2:
        raise Impossible(ONE_ZONE)
    if len(parts) > count:
        raise Impossible(f"{TOO_FEW} ({count} endpoints, {len(parts)} zones)")
    least = {zone: math.ceil(part * count / (1 + OVERLOAD)) for zone, part in parts.items()}
    spare = count - sum(least.values())
    if spare < 0:
        raise Impossible(OVERLOADED)
    return {zone: _Due(number, number + spare) for zone, number in least.items()}


def _spare(serving: Sequence[str], due: Mapping[str, _Due]) -> int:
    """Takes the last endpoint of the zone that has most beyond what it must have."""
    zone = max(sorted(due), key=lambda name: due[name].have - due[name].least)
    due[zone].have -= 1
    return max(index for index, mine in enumerate(serving) if mine == zone)
