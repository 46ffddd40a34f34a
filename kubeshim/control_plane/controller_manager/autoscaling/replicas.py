"""How many replicas one metric asks for. Pure.

What is not known is assumed to be harmless: on the way up a pod without a measurement uses nothing, on the way down
all it may; should that turn the direction, nothing is done. Amounts are in thousandths, and averages whole ones.
"""

import dataclasses
import datetime
import math
from collections.abc import Callable, Sequence

from kubeshim.control_plane.controller_manager.autoscaling import usage
from kubeshim.machinery.objects import Object

_NO_PODS = "no pods returned by selector while calculating replica count"
_NO_MEASUREMENTS = "did not receive metrics for targeted pods (pods might be unready)"


@dataclasses.dataclass(frozen=True, slots=True)
class Tolerances:
    """By how much usage may be off target before anything is done."""

    down: float
    up: float

    def allow(self, ratio: float) -> bool:
        return 1.0 - self.down <= ratio <= 1.0 + self.up


@dataclasses.dataclass(frozen=True, slots=True)
class Setting:
    """What all decisions look at."""

    pods: Sequence[Object]
    current: int
    """Replicas as ``spec`` of the scale has them."""
    tolerances: Tolerances
    patience: usage.Patience
    now: datetime.datetime


@dataclasses.dataclass(frozen=True, slots=True)
class Proposal:
    replicas: int
    amount: int
    """The usage a status tells: an average, or the whole."""
    share: int | None = None
    """Per cent of what was requested."""


def for_utilization(
    setting: Setting, measured: usage.Measurements, resource: str, container: str, target: int
) -> Proposal:
    """``target`` is per cent of the pods' requests. Raises ``usage.Unknown``."""
    groups, known = _counted(setting, measured, resource)
    requests = usage.requests(setting.pods, resource, container)
    ratio, share, average = _utilization(known, requests, target)
    return Proposal(
        _settle(
            setting,
            groups,
            known,
            ratio,
            {name: requests[name] * max(100, target) // 100 for name in groups.missing},
            lambda values: _utilization(values, requests, target)[0],
        ),
        average,
        share,
    )


def for_average(setting: Setting, measured: usage.Measurements, resource: str, target: int) -> Proposal:
    """``target`` is an amount a pod; ``resource`` is empty for metrics of other kinds. Raises ``usage.Unknown``."""
    groups, known = _counted(setting, measured, resource)
    average = _average(known)
    full = dict.fromkeys(groups.missing, target)
    wanted = _settle(setting, groups, known, average / target, full, lambda values: _average(values) / target)
    return Proposal(wanted, average)


def for_value(setting: Setting, amount: int, target: int) -> Proposal:
    """One number for all pods. Raises ``usage.Unknown``."""
    ratio = amount / target
    if setting.current == 0:
        return Proposal(math.ceil(ratio), amount)
    if setting.tolerances.allow(ratio):
        return Proposal(setting.current, amount)
    if not setting.pods:
        raise usage.Unknown(f"unable to calculate ready pods: {_NO_PODS}")
    return Proposal(math.ceil(ratio * usage.ready_pods(setting.pods)), amount)


def for_value_per_pod(setting: Setting, running: int, amount: int, target: int) -> Proposal:
    """One number, shared by the ``running`` pods that the scale's status counts; each should have ``target``."""
    if running == 0:
        return Proposal(math.ceil(amount / target), amount)
    within = setting.tolerances.allow(amount / (target * running))
    return Proposal(running if within else math.ceil(amount / target), math.ceil(amount / running))


def _counted(setting: Setting, measured: usage.Measurements, resource: str) -> tuple[usage.Groups, dict[str, int]]:
    """The groups, and the measurements that count."""
    if not setting.pods:
        raise usage.Unknown(_NO_PODS)
    groups = usage.group(setting.pods, measured, resource, setting.patience, setting.now)
    left_out = groups.ignored | groups.unready
    known = {name: one.value for name, one in measured.items() if name not in left_out}
    if not known:
        raise usage.Unknown(_NO_MEASUREMENTS)
    return groups, known


def _settle(
    setting: Setting,
    groups: usage.Groups,
    known: dict[str, int],
    ratio: float,
    full: dict[str, int],
    weigh: Callable[[dict[str, int]], float],
) -> int:
    """The number for ``ratio``, once the pods of which nothing is known are assumed to use ``full`` or nothing."""
    with_unready = bool(groups.unready) and ratio > 1.0
    if not with_unready and not groups.missing:
        return setting.current if setting.tolerances.allow(ratio) else math.ceil(ratio * groups.ready)
    assumed = dict(known)
    if ratio < 1.0:
        assumed.update(full)
    elif ratio > 1.0:
        assumed.update(dict.fromkeys(groups.missing, 0))
    if with_unready:
        assumed.update(dict.fromkeys(groups.unready, 0))
    again = weigh(assumed)
    if setting.tolerances.allow(again) or (ratio < 1.0 < again) or (again < 1.0 < ratio):
        return setting.current
    wanted = math.ceil(again * len(assumed))
    turned = (again < 1.0 and wanted > setting.current) or (again > 1.0 and wanted < setting.current)
    return setting.current if turned else wanted


def _utilization(known: dict[str, int], requests: dict[str, int], target: int) -> tuple[float, int, int]:
    """Usage to target, usage in per cent of requests, and average usage."""
    counted = [name for name in known if name in requests]
    used, requested = sum(known[name] for name in counted), sum(requests[name] for name in counted)
    if requested == 0:
        raise usage.Unknown("no metrics returned matched known pods")
    share = used * 100 // requested
    return share / target, share, used // len(counted)


def _average(known: dict[str, int]) -> int:
    return sum(known.values()) // len(known)
