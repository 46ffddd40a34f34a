"""Which endpoints a Service's traffic may go to (pure), from its EndpointSlices.

Ready endpoints take it; where there are none, those that still serve while they terminate do, so that a rolling
update which leaves a gap loses nothing. Topology hints narrow the choice only when every ready endpoint has one
and one is for this node or zone. A Local policy sees the node's own endpoints alone.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

Address = tuple[str, int]
"""``(IP, port)``."""
_NO_HINTS: frozenset[str] = frozenset()


class Endpoint(NamedTuple):
    """A named tuple, as is what else there are tens of thousands of: it costs a third of a dataclass to make."""

    address: Address
    ready: bool
    serving: bool
    terminating: bool
    local: bool
    for_zones: frozenset[str] = frozenset()
    for_nodes: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True, slots=True)
class Choice:
    """Where one port's traffic may go: from anywhere (``cluster``), and to this node only (``local``)."""

    cluster: tuple[Address, ...] = ()
    local: tuple[Address, ...] = ()


def by_port(
    slices: Iterable[Mapping[str, Any]], node_name: str, kind: str = "IPv4"
) -> dict[tuple[str, str], list[Endpoint]]:
    """``(port name, protocol)`` → endpoints of slices of a ``kind``, each address once: the ready one of two."""
    found: dict[tuple[str, str], dict[Address, Endpoint]] = {}
    for piece in slices:
        if piece.get("addressType", "IPv4") != kind:
            continue
        for port in piece.get("ports") or ():
            if port.get("port") is None:
                continue
            key = (port.get("name") or "", port.get("protocol") or "TCP")
            here = found.setdefault(key, {})
            for entry in piece.get("endpoints") or ():
                for endpoint in _endpoints(entry, int(port["port"]), node_name):
                    before = here.get(endpoint.address)
                    if before is None or (endpoint.ready and not before.ready):
                        here[endpoint.address] = endpoint
    return {key: sorted(here.values(), key=lambda endpoint: endpoint.address) for key, here in found.items()}


def choose(endpoints: Iterable[Endpoint], *, node_name: str, zone: str) -> Choice:
    every = list(endpoints)
    ready = [endpoint for endpoint in every if endpoint.ready]
    cluster = _hinted(ready, node_name, zone) or [e for e in every if e.serving and e.terminating]
    local = [e for e in ready if e.local] or [e for e in every if e.local and e.serving and e.terminating]
    return Choice(tuple(e.address for e in cluster), tuple(e.address for e in local))


def _endpoints(entry: Mapping[str, Any], port: int, node_name: str) -> Iterable[Endpoint]:
    conditions = entry.get("conditions") or {}
    terminating = bool(conditions.get("terminating"))
    ready = conditions.get("ready") is not False
    serving = conditions.get("serving")
    hints = entry.get("hints")
    zones, nodes = _hints(hints, "forZones"), _hints(hints, "forNodes")
    local = bool(node_name) and entry.get("nodeName") == node_name
    serves = ready if serving is None else bool(serving)
    for address in entry.get("addresses") or ():
        yield Endpoint((address, port), ready, serves, terminating, local, zones, nodes)


def _hints(hints: Mapping[str, Any] | None, what: str) -> frozenset[str]:
    return frozenset(hint["name"] for hint in hints.get(what) or ()) if hints else _NO_HINTS


def _hinted(ready: list[Endpoint], node_name: str, zone: str) -> list[Endpoint]:
    if ready and all(endpoint.for_nodes for endpoint in ready):
        near = [endpoint for endpoint in ready if node_name in endpoint.for_nodes]
        if near:
            return near
    if zone and ready and all(endpoint.for_zones for endpoint in ready):
        near = [endpoint for endpoint in ready if zone in endpoint.for_zones]
        if near:
            return near
    return ready
