"""Key pairs: out of Secrets, checked, since one that HAProxy cannot read would keep all others from being served."""

import base64
import binascii

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from kubeshim import pki
from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object


class Unusable(Exception):
    """There is no such pair, or its parts do not belong together."""


def pem_of(secret: Object | None) -> bytes:
    """The certificate chain and the key of a Secret of type ``kubernetes.io/tls``, in one PEM text."""
    if secret is None:
        raise Unusable("does not exist")
    certificate, key = _part(secret, "tls.crt"), _part(secret, "tls.key")
    try:
        chain = x509.load_pem_x509_certificates(certificate)
        private = serialization.load_pem_private_key(key, None)
        if chain[0].public_key() != private.public_key():
            raise Unusable("tls.key is not the key of tls.crt")
        # written anew: nothing but what was understood reaches HAProxy
        parts = [entry.public_bytes(serialization.Encoding.PEM) for entry in chain]
        parts.append(
            private.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
    except (ValueError, TypeError) as error:
        raise Unusable(f"cannot be read: {error}") from error
    return b"".join(parts)


def _part(secret: Object, name: str) -> bytes:
    text = objects.dig(secret, "data", name)
    if not text:
        raise Unusable(f"has no {name}")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise Unusable(f"{name} is not base64") from error


def self_signed() -> bytes:
    """Shown to clients who ask for a host without a certificate of its own; nobody trusts it."""
    authority = pki.Authority.create("kubeshim ingress")
    certificate, key = authority.issue(
        "kubeshim ingress default", dns=["ingress.local"], usages=pki.SERVER, days=pki.CA_DAYS
    )
    return certificate + key
