"""The API's objects out of usage: NodeMetrics, PodMetrics, their lists and tables, discovery."""

import datetime
from collections.abc import Iterable, Mapping
from typing import Any

from kubeshim import clock as clocks
from kubeshim.addons.metrics import rates
from kubeshim.machinery import objects, quantity
from kubeshim.machinery.objects import Object

GROUP, VERSION = "metrics.k8s.io", "v1beta1"
API_VERSION = f"{GROUP}/{VERSION}"
KINDS = {"nodes": "NodeMetrics", "pods": "PodMetrics"}
_VERSION_ENTRY = {"groupVersion": API_VERSION, "version": VERSION}
_GROUP_ENTRY = {"name": GROUP, "versions": [_VERSION_ENTRY], "preferredVersion": _VERSION_ENTRY}
GROUP_LIST = {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_GROUP_ENTRY]}
API_GROUP = {"kind": "APIGroup", "apiVersion": "v1", **_GROUP_ENTRY}
RESOURCE_LIST = {
    "kind": "APIResourceList",
    "apiVersion": "v1",
    "groupVersion": API_VERSION,
    "resources": [
        {"name": plural, "singularName": "", "namespaced": plural == "pods", "kind": kind, "verbs": ["get", "list"]}
        for plural, kind in KINDS.items()
    ],
}
_COLUMNS = (
    {"name": "Name", "type": "string", "format": "name", "description": "Name of the resource", "priority": 0},
    {"name": "cpu", "type": "string", "format": "quantity", "description": "", "priority": 0},
    {"name": "memory", "type": "string", "format": "quantity", "description": "", "priority": 0},
    {"name": "Window", "type": "string", "format": "duration", "description": "", "priority": 0},
)


def node_metrics(node: Object, used: rates.Usage) -> Object:
    """``node`` needs its metadata only."""
    return {**_head(node, used), "usage": _usage(used.cpu, used.memory)}


def pod_metrics(pod: Object, used: Mapping[str, rates.Usage]) -> Object:
    """``used`` by container, at least one."""
    earliest = min(used.values(), key=lambda one: one.taken)
    containers = [{"name": name, "usage": _usage(one.cpu, one.memory)} for name, one in sorted(used.items())]
    return {**_head(pod, earliest), "containers": containers}


def _head(of: Object, used: rates.Usage) -> Object:
    metadata: dict[str, Any] = {"name": objects.name(of)}
    if objects.namespace(of):
        metadata["namespace"] = objects.namespace(of)
    metadata["creationTimestamp"] = clocks.rfc3339(clocks.SYSTEM.now())
    if objects.labels(of):
        metadata["labels"] = objects.labels(of)
    taken = datetime.datetime.fromtimestamp(used.taken, datetime.UTC)
    return {"metadata": metadata, "timestamp": clocks.rfc3339(taken), "window": _duration(used.window)}


def _usage(nanocores: int, memory: int) -> dict[str, str]:
    return {"cpu": quantity.Quantity(nanocores).canonical(), "memory": quantity.of(memory, "BinarySI").canonical()}


def _duration(seconds: float) -> str:
    """In milliseconds, as Go writes durations."""
    minutes, rest = divmod(round(seconds, 3), 60)
    text = f"{rest:.3f}".rstrip("0").rstrip(".")
    return f"{int(minutes)}m{text}s" if minutes else f"{text}s"


def single(plural: str, item: Object) -> Object:
    return {"kind": KINDS[plural], "apiVersion": API_VERSION, **item}


def listing(plural: str, items: Iterable[Object]) -> Object:
    return {"kind": f"{KINDS[plural]}List", "apiVersion": API_VERSION, "metadata": {}, "items": list(items)}


def table(plural: str, items: Iterable[Object]) -> Object:
    """A pod's row has the sums of its containers."""
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {},
        "columnDefinitions": list(_COLUMNS),
        "rows": [_row(plural, item) for item in items],
    }


def _row(plural: str, item: Object) -> Object:
    parts = item["containers"] if plural == "pods" else [item]
    sums = []
    for name in ("cpu", "memory"):
        first, *others = (quantity.parse(part["usage"][name]) for part in parts)
        sums.append(sum(others, first).canonical())
    partial = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": item["metadata"]}
    return {"cells": [objects.name(item), *sums, item["window"]], "object": partial}
