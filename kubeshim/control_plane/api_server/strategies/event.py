"""Events: stored in the core group's form, served in that of ``events.k8s.io`` too."""

from kubeshim.control_plane.api_server.strategies import strategy
from kubeshim.machinery import errors, objects, resources
from kubeshim.machinery.validation import events

_RENAMED = {
    "regarding": "involvedObject",
    "note": "message",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
    "reportingController": "reportingComponent",
}
_BACK = {core: new for new, core in _RENAMED.items()}


class Event(strategy.Strategy):
    allow_create_on_update = True
    dependents = "ignore"

    def to_storage(self, resource: resources.Resource, obj: objects.Object) -> objects.Object:
        if not resource.group:
            return obj
        stored = {_RENAMED.get(field, field): value for field, value in obj.items()}
        stored["apiVersion"] = "v1"
        return stored

    def from_storage(self, resource: resources.Resource, obj: objects.Object) -> objects.Object:
        if not resource.group:
            return obj
        served = {_BACK.get(field, field): value for field, value in obj.items()}
        served["apiVersion"] = resource.api_version
        return served

    def validate(self, resource: resources.Resource, obj: objects.Object) -> list[errors.FieldError]:
        return events.event(self.to_storage(resource, obj), is_newer=bool(resource.group))

    def validate_change(
        self, resource: resources.Resource, obj: objects.Object, old: objects.Object
    ) -> list[errors.FieldError]:
        new, before = self.to_storage(resource, obj), self.to_storage(resource, old)
        return events.change(new, before, is_newer=bool(resource.group))
