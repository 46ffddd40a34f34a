"""Requests and certificates the samples need, made anew for each run."""

import base64
import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import oid


def replacements() -> dict[str, Any]:
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(_named("someone")).sign(key, hashes.SHA256())
    empty = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    return {
        "CSR": text(request.public_bytes(serialization.Encoding.PEM)),
        "CA": authority(key).decode(),
        "POD_CERTIFICATE_REQUEST": {
            "spec": {
                "signerName": "example.com/coverage", "podName": "p", "podUID": "u", "serviceAccountName": "default",
                "serviceAccountUID": "v", "nodeName": "n", "nodeUID": "w",
                "stubPKCS10Request": text(empty.public_bytes(serialization.Encoding.DER)),
            }
        },
    }  # fmt: skip


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid.NameOID.COMMON_NAME, name)])


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def authority(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A certificate of an authority that signs itself, as PEM."""
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(_named("ca"))
        .issuer_name(_named("ca"))
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)
