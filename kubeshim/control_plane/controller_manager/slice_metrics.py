"""What is counted of EndpointSlices, under upstream's names: those of Services, and those that mirror Endpoints.

How well endpoints are packed is told of all Services together, so each one's part is kept.
"""

import dataclasses
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from kubeshim.control_plane.component_metrics import doubling
from kubeshim.control_plane.controller_manager import slices
from kubeshim.machinery.objects import Object
from kubeshim.wire import exposition

_ENDPOINTS = doubling(2, 15)
_FEW = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""What a histogram has whose maker names no bounds."""
KNOWN_DISTRIBUTIONS = ("PreferClose", "PreferSameZone", "PreferSameNode")


@dataclasses.dataclass(frozen=True, slots=True)
class _Packed:
    endpoints: int
    slices: int
    fewest: int
    """Slices that the endpoints would do with."""


class _Slices:
    """``prefix`` is the controller's; an ``empty`` Service has a slice all the same."""

    def __init__(self, prefix: str, empty: int) -> None:
        self._prefix, self._empty = prefix, empty
        self._lock = threading.Lock()
        self._packed: dict[str, _Packed] = {}
        self.added = self.histogram("endpoints_added_per_sync", "Endpoints added, of each sync.")
        self.removed = self.histogram("endpoints_removed_per_sync", "Endpoints removed, of each sync.")
        self.changes = exposition.Counter(f"{prefix}_changes", "EndpointSlices written, by how.", ("operation",))

    def histogram(
        self, name: str, about: str, bounds: Sequence[float] = _ENDPOINTS, labels: Sequence[str] = ()
    ) -> exposition.Histogram:
        return exposition.Histogram(f"{self._prefix}_{name}", about, bounds, labels)

    def planned(
        self, key: str, groups: Sequence[slices.Group], existing: Sequence[Object], plan: slices.Plan, capacity: int
    ) -> int:
        """Notes what is about to be written of one Service; returns how many endpoints are there before and after."""
        touched = {one["metadata"]["name"] for one in (*plan.update, *plan.delete)}
        before = _endpoints([one for one in existing if one["metadata"]["name"] in touched])
        after = _endpoints([*plan.create, *plan.update])
        self.added.observe(len(after.keys() - before.keys()))
        self.removed.observe(len(before.keys() - after.keys()))
        wanted = [len(group.endpoints) for group in groups]
        number = len(existing) + len(plan.create) - len(plan.delete)
        fewest = sum(-(-count // capacity) for count in wanted)
        with self._lock:
            self._packed[key] = _Packed(sum(wanted), number, fewest or self._empty)
        return sum(1 for name in before.keys() & after.keys() if before[name] != after[name])

    def forget(self, key: str) -> None:
        with self._lock:
            self._packed.pop(key, None)

    def lines(self) -> Iterator[str]:
        for one in (self.added, self.removed, self.changes):
            yield from one.lines()
        with self._lock:
            packed = list(self._packed.values())
        for name, about, figure in (
            ("endpoints_desired", "Endpoints that there should be.", sum(one.endpoints for one in packed)),
            ("num_endpoint_slices", "EndpointSlices.", sum(one.slices for one in packed)),
            ("desired_endpoint_slices", "EndpointSlices if all were full.", sum(one.fewest for one in packed)),
        ):
            yield from exposition.gauge(f"{self._prefix}_{name}", about, figure)


class OfServices(_Slices):
    def __init__(self) -> None:
        super().__init__("endpoint_slice_controller", empty=1)
        self._distributions: dict[str, str] = {}
        self._changed = self.histogram(
            "endpointslices_changed_per_sync", "EndpointSlices written, of each sync.", _FEW,
            ("topology", "traffic_distribution"),
        )  # fmt: skip
        self.syncs = exposition.Counter(
            "endpoint_slice_controller_syncs", "Times a Service was looked at, by what came of it.", ("result",)
        )

    def spread(self, key: str, wanted: str, *, by_zones: bool) -> None:
        """Where a Service asks its traffic to go."""
        with self._lock:
            if wanted and not by_zones:
                self._distributions[key] = wanted if wanted in KNOWN_DISTRIBUTIONS else "ImplementationSpecific"
            else:
                self._distributions.pop(key, None)

    def carried_out(self, plan: slices.Plan, wanted: str, *, by_zones: bool) -> None:
        told = wanted if wanted in KNOWN_DISTRIBUTIONS and not by_zones else ""
        number = len(plan.create) + len(plan.update) + len(plan.delete)
        self._changed.observe(number, "Auto" if by_zones else "Disabled", told)

    def forget(self, key: str) -> None:
        super().forget(key)
        with self._lock:
            self._distributions.pop(key, None)

    def lines(self) -> Iterator[str]:
        yield from super().lines()
        yield from self._changed.lines()
        yield from self.syncs.lines()
        with self._lock:
            found = list(self._distributions.values())
        series = [((label,), found.count(label)) for label in sorted(set(found))]
        name, about = "endpoint_slice_controller_services_count_by_traffic_distribution", "Services that ask for it."
        yield from exposition.family(name, "gauge", about, ("traffic_distribution",), series)


class Mirrored(_Slices):
    def __init__(self) -> None:
        super().__init__("endpoint_slice_mirroring_controller", empty=0)
        self.updated = self.histogram("endpoints_updated_per_sync", "Endpoints changed, of each sync.")
        self.skipped = self.histogram("addresses_skipped_per_sync", "Addresses left out, of each sync.")
        self.seconds = self.histogram("endpoints_sync_duration", "Seconds of a sync.", doubling(0.001, 15))

    def lines(self) -> Iterator[str]:
        yield from super().lines()
        for one in (self.updated, self.skipped, self.seconds):
            yield from one.lines()


def _endpoints(found: Sequence[Object]) -> dict[tuple[str, ...], dict[str, Any]]:
    return {slices.identity(endpoint): endpoint for one in found for endpoint in one.get("endpoints") or ()}
