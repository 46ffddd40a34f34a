"""Node-pressure eviction: from thresholds and measurements to conditions of the node and a pod to end. Pure.

Thresholds are upstream's options (``evictionHard: {"memory.available": "100Mi"}``), as quantities or percentages of
the signal's capacity. A hard threshold acts at once, a soft one after it was crossed for its grace period. What was
crossed counts as crossed until its minimum has been reclaimed; a condition stays for the transition period after the
last crossing, so that a node does not flap. One pod is ended a round: what that frees shows in the next measurement.

Source: Kubernetes documentation, "Node-pressure Eviction".
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from kubeshim.machinery import objects, quantity
from kubeshim.machinery.objects import Object
from kubeshim.node.kubelet import pod_spec, quality

REASON = "Evicted"
MEMORY, PIDS = "memory.available", "pid.available"
NODE_DISK, NODE_INODES = "nodefs.available", "nodefs.inodesFree"
IMAGE_DISK, IMAGE_INODES = "imagefs.available", "imagefs.inodesFree"

CONDITIONS = {
    MEMORY: "MemoryPressure",
    NODE_DISK: "DiskPressure",
    NODE_INODES: "DiskPressure",
    IMAGE_DISK: "DiskPressure",
    IMAGE_INODES: "DiskPressure",
    PIDS: "PIDPressure",
}
"""The signals there are, in the order they are acted on, with the node condition each one sets."""
RESOURCES = {
    MEMORY: "memory",
    NODE_DISK: "ephemeral-storage",
    NODE_INODES: "inodes",
    IMAGE_DISK: "ephemeral-storage",
    IMAGE_INODES: "inodes",
    PIDS: "pids",
}
"""How messages name what runs short."""
DISK_SIGNALS = (NODE_DISK, NODE_INODES, IMAGE_DISK, IMAGE_INODES)
CRITICAL_PRIORITY = 2_000_000_000
HARD_GRACE = 1.0
"""Seconds a pod gets that a hard threshold ends."""


@dataclasses.dataclass(frozen=True, slots=True)
class Threshold:
    """``amount`` is absolute, or a share of capacity where ``fraction`` is not None."""

    signal: str
    amount: int
    fraction: float | None
    text: str
    grace: float = 0.0
    hard: bool = True
    reclaim: int = 0
    reclaim_fraction: float | None = None

    def bound(self, capacity: int) -> int:
        return self.amount if self.fraction is None else int(capacity * self.fraction)

    def minimum(self, capacity: int) -> int:
        """What must be available before the threshold counts as no longer crossed."""
        more = self.reclaim if self.reclaim_fraction is None else int(capacity * self.reclaim_fraction)
        return self.bound(capacity) + more


@dataclasses.dataclass(frozen=True, slots=True)
class Measure:
    """One signal now. Bytes, or counts of inodes or processes."""

    available: int
    capacity: int


def thresholds(
    hard: Mapping[str, str], soft: Mapping[str, str], graces: Mapping[str, float], reclaims: Mapping[str, str]
) -> list[Threshold]:
    """Raises ``ValueError`` in upstream's words for what makes no sense."""
    found: list[Threshold] = []
    for name in (*hard, *soft, *graces, *reclaims):
        if name not in CONDITIONS:
            raise ValueError(f"unsupported eviction signal {name}")
    for signal in CONDITIONS:
        more, more_fraction = _amount(reclaims[signal]) if signal in reclaims else (0, None)
        if signal in hard:
            amount, fraction = _amount(hard[signal])
            if amount or fraction:
                found.append(Threshold(signal, amount, fraction, hard[signal], 0.0, True, more, more_fraction))
        if signal in soft:
            if signal not in graces:
                raise ValueError(f"grace period must be specified for the soft eviction threshold {signal}")
            amount, fraction = _amount(soft[signal])
            found.append(Threshold(signal, amount, fraction, soft[signal], graces[signal], False, more, more_fraction))
    return found


def _amount(text: str) -> tuple[int, float | None]:
    if text.endswith("%"):
        share = float(text[:-1]) / 100
        if not 0 <= share < 1:
            raise ValueError(f"eviction percentage must be between 0% and 100%: {text}")
        return 0, share
    return quantity.parse(text).value(), None


# --- rounds


@dataclasses.dataclass(frozen=True, slots=True)
class Memory:
    """What one round hands to the next. Times are seconds of any steady clock."""

    met: Sequence[Threshold] = ()
    since: Mapping[Threshold, float] = dataclasses.field(default_factory=dict)
    last: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """By condition, when it was last called for."""


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """``act`` is the threshold to reclaim for in this round, if any."""

    memory: Memory
    conditions: frozenset[str]
    act: Threshold | None


