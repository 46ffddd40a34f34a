"""The order in which credentials are looked at, and what becomes of a request without any.

Front proxy, client certificate, bearer token (in ``Authorization`` or, from a browser's WebSocket, as a
sub-protocol), then anonymous. A token that is no good ends the matter: its bearer must not pass as anonymous.
"""

import dataclasses
import logging
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence

from kubeshim import clock
from kubeshim.control_plane.api_server import config as configuration
from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server.admission import plugin
from kubeshim.control_plane.api_server.authentication import (
    bootstrap_tokens,
    certificates,
    front_proxy,
    service_accounts,
)
from kubeshim.machinery import jwt, objects
from kubeshim.wire import exposition

_log = logging.getLogger(__name__)
SOCKET_PREFIX = "base64url.bearer.authorization.k8s.io."
FRONT_PROXY_NAMES = ("front-proxy-client",)
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_LIFETIMES = (0, 30 * _MINUTE, _HOUR, 2 * _HOUR, 6 * _HOUR, 12 * _HOUR, _DAY, 2 * _DAY, 4 * _DAY, 7 * _DAY, 30 * _DAY,
              90 * _DAY, 180 * _DAY, 360 * _DAY)  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What a token came to: ``user`` is None where it is no good, and ``error`` says why."""

    user: request.UserInfo | None
    audiences: tuple[str, ...] = ()
    error: str = ""
    warning: str = ""


class Authenticators:
    """What the authentication filter and TokenReview ask."""

    def __init__(
        self,
        config: configuration.Config,
        reader: plugin.Reader,
        *,
        legacy_token_used: Callable[[objects.Object, str], None] | None = None,
        time_source: clock.Clock = clock.SYSTEM,
    ) -> None:
        self._anonymous = config.anonymous
        self._certificates = certificates.Certificates(config.client_ca, config.front_proxy_ca, time_source=time_source)
        self._lifetimes = exposition.Histogram(
            "apiserver_client_certificate_expiration_seconds",
            "Seconds left of the certificates that requests were authenticated with.",
            _LIFETIMES,
        )
        self.audiences = tuple(config.token_audiences) or (config.token_issuer,)
        self.public_keys = (
            jwt.load_public_keys(pathlib.Path(config.service_account_key).read_bytes())
            if config.service_account_key
            else []
        )
        self.service_accounts = service_accounts.ServiceAccountTokens(
            jwt.Verifier(self.public_keys),
            reader,
            issuers=(config.token_issuer,),
            audiences=self.audiences,
            used=legacy_token_used,
            time_source=time_source,
        )
        self._bootstrap = (
            bootstrap_tokens.BootstrapTokens(reader, time_source=time_source)
            if config.enable_bootstrap_tokens
            else None
        )

    def metrics(self) -> Iterator[str]:
        return self._lifetimes.lines()

    def authenticate(self, asked: request.Request) -> request.UserInfo | None:
        """Who sent the request; None where it must be answered 401."""
        connection = asked.environ.get("wire.connection")
        der = connection.peer_certificate() if connection is not None else None
        if der is not None:
            identity = self._certificates.identify(der)
            if identity is not None and identity.user is not None:
                self._lifetimes.observe(self._certificates.remaining(identity))
                return identity.user
            if identity is not None:
                spoken_for = front_proxy.user(
                    asked.environ.get("wire.header_list") or asked.headers.items(),
                    identity.proxy_name,
                    FRONT_PROXY_NAMES,
                )
                if spoken_for is not None:
                    return spoken_for
        token = bearer_token(asked)
        if token:
            outcome = self.token(token)
            if outcome.user is None:
                _log.info("token refused: %s", outcome.error)
            elif outcome.warning:
                asked.warnings.append(outcome.warning)
            return outcome.user
        return request.ANONYMOUS if self._anonymous else None

    def token(self, token: str, audiences: Sequence[str] = ()) -> Outcome:
        """What TokenReview answers."""
        try:
            found = self.service_accounts.authenticate(token, audiences)
        except service_accounts.Rejected as problem:
            return Outcome(None, (), f"[invalid bearer token, {problem}]")
        if found is not None:
            user, meant, warning = found
            return Outcome(user, meant, warning=warning)
        bootstrapping = self._bootstrap.authenticate(token) if self._bootstrap is not None else None
        if bootstrapping is not None:
            # Bootstrap tokens know no audience: they are meant for the API server.
            meant = tuple(one for one in audiences if one in self.audiences)
            if audiences and not meant:
                return Outcome(None, (), "invalid bearer token")
            return Outcome(bootstrapping, meant)
        return Outcome(None, (), "invalid bearer token")


def bearer_token(asked: request.Request) -> str:
    """The token of a request, or ``""``."""
    scheme, _, token = asked.header("authorization").strip().partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    if asked.header("upgrade").lower() == "websocket":
        for protocol in _protocols(asked.header("sec-websocket-protocol")):
            if protocol.startswith(SOCKET_PREFIX):
                try:
                    return jwt.decode_segment(protocol.removeprefix(SOCKET_PREFIX)).decode()
                except (jwt.BadToken, UnicodeDecodeError):
                    return "malformed"
    return ""


def without_token(header: str) -> str:
    """A ``Sec-WebSocket-Protocol`` header without the token in it: it must not be passed on."""
    return ", ".join(one for one in _protocols(header) if not one.startswith(SOCKET_PREFIX))


def _protocols(header: str) -> Iterable[str]:
    return [part.strip() for part in header.split(",") if part.strip()]
