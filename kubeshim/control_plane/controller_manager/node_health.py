"""When a node counts as lost, and what its conditions and taints say then. Pure.

Clocks of machines are never compared: what counts is when *we* last saw the node's Lease or status change.
"""

import dataclasses
import datetime
from collections.abc import Sequence
from typing import Any, Literal

from kubeshim import clock
from kubeshim.control_plane.controller_manager import conditions
from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
_BY_CONDITION = {
    ("Ready", "False"): NOT_READY,
    ("Ready", "Unknown"): UNREACHABLE,
    ("MemoryPressure", "True"): "node.kubernetes.io/memory-pressure",
    ("DiskPressure", "True"): "node.kubernetes.io/disk-pressure",
    ("NetworkUnavailable", "True"): "node.kubernetes.io/network-unavailable",
    ("PIDPressure", "True"): "node.kubernetes.io/pid-pressure",
}
MANAGED_NO_SCHEDULE = frozenset({*_BY_CONDITION.values(), UNSCHEDULABLE})
OLD_LABELS = {"beta.kubernetes.io/os": "kubernetes.io/os", "beta.kubernetes.io/arch": "kubernetes.io/arch"}
WATCHED = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")

Taint = dict[str, Any]
ZoneState = Literal["Initial", "Normal", "FullDisruption", "PartialDisruption"]


@dataclasses.dataclass(frozen=True, slots=True)
class Signs:
    """What we last saw of a node, and when (monotonic seconds)."""

    heartbeat: str
    """Renew time of its Lease, as the node wrote it."""
    status: str
    """Heartbeat of its Ready condition."""
    seen: float


def signs(node: Object, lease: Object | None, before: Signs | None, monotonic: float) -> Signs:
    """The signs of life now: fresh if anything changed since ``before``."""
    heartbeat = str(objects.dig(lease, "spec", "renewTime", default=""))
    status = str((objects.condition(node, "Ready") or {}).get("lastHeartbeatTime") or "")
    if before is not None and (before.heartbeat, before.status) == (heartbeat, status):
        return before
    return Signs(heartbeat, status, monotonic)


def mark_unknown(node: Object, now: datetime.datetime) -> list[conditions.Condition] | None:
    """The conditions of a node that fell silent; None if they say so already."""
    moment = clock.rfc3339(now)
    present = list(objects.dig(node, "status", "conditions", default=()))
    changed = False
    for kind in WATCHED:
        current = conditions.find(present, kind)
        if current is None:
            changed = True
            fresh = {
                "type": kind,
                "status": "Unknown",
                "reason": "NodeStatusNeverUpdated",
                "message": "Kubelet never posted node status.",
                "lastHeartbeatTime": objects.dig(node, "metadata", "creationTimestamp"),
                "lastTransitionTime": moment,
            }
            present.append(fresh)
        elif current.get("status") != "Unknown":
            changed = True
            fresh = {
                **current,
                "status": "Unknown",
                "reason": "NodeStatusUnknown",
                "message": "Kubelet stopped posting node status.",
                "lastTransitionTime": moment,
            }
            present = [fresh if one is current else one for one in present]
    return present if changed else None


def no_schedule_taints(node: Object) -> set[str]:
    """Keys of the NoSchedule taints that its conditions and ``spec.unschedulable`` call for."""
    found = {
        _BY_CONDITION[entry["type"], entry["status"]]
        for entry in objects.dig(node, "status", "conditions", default=())
        if (entry.get("type"), entry.get("status")) in _BY_CONDITION
    }
    if node.get("spec", {}).get("unschedulable"):
        found.add(UNSCHEDULABLE)
    return found


def with_taints(node: Object, no_schedule: set[str], no_execute: str | None, now: datetime.datetime) -> list[Taint]:
    """All taints of the node: others' as they are, ours as wanted, those that stay with their time."""
    present: list[Taint] = node.get("spec", {}).get("taints") or []
    wanted = {(key, "NoSchedule") for key in no_schedule}
    if no_execute:
        wanted.add((no_execute, "NoExecute"))

    def ours(taint: Taint) -> bool:
        if taint["effect"] == "NoSchedule":
            return taint["key"] in MANAGED_NO_SCHEDULE
        return taint["effect"] == "NoExecute" and taint["key"] in (NOT_READY, UNREACHABLE)

    kept = [taint for taint in present if not ours(taint) or (taint["key"], taint["effect"]) in wanted]
    there = {(taint["key"], taint["effect"]) for taint in kept}
    for key, effect in sorted(wanted - there):
        kept.append({"key": key, "effect": effect, "timeAdded": clock.rfc3339(now)})
    return kept


def missing_labels(node: Object) -> dict[str, str]:
    """Labels that have an older name, which must say the same."""
    labels = objects.labels(node)
    return {old: labels[new] for old, new in OLD_LABELS.items() if new in labels and labels.get(old) != labels[new]}


def no_execute_taint(node: Object) -> str | None:
    """The taint a node that is not Ready deserves."""
    status = (objects.condition(node, "Ready") or {}).get("status")
    return {"False": NOT_READY, "Unknown": UNREACHABLE}.get(str(status))


def zone_of(node: Object) -> str:
    labels = objects.labels(node)
    region = labels.get("topology.kubernetes.io/region", labels.get("failure-domain.beta.kubernetes.io/region", ""))
    zone = labels.get("topology.kubernetes.io/zone", labels.get("failure-domain.beta.kubernetes.io/zone", ""))
    return f"{region}:\0:{zone}" if region or zone else ""


def lost(nodes: Sequence[Object]) -> int:
    """How many are not ready."""
    return sum((objects.condition(node, "Ready") or {}).get("status") != "True" for node in nodes)


def zone_state(nodes: Sequence[Object], threshold: float) -> ZoneState:
    """How bad it is in a zone: all nodes lost, at least ``threshold`` of them (and more than two), or less."""
    number = lost(nodes)
    if number == len(nodes) and number:
        return "FullDisruption"
    if number > 2 and number / len(nodes) >= threshold:
        return "PartialDisruption"
    return "Normal"


def eviction_rate(state: ZoneState, size: int, options: Any) -> float:
    """Nodes a second that may be evicted in a zone: a zone that is mostly lost is more likely our own fault."""
    if state != "PartialDisruption":
        return float(options.node_eviction_rate)
    return float(options.secondary_node_eviction_rate) if size > options.large_cluster_size_threshold else 0.0
