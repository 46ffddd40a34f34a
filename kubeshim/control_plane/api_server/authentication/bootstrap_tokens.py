"""Bootstrap tokens, ``abcdef.0123456789abcdef``: what a new node shows before it has a certificate.

They are Secrets in kube-system named ``bootstrap-token-ID``; only their presence makes a token good.
"""

import base64
import hmac
import re

from kubeshim import clock
from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server.admission import plugin
from kubeshim.control_plane.api_server.authentication import service_accounts
from kubeshim.machinery import objects

_TOKEN = re.compile(r"([a-z0-9]{6})\.([a-z0-9]{16})")
_GROUP = re.compile(r"system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]")
_TYPE = "bootstrap.kubernetes.io/token"
DEFAULT_GROUP = "system:bootstrappers"


class BootstrapTokens:
    def __init__(self, reader: plugin.Reader, *, time_source: clock.Clock = clock.SYSTEM) -> None:
        self._reader = reader
        self._clock = time_source

    def authenticate(self, token: str) -> request.UserInfo | None:
        """None for whatever is not a good bootstrap token: it is not said why."""
        match = _TOKEN.fullmatch(token)
        if match is None:
            return None
        identifier, secret_part = match.groups()
        secret = self._reader.get(service_accounts.SECRETS, "kube-system", f"bootstrap-token-{identifier}")
        if secret is None or objects.is_deleting(secret) or secret.get("type") != _TYPE:
            return None
        data = {key: _text(value) for key, value in (secret.get("data") or {}).items()}
        if not hmac.compare_digest(data.get("token-secret", "").encode(), secret_part.encode()):
            return None
        if data.get("token-id") != identifier or data.get("usage-bootstrap-authentication") != "true":
            return None
        if self._expired(data.get("expiration", "")):
            return None
        extra = [group for group in data.get("auth-extra-groups", "").split(",") if group]
        if not all(_GROUP.fullmatch(group) for group in extra):
            return None
        groups = tuple(dict.fromkeys((DEFAULT_GROUP, *sorted(extra), "system:authenticated")))
        return request.UserInfo(f"system:bootstrap:{identifier}", groups)

    def _expired(self, text: str) -> bool:
        if not text:
            return False
        try:
            return clock.parse_rfc3339(text) <= self._clock.now()
        except ValueError:
            return True  # what cannot be read must not count as "never"


def _text(value: str) -> str:
    try:
        return base64.b64decode(value).decode()
    except ValueError:
        return ""
