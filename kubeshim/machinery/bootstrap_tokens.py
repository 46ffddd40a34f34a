"""Bootstrap tokens, ``abcdef.0123456789abcdef``: Secrets in kube-system that let a new node in. Pure.

A token is public by its first half, the ID, which names its Secret and its signature, and secret by its second. The
signature is that of a document the joiner fetches before it trusts anybody: a detached JWS (RFC 7515, appendix F)
over the ``kubeconfig`` of the ConfigMap ``cluster-info``, keyed with the token's secret.
"""

import base64
import binascii
import dataclasses
import datetime
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Sequence
from typing import Any

from kubeshim import clock
from kubeshim.machinery.objects import Object

NAMESPACE = "kube-system"
TYPE = "bootstrap.kubernetes.io/token"
PREFIX = "bootstrap-token-"
DEFAULT_GROUP = "system:bootstrappers"
NODE_GROUP = "system:bootstrappers:kubeadm:default-node-token"
"""Whose bearers may ask for a node's certificate: the roles that kubeadm binds are bound to this group."""
USAGES = ("signing", "authentication")

INFO_NAMESPACE, INFO_NAME = "kube-public", "cluster-info"
KUBECONFIG_KEY = "kubeconfig"
SIGNATURE_PREFIX = "jws-kubeconfig-"

_TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
_ID = re.compile(r"[a-z0-9]{6}")
_GROUP = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]")
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


@dataclasses.dataclass(frozen=True, slots=True)
class Token:
    """What a Secret says, unchecked as to time and usage."""

    identifier: str
    secret: str
    usages: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    expiration: str = ""
    """RFC 3339; empty for never."""
    description: str = ""

    @property
    def text(self) -> str:
        return f"{self.identifier}.{self.secret}"

    def is_expired(self, now: datetime.datetime) -> bool:
        """What cannot be read must not count as "never"."""
        left = seconds_left(self.expiration, now)
        return left is not None and left <= 0


def parse(text: str) -> tuple[str, str]:
    """ID and secret. Raises ``ValueError``."""
    match = _TOKEN.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a bootstrap token, which looks like abcdef.0123456789abcdef")
    return match[1], match[2]


def is_identifier(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def is_group(text: str) -> bool:
    """Whether a token may put its bearer into that group."""
    return _GROUP.fullmatch(text) is not None


def generate() -> str:
    return ".".join("".join(secrets.choice(_LETTERS) for _ in range(length)) for length in (6, 16))


def seconds_left(expiration: str, now: datetime.datetime) -> float | None:
    """None for never, 0 for a moment that cannot be read."""
    if not expiration:
        return None
    try:
        return (clock.parse_rfc3339(expiration) - now).total_seconds()
    except ValueError:
        return 0.0


def of_secret(secret: Object) -> Token | None:
    """None where the Secret is no token, or does not have the name its token asks for."""
    if secret.get("type") != TYPE:
        return None
    data = {key: _decoded(value) for key, value in (secret.get("data") or {}).items()}
    identifier, half = data.get("token-id", ""), data.get("token-secret", "")
    if not is_identifier(identifier) or not half or secret["metadata"]["name"] != PREFIX + identifier:
        return None
    return Token(
        identifier,
        half,
        tuple(usage for usage in USAGES if data.get(f"usage-bootstrap-{usage}") == "true"),
        tuple(group for group in data.get("auth-extra-groups", "").split(",") if group),
        data.get("expiration", ""),
        data.get("description", ""),
    )


def expiration_of(secret: Object) -> str:
    return _decoded((secret.get("data") or {}).get("expiration", ""))


def secret_of(token: Token) -> Object:
    data = {"token-id": token.identifier, "token-secret": token.secret}
    data |= {f"usage-bootstrap-{usage}": "true" for usage in token.usages}
    optional = {
        "auth-extra-groups": ",".join(token.groups),
        "expiration": token.expiration,
        "description": token.description,
    }
    data |= {key: value for key, value in optional.items() if value}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": PREFIX + token.identifier, "namespace": NAMESPACE},
        "type": TYPE,
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
    }


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value).decode()
    except ValueError:
        return ""


# ------------------------------------------------------------------------------------------------- signatures


def sign(document: str, identifier: str, secret: str) -> str:
    """``HEADER..SIGNATURE``; the middle part, the document, travels beside it."""
    header = _base64url(json.dumps({"alg": "HS256", "kid": identifier}, separators=(",", ":")).encode())
    return f"{header}..{_signature(header, document, secret)}"


def verify(document: str, signature: str, identifier: str, secret: str) -> bool:
    header, _, rest = signature.partition(".")
    payload, _, given = rest.partition(".")
    try:
        fields = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))
    except (ValueError, binascii.Error):
        return False
    if payload or not isinstance(fields, dict) or fields.get("alg") != "HS256" or fields.get("kid") != identifier:
        return False
    return hmac.compare_digest(_signature(header, document, secret), given)


def signed(info: Object, tokens: Sequence[Token]) -> dict[str, str] | None:
    """The data of ``cluster-info`` with just these tokens' signatures; None where there is nothing to sign."""
    data: dict[str, Any] = info.get("data") or {}
    document = data.get(KUBECONFIG_KEY)
    if document is None:
        return None
    others = {key: value for key, value in data.items() if not key.startswith(SIGNATURE_PREFIX)}
    made = {SIGNATURE_PREFIX + one.identifier: sign(document, one.identifier, one.secret) for one in tokens}
    return {**others, **made}


def _signature(header: str, document: str, secret: str) -> str:
    text = f"{header}.{_base64url(document.encode())}"
    return _base64url(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
