"""CertificateSubjectRestriction: nobody gets a client certificate that makes them ``system:masters``."""

import base64
import binascii

from cryptography import x509

from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server.admission import plugin, refusals
from kubeshim.machinery import objects

_SIGNER = "kubernetes.io/kube-apiserver-client"


class CertificateSubjectRestriction:
    resources = frozenset(("certificatesigningrequests.certificates.k8s.io",))

    def validate(self, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
        if attributes.operation != "CREATE" or attributes.subresource:
            return
        if objects.dig(attributes.object, "spec", "signerName") != _SIGNER:
            return
        try:
            groups = _organizations(str(objects.dig(attributes.object, "spec", "request", default="")))
        except (ValueError, binascii.Error) as problem:
            why = "failed to parse CSR: PEM block type must be CERTIFICATE REQUEST"
            raise refusals.forbidden(attributes, why) from problem
        if request.MASTERS in groups:
            raise refusals.forbidden(attributes, f"use of {_SIGNER} signer with {request.MASTERS} group is not allowed")


def _organizations(text: str) -> list[str]:
    """Of the subject of a request in base64 of PEM. Raises ``ValueError``."""
    parsed = x509.load_pem_x509_csr(base64.b64decode(text))
    return [str(entry.value) for entry in parsed.subject.get_attributes_for_oid(x509.NameOID.ORGANIZATION_NAME)]
