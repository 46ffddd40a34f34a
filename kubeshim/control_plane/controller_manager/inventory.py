"""How many there are of what, under upstream's names: counted in the caches whenever somebody asks. Pure."""

import collections
from collections.abc import Iterable, Iterator, Mapping, Sequence

from kubeshim.control_plane.controller_manager import node_health
from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object
from kubeshim.wire import exposition

_VOLUME = ("storage_class",)
_CLAIM = ("namespace", "storage_class", "volume_attributes_class")


def nodes(by_zone: Mapping[str, Sequence[Object]]) -> Iterator[str]:
    zones = [(zone, len(found), node_health.lost(found)) for zone, found in by_zone.items()]
    for name, about, figures in (
        ("zone_size", "Nodes of a zone.", [size for _, size, _ in zones]),
        ("zone_health", "Percent of a zone's nodes that are ready.", [100 * (n - lost) / n for _, n, lost in zones]),
        ("unhealthy_nodes_in_zone", "Nodes of a zone that are not ready.", [lost for _, _, lost in zones]),
    ):
        series = [((zone,), figure) for (zone, _, _), figure in zip(zones, figures, strict=True)]
        yield from exposition.family(f"node_collector_{name}", "gauge", about, ("zone",), series)


def volumes(found: Iterable[Object], claims: Iterable[Object]) -> Iterator[str]:
    held = _by_phase((_of(one, "storageClassName"), one) for one in found)
    asked = _by_phase(
        ((objects.namespace(one), *_of(one, "storageClassName", "volumeAttributesClassName")), one) for one in claims
    )
    for what, labels, (bound, unbound) in (("pv", _VOLUME, held), ("pvc", _CLAIM, asked)):
        for state, counted in (("bound", bound), ("unbound", unbound)):
            name, about = f"pv_collector_{state}_{what}_count", f"Those that are {state}."
            yield from exposition.family(name, "gauge", about, labels, sorted(counted.items()))


def autoscalers(found: Sequence[Object]) -> Iterator[str]:
    start = "horizontal_pod_autoscaler_controller_"
    yield from exposition.gauge(f"{start}num_horizontal_pod_autoscalers", "Autoscalers.", len(found))
    series = [
        ((objects.namespace(one), objects.name(one)), int(objects.dig(one, "status", "desiredReplicas", default=0)))
        for one in found
    ]
    about = "Replicas that each of them wants."
    yield from exposition.family(f"{start}desired_replicas", "gauge", about, ("namespace", "hpa_name"), series)


def _of(one: Object, *fields: str) -> tuple[str, ...]:
    return tuple(str(one["spec"].get(field) or "") for field in fields)


def _by_phase(
    found: Iterable[tuple[tuple[str, ...], Object]],
) -> tuple[collections.Counter[tuple[str, ...]], collections.Counter[tuple[str, ...]]]:
    """How many are bound, and how many are not."""
    bound: collections.Counter[tuple[str, ...]] = collections.Counter()
    unbound: collections.Counter[tuple[str, ...]] = collections.Counter()
    for labels, one in found:
        (bound if objects.dig(one, "status", "phase") == "Bound" else unbound)[labels] += 1
    return bound, unbound
