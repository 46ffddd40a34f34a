"""Events: stored in the core group's form, served in that of ``events.k8s.io`` too."""

from kubeshim.control_plane.api_server.strategies import strategy
from kubeshim.machinery import errors, objects, resources
from kubeshim.machinery.validation import content, fields

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
        wrong = _namespace(resource, obj)
        if not obj.get("eventTime") or not resource.group:
            return wrong
        for field in ("reportingController", "reportingInstance", "action", "reason"):
            if not obj.get(field):
                wrong.append(fields.required(field))
        if name := obj.get("reportingController"):
            wrong += fields.all_invalid("reportingController", name, content.qualified_name(name))
        for field, limit in (("reportingInstance", 128), ("action", 128), ("reason", 128), ("note", 1024)):
            if len(obj.get(field) or "") > limit:
                wrong.append(fields.invalid(field, "", f"can have at most {limit} characters"))
        if obj.get("type") not in ("Normal", "Warning"):
            wrong.append(fields.invalid("type", "", "has invalid value: " + str(obj.get("type") or "")))
        return wrong


def _namespace(resource: resources.Resource, obj: objects.Object) -> list[errors.FieldError]:
    """An event lives where its object does; those about cluster-wide objects live in ``default``."""
    field = "regarding" if resource.group else "involvedObject"
    about = objects.dig(obj, field, "namespace", default="")
    own = objects.namespace(obj)
    if own == about or (not about and own in ("default", "kube-system")):
        return []
    return [fields.invalid("involvedObject.namespace", about, "does not match event.namespace")]
