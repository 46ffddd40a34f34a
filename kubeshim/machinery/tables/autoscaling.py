"""The row of a HorizontalPodAutoscaler, in either of its versions."""

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from kubeshim.machinery import objects
from kubeshim.machinery.tables import cells

_SLOTS = {
    "External": "external",
    "Pods": "pods",
    "Object": "object",
    "Resource": "resource",
    "ContainerResource": "containerResource",
}


def autoscaler(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    spec, status = cells.spec(obj), cells.status(obj)
    target = spec.get("scaleTargetRef") or {}
    least = spec.get("minReplicas")
    wanted, current = spec.get("metrics") or [], status.get("currentMetrics") or []
    if "targetCPUUtilizationPercentage" in spec:
        wanted, current = _from_v1(spec, status)
    return [
        cells.name(obj),
        f"{target.get('kind', '')}/{target.get('name', '')}",
        _metrics(wanted, current),
        cells.UNSET if least is None else str(least),
        spec.get("maxReplicas") or 0,
        status.get("currentReplicas") or 0,
        cells.age(obj, now),
    ]


def _from_v1(spec: Mapping[str, Any], status: Mapping[str, Any]) -> tuple[list[Any], list[Any]]:
    """The one metric that version 1 has fields for."""
    target = {"averageUtilization": spec["targetCPUUtilizationPercentage"]}
    wanted = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    measured = status.get("currentCPUUtilizationPercentage")
    if measured is None:
        return wanted, []
    return wanted, [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": measured}}}]


def _metrics(wanted: Sequence[Mapping[str, Any]], current: Sequence[Mapping[str, Any]]) -> str:
    if not wanted:
        return cells.NONE
    told = [_metric(metric, current[index] if index < len(current) else {}) for index, metric in enumerate(wanted)]
    text = ", ".join(told[:2])
    return f"{text} + {len(told) - 2} more..." if len(told) > 2 else text


def _metric(wanted: Mapping[str, Any], current: Mapping[str, Any]) -> str:
    slot = _SLOTS.get(wanted.get("type", ""))
    if slot is None:
        return "<unknown type>"
    metric = wanted.get(slot) or {}
    target = metric.get("target") or {}
    measured = objects.dig(current, slot, "current", default={})
    average = target.get("averageValue")
    if slot in ("resource", "containerResource"):
        return f"{metric.get('name', '')}: {_utilization(target, measured, average)}"
    if slot == "pods":
        return f"{measured.get('averageValue', cells.UNKNOWN)}/{average}"
    if average is not None:
        return f"{measured.get('averageValue', cells.UNKNOWN)}/{average} (avg)"
    return f"{measured.get('value', cells.UNKNOWN)}/{target.get('value')}"


def _utilization(target: Mapping[str, Any], measured: Mapping[str, Any], average: str | None) -> str:
    if average is not None:
        return f"{measured.get('averageValue', cells.UNKNOWN)}/{average}"
    used, wanted = measured.get("averageUtilization"), target.get("averageUtilization")
    shown = cells.UNKNOWN if used is None else f"{used}%"
    return f"{shown}/{'<auto>' if wanted is None else f'{wanted}%'}"
