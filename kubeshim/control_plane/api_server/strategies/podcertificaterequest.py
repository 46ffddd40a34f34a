"""Pods' requests for certificates: only who may sign for the signer writes what has become of one."""

from kubeshim import clock
from kubeshim.control_plane.api_server.admission import signers
from kubeshim.control_plane.api_server.strategies import conditions, strategy
from kubeshim.control_plane.api_server.strategies.checked import Checked
from kubeshim.machinery import errors, objects, resources
from kubeshim.machinery.validation import fields

_FINAL = ("Issued", "Denied", "Failed")


class PodCertificateRequest(Checked):
    def prepare_for_status_update(self, resource: resources.Resource, obj: objects.Object, old: objects.Object) -> None:
        """What has been decided stays as it was said."""
        super().prepare_for_status_update(resource, obj, old)
        found, held = (objects.dig(one, "status", "conditions", default=[]) or [] for one in (obj, old))
        conditions.keep(found, held, _FINAL)
        conditions.date(found, held, clock.rfc3339(clock.SYSTEM.now()))

    def permitted(
        self, resource: resources.Resource, obj: objects.Object, old: objects.Object | None, asker: strategy.Asker
    ) -> list[errors.FieldError]:
        """Only a valid status is judged by who writes it."""
        if old is None or asker.subresource != "status" or obj.get("status") == old.get("status"):
            return []
        signer = str(objects.dig(old, "spec", "signerName", default=""))
        if self.validate_status_update(resource, obj, old):
            return []
        if signers.is_allowed(asker.authorizer, asker.user, "sign", signer):
            return []
        who = fields.quote(asker.user.name)
        text = f'User {who} is not permitted to "sign" for signer {fields.quote(signer)}'
        return [fields.forbidden("spec.signerName", text)]
