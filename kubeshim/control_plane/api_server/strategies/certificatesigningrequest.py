"""Certificate signing requests: who asks is written down by the server, and the request never changes.

The identity of the requester comes from the admission plugin that knows the user; this strategy keeps it as it was.
"""

from kubeshim import clock
from kubeshim.control_plane.api_server.strategies import conditions, strategy
from kubeshim.machinery import errors, objects, resources
from kubeshim.machinery.validation import certificates

_DECISIONS = ("Approved", "Denied")


class CertificateSigningRequest(strategy.Strategy):
    def prepare_for_create(self, resource: resources.Resource, obj: objects.Object) -> None:
        obj["status"] = {}

    def prepare_for_update(self, resource: resources.Resource, obj: objects.Object, old: objects.Object) -> None:
        super().prepare_for_update(resource, obj, old)
        obj["spec"] = old.get("spec") or {}

    def prepare_for_status_update(self, resource: resources.Resource, obj: objects.Object, old: objects.Object) -> None:
        """Approval and denial have a door of their own: the conditions that decide stay as they are."""
        super().prepare_for_status_update(resource, obj, old)
        found = objects.dig(obj, "status", "conditions", default=[]) or []
        held = objects.dig(old, "status", "conditions", default=[]) or []
        conditions.keep(found, held, _DECISIONS)
        now = clock.rfc3339(clock.SYSTEM.now())
        conditions.date(found, held, now)
        for one in found:
            if not one.get("lastUpdateTime"):
                one["lastUpdateTime"] = now

    def validate(self, resource: resources.Resource, obj: objects.Object) -> list[errors.FieldError]:
        return certificates.signing_request(obj)

    def validate_status_update(
        self, resource: resources.Resource, obj: objects.Object, old: objects.Object
    ) -> list[errors.FieldError]:
        return certificates.signing_status(obj, old)