def judge(
    limits: Sequence[Threshold], measures: Mapping[str, Measure], before: Memory, now: float, transition: float
) -> Verdict:
    met = [
        limit
        for limit in limits
        if limit.signal in measures and _crossed(limit, measures[limit.signal], still=limit in before.met)
    ]
    since = {limit: before.since.get(limit, now) for limit in met}
    last = {**before.last, **{CONDITIONS[limit.signal]: now for limit in met}}
    last = {name: moment for name, moment in last.items() if now - moment < transition or moment == now}
    due = [limit for limit in met if now - since[limit] >= limit.grace]
    return Verdict(Memory(met, since, last), frozenset(last), due[0] if due else None)


def _crossed(limit: Threshold, measure: Measure, *, still: bool) -> bool:
    bound = limit.minimum(measure.capacity) if still else limit.bound(measure.capacity)
    return measure.available < bound


# --- whom


@dataclasses.dataclass(frozen=True, slots=True)
class Use:
    """What one pod uses of what runs short; ``containers`` by name."""

    pod: Object
    containers: Mapping[str, int]
    volumes: int = 0

    @property
    def total(self) -> int:
        return sum(self.containers.values()) + self.volumes


def is_critical(pod: Object) -> bool:
    """Whether the node keeps a pod whatever happens: static ones, and those of system priority."""
    return pod_spec.is_static(pod) or _priority(pod) >= CRITICAL_PRIORITY


def rank(uses: Iterable[Use], signal: str) -> list[Use]:
    """Who goes first: beyond their request, of low priority, using most. Critical pods are left out."""
    resource = RESOURCES[signal]
    measured = resource in ("memory", "ephemeral-storage")

    def key(use: Use) -> tuple[bool, int, int]:
        request = quality.requested(use.pod, resource) // 1000 if measured else 0
        over = use.total - request
        return (over <= 0 if measured else False, _priority(use.pod), -over)

    return sorted((use for use in uses if not is_critical(use.pod)), key=key)


def _priority(pod: Object) -> int:
    return int(pod_spec.spec(pod).get("priority") or 0)


def message(limit: Threshold, measure: Measure, use: Use) -> str:
    """The pod's status message, in the kubelet's words."""
    resource = RESOURCES[limit.signal]
    binary = resource in ("memory", "ephemeral-storage")
    bound = limit.bound(measure.capacity)
    words = (
        f"The node was low on resource: {resource}. "
        f"Threshold quantity: {in_words(bound, binary)}, available: {in_words(measure.available, binary)}. "
    )
    for container in pod_spec.containers(use.pod) if binary else ():
        used = use.containers.get(container["name"], 0)
        request = objects.dig(container, "resources", "requests", resource)
        if used > (quantity.parse(str(request)).value() if request is not None else 0):
            words += (
                f"Container {container['name']} was using {in_words(used, True)}, request is {request or 0}, "
                f"has larger consumption of {resource}. "
            )
    return words


def in_words(amount: int, binary: bool) -> str:
    """A quantity: bytes in the largest unit that loses nothing, counts as they are."""
    units = ["", "Ki", "Mi", "Gi", "Ti"]
    while binary and amount and amount % 1024 == 0 and len(units) > 1:
        amount, units = amount // 1024, units[1:]
    return f"{amount}{units[0]}"


def refusal(pod: Object, conditions: Iterable[str]) -> tuple[str, str] | None:
    """Why a node under pressure does not take a pod: reason and message; None where it does."""
    present = sorted(conditions)
    if not present or is_critical(pod):
        return None
    modest = quality.qos_class(pod) != quality.BEST_EFFORT or _tolerates_memory_pressure(pod)
    if present == ["MemoryPressure"] and modest:
        return None
    return "Evicted", f"Pod was rejected: The node had condition: [{' '.join(present)}]. "


def _tolerates_memory_pressure(pod: Object) -> bool:
    return any(
        entry.get("effect") in (None, "", "NoSchedule")
        and (entry.get("operator") or "Equal", entry.get("key") or "")
        in (
            ("Exists", ""),
            ("Exists", "node.kubernetes.io/memory-pressure"),
            ("Equal", "node.kubernetes.io/memory-pressure"),
        )
        for entry in pod_spec.spec(pod).get("tolerations") or ()
    )
