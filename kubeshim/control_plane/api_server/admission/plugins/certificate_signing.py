"""CertificateSigning: who writes a certificate or conditions into a request must be allowed to sign for its signer."""

from collections.abc import Callable

from kubeshim.control_plane.api_server.admission import plugin, refusals, signers
from kubeshim.control_plane.api_server.authorization import attributes as questions
from kubeshim.machinery import objects


class CertificateSigning:
    resources = frozenset(("certificatesigningrequests.certificates.k8s.io",))

    def __init__(self, authorizer: Callable[[], questions.Authorizer]) -> None:
        self._authorizer = authorizer

    def validate(self, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
        new, old = attributes.object, attributes.old_object
        if attributes.operation != "UPDATE" or attributes.subresource != "status":
            return
        if all(
            (objects.dig(new, "status", field) or None) == (objects.dig(old, "status", field) or None)
            for field in ("certificate", "conditions")
        ):
            return
        signer = str(objects.dig(old, "spec", "signerName", default=""))
        if not signers.is_allowed(self._authorizer(), attributes.user, "sign", signer):
            raise refusals.forbidden(attributes, f'user not permitted to sign requests with signerName "{signer}"')
