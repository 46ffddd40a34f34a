"""JSON Web Tokens signed with RS256, and no other kind. Pure.

The algorithm is fixed and never taken from the token: whoever could choose it could choose ``none``.
"""

import base64
import binascii
import hashlib
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa


class BadToken(Exception):
    """Not a token of ours: malformed, of an unknown key, or its signature is wrong."""


def encode_segment(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode_segment(text: str) -> bytes:
    """Raises ``BadToken``."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as problem:
        raise BadToken("not base64url") from problem


def load_private_key(pem: bytes) -> rsa.RSAPrivateKey:
    key = serialization.load_pem_private_key(pem, None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError("tokens are signed with RS256: the key must be an RSA key")
    return key


def load_public_keys(pem: bytes) -> list[rsa.RSAPublicKey]:
    """The RSA keys of a PEM file that holds public keys, or one private key."""
    if b"PRIVATE KEY" in pem:
        return [load_private_key(pem).public_key()]
    blocks = [b"-----BEGIN" + part for part in pem.split(b"-----BEGIN") if b"PUBLIC KEY" in part]
    found = [serialization.load_pem_public_key(block) for block in blocks]
    return [key for key in found if isinstance(key, rsa.RSAPublicKey)]


def key_id(key: rsa.RSAPublicKey) -> str:
    """A key's name in token headers and the key set: the hash of its DER form, as upstream names keys."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return encode_segment(hashlib.sha256(der).digest())


def sign(claims: dict[str, Any], key: rsa.RSAPrivateKey) -> str:
    """Takes about a millisecond of CPU: the server calls it in its thread pool."""
    header = orjson.dumps({"alg": "RS256", "kid": key_id(key.public_key())})
    signed = f"{encode_segment(header)}.{encode_segment(orjson.dumps(claims))}"
    signature = key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{signed}.{encode_segment(signature)}"


def peek(token: str) -> dict[str, Any]:
    """The claims, not verified. Raises ``BadToken``."""
    parts = token.split(".")
    if len(parts) != 3:
        raise BadToken("not a JWT")
    try:
        claims = orjson.loads(decode_segment(parts[1]))
    except orjson.JSONDecodeError as problem:
        raise BadToken("claims are not JSON") from problem
    if not isinstance(claims, dict):
        raise BadToken("claims are not an object")
    return claims


class Verifier:
    """Verifies signatures with a set of public keys."""

    def __init__(self, keys: list[rsa.RSAPublicKey]) -> None:
        self.keys = {key_id(key): key for key in keys}

    def verify(self, token: str) -> dict[str, Any]:
        """The claims of a token signed by one of the keys. Raises ``BadToken``."""
        claims = peek(token)
        head, payload, signature_text = token.split(".")
        try:
            header = orjson.loads(decode_segment(head))
        except orjson.JSONDecodeError as problem:
            raise BadToken("header is not JSON") from problem
        if not isinstance(header, dict) or header.get("alg") != "RS256" or "crit" in header:
            raise BadToken("not signed with RS256")
        named = self.keys.get(str(header.get("kid") or ""))
        signature = decode_segment(signature_text)
        for key in [named] if named else self.keys.values():
            try:
                key.verify(signature, f"{head}.{payload}".encode(), padding.PKCS1v15(), hashes.SHA256())
            except InvalidSignature:
                continue
            return claims
        raise BadToken("no key verifies the signature")


def key_set(keys: list[rsa.RSAPublicKey]) -> dict[str, Any]:
    """The JSON Web Key Set by which others verify our tokens."""
    return {
        "keys": [
            {
                "use": "sig",
                "kty": "RSA",
                "kid": key_id(key),
                "alg": "RS256",
                "n": encode_segment(_integer(key.public_numbers().n)),
                "e": encode_segment(_integer(key.public_numbers().e)),
            }
            for key in keys
        ]
    }


def _integer(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")
