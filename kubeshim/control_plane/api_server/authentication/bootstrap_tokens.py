"""Bootstrap tokens: what a new node shows before it has a certificate. Only a Secret's presence makes one good."""

import hmac

from kubeshim import clock
from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server.admission import plugin
from kubeshim.control_plane.api_server.authentication import service_accounts
from kubeshim.machinery import bootstrap_tokens, objects


class BootstrapTokens:
    def __init__(self, reader: plugin.Reader, *, time_source: clock.Clock = clock.SYSTEM) -> None:
        self._reader = reader
        self._clock = time_source

    def authenticate(self, token: str) -> request.UserInfo | None:
        """None for whatever is not a good bootstrap token: it is not said why."""
        try:
            identifier, half = bootstrap_tokens.parse(token)
        except ValueError:
            return None
        name = bootstrap_tokens.PREFIX + identifier
        secret = self._reader.get(service_accounts.SECRETS, bootstrap_tokens.NAMESPACE, name)
        known = None if secret is None or objects.is_deleting(secret) else bootstrap_tokens.of_secret(secret)
        if known is None or not hmac.compare_digest(known.secret.encode(), half.encode()):
            return None
        if "authentication" not in known.usages or known.is_expired(self._clock.now()):
            return None
        if not all(map(bootstrap_tokens.is_group, known.groups)):
            return None
        groups = (bootstrap_tokens.DEFAULT_GROUP, *sorted(known.groups), "system:authenticated")
        return request.UserInfo(f"system:bootstrap:{identifier}", tuple(dict.fromkeys(groups)))
