"""Horizontal pod autoscalers: one store in the form of ``autoscaling/v2``, a narrower view as ``autoscaling/v1``.

What version 1 has no fields for travels in annotations, as upstream's does, so that nothing is lost on the way there
and back.
"""

from typing import Any

import orjson

from kubeshim.control_plane.api_server.strategies import strategy
from kubeshim.machinery import errors, objects, resources
from kubeshim.machinery.validation import autoscalers

_METRICS = "autoscaling.alpha.kubernetes.io/metrics"
_BEHAVIOR = "autoscaling.alpha.kubernetes.io/behavior"
_CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions"
_CURRENT = "autoscaling.alpha.kubernetes.io/current-metrics"
_ANNOTATIONS = (_METRICS, _BEHAVIOR, _CONDITIONS, _CURRENT)


class HorizontalPodAutoscaler(strategy.Strategy):
    def prepare_for_create(self, resource: resources.Resource, obj: objects.Object) -> None:
        obj["status"] = {"currentReplicas": 0, "desiredReplicas": 0} if resource.version == "v1" else _EMPTY.copy()

    def validate(self, resource: resources.Resource, obj: objects.Object) -> list[errors.FieldError]:
        return autoscalers.autoscaler(self.to_storage(resource, obj))

    def is_new_generation(self, resource: resources.Resource, obj: objects.Object, old: objects.Object) -> bool:
        """Version 1 has part of what is wanted in its annotations."""
        return bool(self.to_storage(resource, obj).get("spec") != self.to_storage(resource, old).get("spec"))

    def validate_status_update(
        self, resource: resources.Resource, obj: objects.Object, old: objects.Object
    ) -> list[errors.FieldError]:
        return autoscalers.status(obj, old)

    def to_storage(self, resource: resources.Resource, obj: objects.Object) -> objects.Object:
        return _widened(obj) if resource.version == "v1" else obj

    def from_storage(self, resource: resources.Resource, obj: objects.Object) -> objects.Object:
        return _narrowed(obj) if resource.version == "v1" else obj


_EMPTY: dict[str, Any] = {"currentMetrics": None, "desiredReplicas": 0}


def _is_cpu(metric: Any) -> bool:
    return bool(metric.get("type") == "Resource" and objects.dig(metric, "resource", "name") == "cpu")


def _utilization(metrics: list[Any], *path: str) -> tuple[int | None, list[Any]]:
    """The cpu utilization among the metrics, and the others."""
    for metric in metrics:
        value = objects.dig(metric, *path)
        if _is_cpu(metric) and value is not None:
            return value, [other for other in metrics if other is not metric]
    return None, metrics


def _narrowed(obj: objects.Object) -> objects.Object:
    spec, status = dict(obj.get("spec") or {}), dict(obj.get("status") or {})
    metadata = dict(obj.get("metadata") or {})
    annotations = dict(metadata.get("annotations") or {})
    target, others_ = _utilization(spec.pop("metrics", None) or [], "resource", "target", "averageUtilization")
    if target is not None:
        spec["targetCPUUtilizationPercentage"] = target
    current, measured = _utilization(
        status.pop("currentMetrics", None) or [], "resource", "current", "averageUtilization"
    )
    if current is not None:
        status["currentCPUUtilizationPercentage"] = current
    for key, value in (
        (_METRICS, others_),
        (_BEHAVIOR, spec.pop("behavior", None)),
        (_CONDITIONS, status.pop("conditions", None)),
        (_CURRENT, measured),
    ):
        if value:
            annotations[key] = orjson.dumps(value).decode()
    if annotations:
        metadata["annotations"] = annotations
    status.setdefault("currentReplicas", 0)
    status.setdefault("desiredReplicas", 0)
    return {**obj, "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status}


def _widened(obj: objects.Object) -> objects.Object:
    spec, status = dict(obj.get("spec") or {}), dict(obj.get("status") or {})
    metadata = dict(obj.get("metadata") or {})
    annotations = dict(metadata.get("annotations") or {})
    kept = {key: _read(annotations.pop(key)) for key in _ANNOTATIONS if key in annotations}
    metrics = list(kept.get(_METRICS) or [])
    target = spec.pop("targetCPUUtilizationPercentage", None)
    if target is None and not metrics:
        target = 80
    if target is not None:
        wanted = {"type": "Utilization", "averageUtilization": target}
        metrics.append({"type": "Resource", "resource": {"name": "cpu", "target": wanted}})
    spec["metrics"] = metrics
    if kept.get(_BEHAVIOR):
        spec["behavior"] = kept[_BEHAVIOR]
    if kept.get(_CONDITIONS):
        status["conditions"] = kept[_CONDITIONS]
    measured = list(kept.get(_CURRENT) or [])
    current = status.pop("currentCPUUtilizationPercentage", None)
    if current is not None:
        measured.append({"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": current}}})
    status["currentMetrics"] = measured or None
    if not status.get("currentReplicas"):
        status.pop("currentReplicas", None)  # only version 1 tells of none
    if annotations:
        metadata["annotations"] = annotations
    else:
        metadata.pop("annotations", None)
    return {**obj, "apiVersion": "autoscaling/v2", "metadata": metadata, "spec": spec, "status": status}


def _read(text: str) -> Any:
    try:
        return orjson.loads(text)
    except ValueError:
        # a hand-written annotation that is no JSON says nothing, as upstream has it
        return None
