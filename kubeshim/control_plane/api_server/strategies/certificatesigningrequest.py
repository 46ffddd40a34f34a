"""Certificate signing requests: who asks is written down by the server, and the request never changes.

The identity of the requester comes from the admission plugin that knows the user; this strategy keeps it as it was.
"""

from typing import Any

from kubeshim import clock
from kubeshim.control_plane.api_server.strategies import strategy
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
        for kind in _DECISIONS:
            _keep(found, held, kind)
        _date(found, held, clock.rfc3339(clock.SYSTEM.now()))

    def validate(self, resource: resources.Resource, obj: objects.Object) -> list[errors.FieldError]:
        return certificates.signing_request(obj)

    def validate_status_update(
        self, resource: resources.Resource, obj: objects.Object, old: objects.Object
    ) -> list[errors.FieldError]:
        return certificates.signing_status(obj, old)


def _keep(found: list[Any], held: list[Any], kind: str) -> None:
    """Puts back what the old conditions of a type said; one more or less is for validation to refuse."""
    places = [index for index, one in enumerate(found) if one.get("type") == kind]
    before = [one for one in held if one.get("type") == kind]
    if len(places) == len(before):
        for index, one in zip(places, before, strict=True):
            found[index] = one


def _date(found: list[Any], held: list[Any], now: str) -> None:
    """Says when conditions changed, where the client does not."""
    known = {(one.get("type"), one.get("status")): one.get("lastTransitionTime") for one in held}
    for one in found:
        if not one.get("lastUpdateTime"):
            one["lastUpdateTime"] = now
        if not one.get("lastTransitionTime"):
            one["lastTransitionTime"] = known.get((one.get("type"), one.get("status"))) or now
