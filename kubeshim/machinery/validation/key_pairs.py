"""Whether a certificate and a private key in PEM belong together, in the words Go has for it."""

import re

from cryptography import x509
from cryptography.hazmat.primitives import serialization

_BLOCK = re.compile(
    rb"^-----BEGIN ([^\n-]+)-----[ \t\r]*\n(.*?)^-----END \1-----", re.MULTILINE | re.DOTALL
)  # what is between blocks does not matter


def problem(certificate: bytes, key: bytes) -> str:
    """Empty where all is well."""
    kinds = _kinds(certificate)
    if "CERTIFICATE" not in kinds:
        return _no_certificate(kinds)
    found = _kinds(key)
    if not any(kind == "PRIVATE KEY" or kind.endswith(" PRIVATE KEY") for kind in found):
        return _no_key(found)
    try:
        parsed = x509.load_pem_x509_certificate(certificate)
    except ValueError:
        return "x509: malformed certificate"
    try:
        private = serialization.load_pem_private_key(key, None)
    except (ValueError, TypeError):
        return "tls: failed to parse private key"
    public = parsed.public_key()
    if type(private.public_key()) is not type(public):
        return "tls: private key type does not match public key type"
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    if private.public_key().public_bytes(*form) != public.public_bytes(*form):
        return "tls: private key does not match public key"
    return ""


def _kinds(pem: bytes) -> list[str]:
    return [found[1].decode(errors="replace") for found in _BLOCK.finditer(pem)]


def _no_certificate(kinds: list[str]) -> str:
    if not kinds:
        return "tls: failed to find any PEM data in certificate input"
    if len(kinds) == 1 and kinds[0].endswith("PRIVATE KEY"):
        return (
            "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs "
            "may have been switched"
        )
    return (
        'tls: failed to find "CERTIFICATE" PEM block in certificate input after skipping PEM blocks of the following '
        f"types: [{' '.join(kinds)}]"
    )


def _no_key(kinds: list[str]) -> str:
    if not kinds:
        return "tls: failed to find any PEM data in key input"
    if kinds == ["CERTIFICATE"]:
        return "tls: found a certificate rather than a key in the PEM for the private key"
    return (
        'tls: failed to find PEM block with type ending in "PRIVATE KEY" in key input after skipping PEM blocks of '
        f"the following types: [{' '.join(kinds)}]"
    )
