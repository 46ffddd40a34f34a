"""Taints of devices carry the time since when they are there."""

from typing import Any

from kubeshim import clock
from kubeshim.control_plane.api_server.strategies.checked import Checked
from kubeshim.machinery import objects, resources


class ResourceSlice(Checked):
    def prepare_for_create(self, resource: resources.Resource, obj: objects.Object) -> None:
        super().prepare_for_create(resource, obj)
        _date_all(obj)

    def prepare_for_update(self, resource: resources.Resource, obj: objects.Object, old: objects.Object) -> None:
        super().prepare_for_update(resource, obj, old)
        _date_all(obj)


def _date_all(obj: objects.Object) -> None:
    for device in objects.dig(obj, "spec", "devices", default=()) or ():
        for taint in device.get("taints") or ():
            _date(taint)


class DeviceTaintRule(Checked):
    def prepare_for_create(self, resource: resources.Resource, obj: objects.Object) -> None:
        super().prepare_for_create(resource, obj)
        _date(objects.dig(obj, "spec", "taint", default={}))

    def prepare_for_update(self, resource: resources.Resource, obj: objects.Object, old: objects.Object) -> None:
        """A changed effect begins now, unless the client says otherwise."""
        super().prepare_for_update(resource, obj, old)
        taint, before = (objects.dig(one, "spec", "taint", default={}) for one in (obj, old))
        if taint.get("effect") != before.get("effect") and taint.get("timeAdded") == before.get("timeAdded"):
            taint.pop("timeAdded", None)
        _date(taint)


def _date(taint: dict[str, Any]) -> None:
    if taint and not taint.get("timeAdded"):
        taint["timeAdded"] = clock.rfc3339(clock.SYSTEM.now())
