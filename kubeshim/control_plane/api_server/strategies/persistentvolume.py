"""Persistent volumes: say since when they are in their phase."""

from kubeshim import clock
from kubeshim.control_plane.api_server.strategies import checked
from kubeshim.machinery import objects, resources

_SINCE = "lastPhaseTransitionTime"


class PersistentVolume(checked.Checked):
    def prepare_for_create(self, resource: resources.Resource, obj: objects.Object) -> None:
        super().prepare_for_create(resource, obj)
        obj["status"] = {"phase": "Pending", _SINCE: clock.rfc3339(clock.SYSTEM.now())}

    def prepare_for_status_update(self, resource: resources.Resource, obj: objects.Object, old: objects.Object) -> None:
        """Who changes the phase need not say when."""
        super().prepare_for_status_update(resource, obj, old)
        status, before = obj.setdefault("status", {}), old.get("status") or {}
        said, known = status.get(_SINCE), before.get(_SINCE)
        if status.get("phase") != before.get("phase"):
            if not said or said == known:
                status[_SINCE] = clock.rfc3339(clock.SYSTEM.now())
        elif not said and known:
            status[_SINCE] = known
