"""Measurements out of the three metrics APIs: of resources, of custom metrics, and of external ones.

The resource metrics API is part of a cluster; the others are there where somebody serves them. Raises
``usage.Unknown`` with upstream's words.
"""

import re
from typing import Any

import orjson

from kubeshim import clock
from kubeshim.client import rest
from kubeshim.control_plane.controller_manager import scale_targets
from kubeshim.control_plane.controller_manager.autoscaling import usage
from kubeshim.machinery import errors, objects, quantity
from kubeshim.machinery.objects import Object

CUSTOM_VERSIONS = ("v1beta2", "v1beta1")
DEFAULT_WINDOW = 60.0
_DURATION = re.compile(r"([0-9.]+)(ns|us|µs|ms|h|m|s)")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


class MetricsAPIs:
    def __init__(self, client: rest.Client, known: scale_targets.Targets) -> None:
        self._client, self._targets = client, known

    def resource(self, resource: str, namespace: str, selector: str, container: str = "") -> usage.Measurements:
        """By pod; of one ``container`` of each, if it is given."""
        path = f"/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods"
        why = "unable to fetch metrics from resource metrics API"
        items = self._items(path, {"labelSelector": selector}, why, "get pods.metrics.k8s.io")
        if not items:
            raise usage.Unknown("no metrics returned from resource metrics API")
        return of_container(items, resource, container) if container else of_pods(items, resource)

    def pods(self, metric: str, namespace: str, selector: str, metric_selector: str) -> usage.Measurements:
        """A custom metric of each pod."""
        params = {"labelSelector": selector, "metricLabelSelector": metric_selector}
        items = self._custom(f"namespaces/{namespace}/pods/*/{metric}", params, f"get pods.{_CUSTOM} *")
        if not items:
            raise usage.Unknown("no metrics returned from custom metrics API")
        return {item["describedObject"]["name"]: _custom_measurement(item) for item in items}

    def of_object(self, metric: str, namespace: str, reference: Object, metric_selector: str) -> int:
        """A custom metric of one object, in thousandths."""
        kind, name = reference["kind"], reference["name"]
        try:
            group = scale_targets.group_of(str(reference.get("apiVersion") or ""))
            if (group, kind) == ("", "Namespace"):
                # whatever its name: an autoscaler does not see beyond its own
                resource, path = "namespaces", f"namespaces/{namespace}/metrics/{metric}"
            else:
                gvr = self._targets.types(group, kind)[0]
                resource = f"{gvr.resource}.{group}" if group else gvr.resource
                path = f"namespaces/{namespace}/{resource}/{name}/{metric}"
        except scale_targets.NotUnderstood as error:
            shown = f"{kind}.{group}" if group else kind
            text = f"unable to map kind {shown} to resource: {error}"
            raise usage.Unknown(f"{_NO_CUSTOM}: {text}") from error
        items = self._custom(path, {"metricLabelSelector": metric_selector}, f"get {resource}.{_CUSTOM} {name}")
        if len(items) != 1:
            text = f"the custom metrics API server returned {len(items)} results when we asked for exactly one"
            raise usage.Unknown(f"{_NO_CUSTOM}: {text}")
        return quantity.parse(items[0]["value"]).milli()

    def external(self, metric: str, namespace: str, metric_selector: str) -> int:
        """The sum of the metric's series, in thousandths."""
        path = f"/apis/external.metrics.k8s.io/v1beta1/namespaces/{namespace}/{metric}"
        why = "unable to fetch metrics from external metrics API"
        asked = f"get {metric}.external.metrics.k8s.io"
        items = self._items(path, {"labelSelector": metric_selector}, why, asked)
        if not items:
            raise usage.Unknown("no metrics returned from external metrics API")
        return sum(quantity.parse(item["value"]).milli() for item in items)

    def _custom(self, path: str, params: dict[str, str], asked: str) -> list[Any]:
        version = self._custom_version()
        return self._items(f"/apis/{_CUSTOM}/{version}/{path}", params, _NO_CUSTOM, asked)

    def _custom_version(self) -> str:
        try:
            group = orjson.loads(self._client.raw("GET", f"/apis/{_CUSTOM}").data)
        except errors.NotFound as error:
            raise usage.Unknown(f"{_NO_CUSTOM}: no custom metrics API ({_CUSTOM}) registered") from error
        except (errors.APIStatusError, OSError) as error:
            raise usage.Unknown(f"{_NO_CUSTOM}: {error}") from error
        served = {one["version"] for one in group.get("versions") or ()}
        for version in CUSTOM_VERSIONS:
            if version in served:
                return version
        raise usage.Unknown(f"{_NO_CUSTOM}: no known available metric versions found")

    def _items(self, path: str, params: dict[str, str], why: str, asked: str) -> list[Any]:
        try:
            answer = orjson.loads(self._client.raw("GET", path, params=params).data)
        except (errors.APIStatusError, OSError, ValueError) as error:
            raise usage.Unknown(f"{why}: {scale_targets.words(error, asked)}") from error
        return list(answer.get("items") or ())


_CUSTOM = "custom.metrics.k8s.io"
_NO_CUSTOM = "unable to fetch metrics from custom metrics API"


def of_pods(items: list[Any], resource: str) -> usage.Measurements:
    """Sums over containers; a pod of which one container has no figure has none."""
    found = {}
    for item in items:
        amounts = [objects.dig(one, "usage", resource) for one in item.get("containers") or ()]
        if amounts and None not in amounts:
            found[objects.name(item)] = _measurement(item, sum(quantity.parse(amount).milli() for amount in amounts))
    return found


def of_container(items: list[Any], resource: str, container: str) -> usage.Measurements:
    found = {}
    for item in items:
        one = next((one for one in item.get("containers") or () if one["name"] == container), None)
        if one is None:
            text = f"container {container} not present in metrics for pod {objects.key(item)}"
            raise usage.Unknown(f"failed to get container metrics: {text}")
        amount = objects.dig(one, "usage", resource)
        if amount is not None:
            found[objects.name(item)] = _measurement(item, quantity.parse(amount).milli())
    return found


def _measurement(item: Object, value: int) -> usage.Measurement:
    return usage.Measurement(value, clock.parse_rfc3339(item["timestamp"]), seconds(item.get("window") or "0s"))


def _custom_measurement(item: Object) -> usage.Measurement:
    given = item.get("windowSeconds", item.get("window"))
    window = DEFAULT_WINDOW if given is None else float(given)
    return usage.Measurement(quantity.parse(item["value"]).milli(), clock.parse_rfc3339(item["timestamp"]), window)


def seconds(text: str) -> float:
    """A Go duration."""
    return sum(float(number) * _UNITS[unit] for number, unit in _DURATION.findall(text))
