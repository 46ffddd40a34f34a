"""Bootstrap tokens of a cluster: made, listed, taken back; and what a machine is told to join with one."""

import dataclasses
import datetime
from collections.abc import Sequence

from kubeshim import clock
from kubeshim.cluster import api, configuration, discovery, layout
from kubeshim.machinery import bootstrap_tokens

DEFAULT_TTL = 24 * 3600.0
_PATH = f"/api/v1/namespaces/{bootstrap_tokens.NAMESPACE}/secrets"


class TokenFailed(Exception):
    """It cannot be done; the message says why."""


class Tokens:
    """Of one cluster on this machine, whose administrator we are."""

    def __init__(self, name: str) -> None:
        self._where = layout.Layout.of(name)
        try:
            self._config = configuration.load(self._where.configuration)
        except FileNotFoundError as error:
            raise TokenFailed(f"no cluster {name!r}; start one with kubeshim up --name {name}") from error
        if self._config.joined is not None:
            raise TokenFailed(f"this machine only joined the cluster {name!r}: tokens are made where it was started")
        self._admin = api.API(self._where.pki / "admin.conf", self._config.port)

    def create(
        self,
        text: str = "",
        *,
        seconds: float = DEFAULT_TTL,
        groups: Sequence[str] = (bootstrap_tokens.NODE_GROUP,),
        usages: Sequence[str] = bootstrap_tokens.USAGES,
        description: str = "",
    ) -> bootstrap_tokens.Token:
        """``seconds`` of 0 mean for ever. Raises ``TokenFailed``."""
        try:
            identifier, half = bootstrap_tokens.parse(text or bootstrap_tokens.generate())
        except ValueError as error:
            raise TokenFailed(str(error)) from error
        if wrong := [group for group in groups if not bootstrap_tokens.is_group(group)]:
            raise TokenFailed(f"{wrong[0]!r} is not a group for tokens: they begin with system:bootstrappers:")
        if wrong := [usage for usage in usages if usage not in bootstrap_tokens.USAGES]:
            raise TokenFailed(f"{wrong[0]!r} is not a usage; there are {', '.join(bootstrap_tokens.USAGES)}")
        end = clock.SYSTEM.now() + datetime.timedelta(seconds=seconds)
        made = bootstrap_tokens.Token(
            identifier, half, tuple(usages), tuple(groups), clock.rfc3339(end) if seconds else "", description
        )
        try:
            self._admin.call("POST", _PATH, bootstrap_tokens.secret_of(made))
        except api.APIError as error:
            if error.status == 409:
                raise TokenFailed(f"there is a token {identifier} already") from error
            raise
        return made

    def list(self) -> "list[bootstrap_tokens.Token]":
        found = self._admin.call("GET", f"{_PATH}?fieldSelector=type%3D{bootstrap_tokens.TYPE.replace('/', '%2F')}")
        known = [bootstrap_tokens.of_secret(secret) for secret in found["items"]]
        return [token for token in known if token is not None]

    def delete(self, text: str) -> str:
        """By ID or whole token; returns the ID."""
        identifier = text.partition(".")[0]
        if not bootstrap_tokens.is_identifier(identifier):
            raise TokenFailed(f"{text!r} is neither a token nor the ID of one")
        try:
            self._admin.call("DELETE", f"{_PATH}/{bootstrap_tokens.PREFIX}{identifier}")
        except api.APIError as error:
            if error.status == 404:
                raise TokenFailed(f"there is no token {identifier}") from error
            raise
        return identifier

    def join_command(self, token: bootstrap_tokens.Token) -> str:
        """What to type on the other machine. Raises ``TokenFailed`` where it could not reach this one."""
        if not self._config.advertise:
            raise TokenFailed(
                "the API server is reachable from this machine only; give it an address of this machine that others "
                f"can reach: kubeshim up --name {self._config.name} --advertise ADDRESS"
            )
        name = f" --name {self._config.name}" if self._config.name != "kubeshim" else ""
        return (
            f"kubeshim agent --join https://{self._config.advertise}:{self._config.port}{name} --token {token.text} "
            f"--ca-cert-hash {discovery.key_hash((self._where.pki / 'ca.crt').read_bytes())}"
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One token as ``kubeshim token list`` shows it."""

    token: str
    ttl: str
    expires: str
    usages: str
    description: str
    groups: str


def row(token: bootstrap_tokens.Token, now: datetime.datetime) -> Row:
    left = bootstrap_tokens.seconds_left(token.expiration, now)
    return Row(
        token.text,
        "<forever>" if left is None else "<expired>" if left <= 0 else _span(left),
        token.expiration or "<never>",
        ",".join(sorted(token.usages)) or "<none>",
        token.description or "<none>",
        ",".join(token.groups) or "<none>",
    )


def _span(seconds: float) -> str:
    for size, letter in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{int(seconds // size)}{letter}"
    return f"{int(seconds)}s"
