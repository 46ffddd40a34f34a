"""CertificateApproval: who approves or denies a request must be allowed to approve for its signer."""

from collections.abc import Callable

from kubeshim.control_plane.api_server.admission import plugin, refusals, signers
from kubeshim.control_plane.api_server.authorization import attributes as questions
from kubeshim.machinery import objects


class CertificateApproval:
    resources = frozenset(("certificatesigningrequests.certificates.k8s.io",))

    def __init__(self, authorizer: Callable[[], questions.Authorizer]) -> None:
        self._authorizer = authorizer

    def validate(self, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
        if attributes.operation != "UPDATE" or attributes.subresource != "approval":
            return
        signer = str(objects.dig(attributes.old_object, "spec", "signerName", default=""))
        if not signers.is_allowed(self._authorizer(), attributes.user, "approve", signer):
            raise refusals.forbidden(attributes, f'user not permitted to approve requests with signerName "{signer}"')
