"""PersistentVolumes: the server writes down when the phase last changed."""

from kubeshim import clock
from kubeshim.control_plane.api_server.strategies.checked import Checked
from kubeshim.machinery import objects, resources

_SINCE = "lastPhaseTransitionTime"


class PersistentVolume(Checked):
    def prepare_for_create(self, resource: resources.Resource, obj: objects.Object) -> None:
        super().prepare_for_create(resource, obj)
        obj["status"][_SINCE] = clock.rfc3339(clock.SYSTEM.now())

    def prepare_for_status_update(self, resource: resources.Resource, obj: objects.Object, old: objects.Object) -> None:
        """Who changes the phase may say since when; unless they do, it is now."""
        super().prepare_for_status_update(resource, obj, old)
        status, before = obj.get("status") or {}, old.get("status") or {}
        if status.get("phase") != before.get("phase") and status.get(_SINCE) in (None, before.get(_SINCE)):
            obj["status"] = {**status, _SINCE: clock.rfc3339(clock.SYSTEM.now())}
