"""Certificate signing requests: who asks is written down by the server, and the request never changes.

The identity of the requester comes from the admission plugin that knows the user; this strategy keeps it as it was.
"""

from kubeshim.control_plane.api_server.strategies import strategy
from kubeshim.machinery import errors, objects, resources
from kubeshim.machinery.validation import others

_FINAL = ("Approved", "Denied", "Failed")


class CertificateSigningRequest(strategy.Strategy):
    def prepare_for_create(self, resource: resources.Resource, obj: objects.Object) -> None:
        obj["status"] = {}

    def prepare_for_update(self, resource: resources.Resource, obj: objects.Object, old: objects.Object) -> None:
        super().prepare_for_update(resource, obj, old)
        obj["spec"] = old.get("spec") or {}

    def prepare_for_status_update(self, resource: resources.Resource, obj: objects.Object, old: objects.Object) -> None:
        """Approval and denial have a door of their own: the conditions that decide stay."""
        super().prepare_for_status_update(resource, obj, old)
        status = obj.setdefault("status", {})
        kept = [c for c in objects.dig(old, "status", "conditions", default=()) if c.get("type") in _FINAL[:2]]
        new = [c for c in status.get("conditions") or () if c.get("type") not in _FINAL[:2]]
        if kept or new:
            status["conditions"] = kept + new

    def validate(self, resource: resources.Resource, obj: objects.Object) -> list[errors.FieldError]:
        return others.signing_request(obj)
