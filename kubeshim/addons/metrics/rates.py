"""Usage out of samples: CPU is what a counter grew by in the time between two of them.

A container that was not there before has used nothing at its start; one that started again counts from then. The
window must be ``SHORTEST`` seconds at least: kernels account CPU time in steps.
"""

import dataclasses
from collections.abc import Mapping

from kubeshim.addons.metrics import samples

SHORTEST = 0.9
FRESH = 60.0
"""A container without an earlier sample counts from its start only if that is no longer ago (seconds)."""


@dataclasses.dataclass(frozen=True, slots=True)
class Usage:
    """``cpu`` in nanocores, ``memory`` in bytes; over ``window`` seconds up to ``taken`` (since the epoch)."""

    cpu: int
    memory: int
    taken: float
    window: float


@dataclasses.dataclass(frozen=True, slots=True)
class NodeUsage:
    """What is known of one node; ``pods`` by namespace and name, then by container."""

    node: Usage | None
    pods: Mapping[tuple[str, str], Mapping[str, Usage]]


def usage(before: samples.Reading | None, now: samples.Reading) -> NodeUsage:
    """A pod is in it only with all its containers."""
    node = None
    if now.node is not None and before is not None and before.node is not None:
        node = _between(before.node, before.taken, now.node, now.taken)
    pods: dict[tuple[str, str], dict[str, Usage]] = {}
    incomplete = set()
    for (namespace, pod, container), sample in now.containers.items():
        earlier = before.containers.get((namespace, pod, container)) if before is not None else None
        found = _container(earlier, before.taken if before is not None else 0.0, sample, now.taken)
        if found is None:
            incomplete.add((namespace, pod))
        else:
            pods.setdefault((namespace, pod), {})[container] = found
    return NodeUsage(node, {key: containers for key, containers in pods.items() if key not in incomplete})


def _container(earlier: samples.Sample | None, at: float, sample: samples.Sample, now: float) -> Usage | None:
    if earlier is not None and earlier.started == sample.started and earlier.cpu <= sample.cpu:
        return _between(earlier, at, sample, now)
    if sample.started and now - sample.started <= FRESH:
        return _between(samples.Sample(0.0, 0), sample.started, sample, now)
    return None


def _between(earlier: samples.Sample, at: float, sample: samples.Sample, now: float) -> Usage | None:
    window = now - at
    if window < SHORTEST or sample.cpu < earlier.cpu:
        return None
    return Usage(int((sample.cpu - earlier.cpu) / window * 1e9), sample.memory, now, window)
