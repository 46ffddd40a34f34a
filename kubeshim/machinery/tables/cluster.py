"""Rows of nodes, namespaces, events and the cluster's own bookkeeping."""

import datetime
from collections.abc import Mapping
from typing import Any

from kubeshim.machinery import objects
from kubeshim.machinery.tables import cells

_ROLE_PREFIX, _ROLE_LABEL = "node-role.kubernetes.io/", "kubernetes.io/role"


def node(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    status = cells.status(obj)
    info = status.get("nodeInfo") or {}
    ready = cells.condition_status(status.get("conditions"), "Ready")
    state = "Unknown" if ready is None else "Ready" if ready == "True" else "NotReady"
    if cells.spec(obj).get("unschedulable"):
        state += ",SchedulingDisabled"
    kernel = info.get("kernelVersion") or cells.UNKNOWN
    if info.get("architecture"):
        kernel += f" ({info['architecture']})"
    return [
        cells.name(obj),
        state,
        ",".join(_roles(obj)) or cells.NONE,
        cells.age(obj, now),
        info.get("kubeletVersion", ""),
        _address(status, "InternalIP"),
        _address(status, "ExternalIP"),
        info.get("osImage") or cells.UNKNOWN,
        kernel,
        info.get("containerRuntimeVersion") or cells.UNKNOWN,
    ]


def _roles(obj: objects.Object) -> list[str]:
    found = set()
    for key, value in objects.labels(obj).items():
        if key.startswith(_ROLE_PREFIX):
            found.add(key.removeprefix(_ROLE_PREFIX))
        elif key == _ROLE_LABEL:
            found.add(value)
    return sorted(found - {""})


def _address(status: Mapping[str, Any], kind: str) -> str:
    for entry in status.get("addresses") or ():
        if entry.get("type") == kind:
            return str(entry["address"])
    return cells.NONE


def namespace(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    return [cells.name(obj), cells.status(obj).get("phase", ""), cells.age(obj, now)]


def component_status(obj: objects.Object, _now: datetime.datetime) -> cells.Cells:
    for condition in obj.get("conditions") or ():
        if condition.get("type") == "Healthy":
            state = "Healthy" if condition.get("status") == "True" else "Unhealthy"
            return [cells.name(obj), state, condition.get("message", ""), condition.get("error", "")]
    return [cells.name(obj), "Unknown", "", ""]


def event(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    """An Event of the core group, or of events.k8s.io, which names the same things differently."""
    source = obj.get("source") or obj.get("deprecatedSource") or {}
    target = obj.get("involvedObject") or obj.get("regarding") or {}
    series = obj.get("series")
    first = obj.get("firstTimestamp") or obj.get("deprecatedFirstTimestamp") or obj.get("eventTime")
    last = obj.get("lastTimestamp") or obj.get("deprecatedLastTimestamp") or first
    count = obj.get("count") or obj.get("deprecatedCount") or 1
    if series:
        last, count = series.get("lastObservedTime"), series.get("count", 0)
    kind, name = str(target.get("kind", "")).lower(), target.get("name")
    component = source.get("component") or obj.get("reportingComponent") or obj.get("reportingController") or ""
    instance = source.get("host") or obj.get("reportingInstance") or ""
    return [
        cells.since(last, now),
        obj.get("type", ""),
        obj.get("reason", ""),
        f"{kind}/{name}" if name else kind,
        target.get("fieldPath", ""),
        f"{component}, {instance}" if instance else component,
        str(obj.get("message") or obj.get("note") or "").strip(),
        cells.since(first, now),
        count,
        cells.name(obj),
    ]


def lease(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    return [cells.name(obj), cells.spec(obj).get("holderIdentity") or "", cells.age(obj, now)]


def priority_class(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    return [
        cells.name(obj), obj.get("value") or 0, bool(obj.get("globalDefault")), cells.age(obj, now),
        obj.get("preemptionPolicy") or "",
    ]  # fmt: skip


def runtime_class(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    return [cells.name(obj), obj.get("handler", ""), cells.age(obj, now)]


def flow_schema(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    spec = cells.spec(obj)
    dangling = cells.condition_status(cells.status(obj).get("conditions"), "Dangling")
    return [
        cells.name(obj),
        objects.dig(spec, "priorityLevelConfiguration", "name", default=""),
        spec.get("matchingPrecedence") or 0,
        objects.dig(spec, "distinguisherMethod", "type", default=cells.NONE),
        cells.age(obj, now),
        "?" if dangling is None else dangling,
    ]


def priority_level(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    spec = cells.spec(obj)
    limited = spec.get("limited") or {}
    queuing = objects.dig(limited, "limitResponse", "queuing", default={})
    return [
        cells.name(obj),
        spec.get("type", ""),
        limited.get("nominalConcurrencyShares", cells.NONE),
        queuing.get("queues", cells.NONE),
        queuing.get("handSize", cells.NONE),
        queuing.get("queueLengthLimit", cells.NONE),
        cells.age(obj, now),
    ]


def api_service(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    service = cells.spec(obj).get("service")
    backend = f"{service.get('namespace', '')}/{service.get('name', '')}" if service else "Local"
    available = "Unknown"
    for condition in cells.status(obj).get("conditions") or ():
        if condition.get("type") == "Available":
            available = condition.get("status", "Unknown")
            if available != "True" and condition.get("reason"):
                available += f" ({condition['reason']})"
    return [cells.name(obj), backend, available, cells.age(obj, now)]


def storage_version_migration(obj: objects.Object, _now: datetime.datetime) -> cells.Cells:
    target, state = cells.spec(obj).get("resource") or {}, "Unknown"
    for condition in cells.status(obj).get("conditions") or ():
        if condition.get("status") == "True" and condition.get("type") in ("Running", "Failed", "Succeeded"):
            state = condition["type"]
    return [cells.name(obj), ".".join(target[part] for part in ("resource", "group") if target.get(part)), state]


def custom_resource_definition(obj: objects.Object, _now: datetime.datetime) -> cells.Cells:
    spec = cells.spec(obj)
    return [
        cells.name(obj),
        spec.get("group", ""),
        spec.get("scope", ""),
        ",".join(sorted(version["name"] for version in spec.get("versions") or ())),
        obj["metadata"].get("creationTimestamp"),
    ]
