"""Key pairs for pods' certificates: made here, never sent anywhere. Pure but for the source of randomness."""

import base64
import re
from collections.abc import Callable

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

_KINDS: dict[str, Callable[[], Key]] = {
    "RSA3072": lambda: rsa.generate_private_key(65537, 3072),
    "RSA4096": lambda: rsa.generate_private_key(65537, 4096),
    "ECDSAP256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ECDSAP384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ECDSAP521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "ED25519": ed25519.Ed25519PrivateKey.generate,
}
_BLOCK = re.compile(r"-----BEGIN ([^-]+)-----(.*?)-----END \1-----", re.DOTALL)


def generate(kind: str) -> tuple[bytes, str]:
    """The private key in PEM (PKCS #8), and a request that says nothing but its public key. Raises ``ValueError``."""
    if kind not in _KINDS:
        raise ValueError(f'unknown key type "{kind}"')
    key = _KINDS[kind]()
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, form, plain)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, algorithm)
    return pem, base64.b64encode(request.public_bytes(serialization.Encoding.DER)).decode()


def clean(chain: str) -> bytes:
    """A chain without what stands between its blocks and in their headers."""
    found = b""
    for _, body in _BLOCK.findall(chain):
        text = re.sub(r"^[\w-]+:.*$", "", body, flags=re.MULTILINE)
        encoded = base64.b64encode(base64.b64decode("".join(text.split()))).decode()
        lines = [encoded[start : start + 64] for start in range(0, len(encoded), 64)]
        found += "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""]).encode()
    return found
