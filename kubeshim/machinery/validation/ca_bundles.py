"""Certificates of authorities in PEM, base64 as in JSON, in the words Go's TLS has for what is no such thing."""

import base64
import binascii
import re

from cryptography import x509

_BLOCK = re.compile(rb"-----BEGIN ([^-\n]+)-----[ \t\r]*\n(.*?)-----END \1-----", re.DOTALL)


def problem(bundle: str) -> str:
    """Why nothing can be trusted by a ``caBundle``; empty if it can. One certificate that can be read is enough."""
    try:
        data = base64.b64decode(bundle)
    except (binascii.Error, ValueError):
        data = b""
    why = "unable to parse bytes as PEM block"
    for block in _BLOCK.finditer(data):
        if block[1] != b"CERTIFICATE" or b":" in block[2]:
            why = "no valid certificate authority data seen"
            continue
        try:
            x509.load_pem_x509_certificate(block[0])
        except ValueError:
            why = "failed to parse certificate: x509: malformed certificate"
            continue
        return ""
    return f"unable to load root certificates: {why}"
