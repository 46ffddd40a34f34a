"""Rows of volumes, claims, their classes and drivers, and of devices."""

import datetime
from collections.abc import Iterable, Sequence

from kubeshim.machinery import class_defaults, objects
from kubeshim.machinery.tables import cells

_ACCESS_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
_CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"


def volume(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    spec, status = cells.spec(obj), cells.status(obj)
    claim = spec.get("claimRef")
    return [
        cells.name(obj),
        objects.dig(spec, "capacity", "storage", default="0"),
        _modes(spec.get("accessModes") or ()),
        spec.get("persistentVolumeReclaimPolicy", ""),
        _phase(obj),
        f"{claim.get('namespace', '')}/{claim.get('name', '')}" if claim else "",
        _class(obj),
        _or_unset(spec.get("volumeAttributesClassName")),
        status.get("reason", ""),
        cells.age(obj, now),
        _or_unset(spec.get("volumeMode")),
    ]


def claim(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    spec, status = cells.spec(obj), cells.status(obj)
    bound = spec.get("volumeName", "")
    return [
        cells.name(obj),
        _phase(obj),
        bound,
        objects.dig(status, "capacity", "storage", default="0") if bound else "",
        _modes(status.get("accessModes") or ()) if bound else "",
        _class(obj),
        _or_unset(spec.get("volumeAttributesClassName")),
        cells.age(obj, now),
        _or_unset(spec.get("volumeMode")),
    ]


def _phase(obj: objects.Object) -> str:
    return "Terminating" if objects.is_deleting(obj) else cells.status(obj).get("phase", "")


def _class(obj: objects.Object) -> str:
    annotated = objects.annotations(obj).get(_CLASS_ANNOTATION)
    return annotated if annotated is not None else cells.spec(obj).get("storageClassName") or ""


def _or_unset(value: str | None) -> str:
    return cells.UNSET if value is None else value


def _modes(modes: Iterable[str]) -> str:
    given = set(modes)
    return ",".join(short for mode, short in _ACCESS_MODES.items() if mode in given)


def storage_class(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    return [
        cells.name(obj),
        obj.get("provisioner", ""),
        obj.get("reclaimPolicy") or "Delete",
        obj.get("volumeBindingMode") or "Immediate",
        bool(obj.get("allowVolumeExpansion")),
        cells.age(obj, now),
    ]


def default_class(classes: Sequence[objects.Object]) -> str:
    """The name of the class that claims without one get: the youngest of those annotated, then by name."""
    found = class_defaults.pick(classes, *class_defaults.STORAGE)
    return objects.name(found) if found is not None else ""


def attributes_class(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    return [cells.name(obj), obj.get("driverName", ""), cells.age(obj, now)]


def attachment(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    spec = cells.spec(obj)
    return [
        cells.name(obj),
        spec.get("attacher", ""),
        objects.dig(spec, "source", "persistentVolumeName", default=""),
        spec.get("nodeName", ""),
        bool(cells.status(obj).get("attached")),
        cells.age(obj, now),
    ]


def csi_node(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    return [cells.name(obj), len(cells.spec(obj).get("drivers") or ()), cells.age(obj, now)]


def csi_driver(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    spec = cells.spec(obj)
    requests = spec.get("tokenRequests")
    return [
        cells.name(obj),
        spec.get("attachRequired") is not False,
        bool(spec.get("podInfoOnMount")),
        bool(spec.get("storageCapacity")),
        cells.UNSET if requests is None else ",".join(request.get("audience", "") for request in requests),
        bool(spec.get("requiresRepublish")),
        ",".join(spec.get("volumeLifecycleModes") or ()) or cells.NONE,
        cells.age(obj, now),
    ]


def csi_capacity(obj: objects.Object, _now: datetime.datetime) -> cells.Cells:
    return [cells.name(obj), obj.get("storageClassName", ""), _or_unset(obj.get("capacity"))]


def resource_claim(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    status, deleted = cells.status(obj), objects.is_deleting(obj)
    states = ["deleted"] if deleted else []
    if status.get("allocation") is None:
        states += [] if deleted else ["pending"]
    else:
        states += ["allocated", "reserved"] if status.get("reservedFor") else ["allocated"]
    return [cells.name(obj), ",".join(states), cells.age(obj, now)]


def device_taint(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    taint = cells.spec(obj).get("taint") or {}
    added = taint.get("timeAdded")
    return [
        cells.name(obj),
        *(taint.get(field, "") for field in ("key", "value", "effect")),
        cells.since(added, now) if added else "",
        cells.age(obj, now),
    ]


def resource_slice(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    spec = cells.spec(obj)
    pool = objects.dig(spec, "pool", "name", default="")
    return [cells.name(obj), spec.get("nodeName") or "", spec.get("driver", ""), pool, cells.age(obj, now)]


def name_and_age(obj: objects.Object, now: datetime.datetime) -> cells.Cells:
    return [cells.name(obj), cells.age(obj, now)]
