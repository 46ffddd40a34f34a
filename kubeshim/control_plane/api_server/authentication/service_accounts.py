"""Service-account tokens: their claims, and whether one is still good.

A token is bound to its service account's UID and may be bound to a pod, a secret or a node as well; it dies with the
first of them. What was found is remembered for ``REMEMBERED_FOR`` seconds at most and forgotten at once when an object
it hangs on goes, so a deleted pod's token does not live on in memory.
"""

import dataclasses
import datetime
import hmac
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from kubeshim import clock
from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server.admission import plugin
from kubeshim.control_plane.api_server.authentication import certificates
from kubeshim.machinery import jwt, legacy_tokens, objects, resources

REMEMBERED_FOR = 10.0
LEEWAY = 60
"""Seconds by which clocks may differ; also how long a token outlives the deletion of what it is bound to."""
_AUTO_GENERATED = (
    "Use tokens from the TokenRequest API or manually created secret-based tokens instead of auto-generated "
    "secret-based tokens."
)
_PREFIX = "authentication.kubernetes.io/"
_CAPACITY = 20_000

ACCOUNTS = resources.GroupVersionResource("", "v1", "serviceaccounts")
PODS = resources.GroupVersionResource("", "v1", "pods")
SECRETS = resources.GroupVersionResource("", "v1", "secrets")
NODES = resources.GroupVersionResource("", "v1", "nodes")


class Rejected(Exception):
    """A token that is ours but not good; the message is upstream's and may be shown to the client."""


@dataclasses.dataclass(frozen=True, slots=True)
class Known:
    """A token that was good when looked at. ``until`` is the clock's monotonic time."""

    user: request.UserInfo
    audiences: tuple[str, ...]
    until: float
    uids: tuple[str, ...]
    """Objects whose deletion ends it."""
    warning: str = ""
    """What its bearer is told."""


def claims(
    account: objects.Object,
    *,
    issuer: str,
    audiences: Sequence[str],
    now: datetime.datetime,
    seconds: int,
    pod: objects.Object | None = None,
    secret: objects.Object | None = None,
    node: objects.Object | None = None,
    warn_after: int = 0,
) -> dict[str, Any]:
    """What a bound token says. ``node`` may accompany a pod: it is the pod's."""
    issued = int(now.timestamp())
    bound: dict[str, Any] = {"namespace": objects.namespace(account)}
    for label, obj in (("node", node), ("pod", pod), ("secret", secret), ("serviceaccount", account)):
        if obj is not None:
            bound[label] = {"name": objects.name(obj)} | ({"uid": objects.uid(obj)} if objects.uid(obj) else {})
    if warn_after:
        bound["warnafter"] = issued + warn_after
    return {
        "aud": list(audiences),
        "exp": issued + seconds,
        "iat": issued,
        "iss": issuer,
        "jti": str(uuid.uuid4()),
        "kubernetes.io": bound,
        "nbf": issued,
        "sub": username(objects.namespace(account), objects.name(account)),
    }


def username(namespace: str, name: str) -> str:
    return f"system:serviceaccount:{namespace}:{name}"


def split_username(name: str) -> tuple[str, str] | None:
    """(namespace, name) of a service account's user name."""
    parts = name.split(":")
    if len(parts) != 4 or parts[:2] != ["system", "serviceaccount"] or not parts[2] or not parts[3]:
        return None
    return parts[2], parts[3]


def groups(namespace: str) -> tuple[str, ...]:
    return ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")


class ServiceAccountTokens:
    """The authenticator."""

    def __init__(
        self,
        verifier: jwt.Verifier,
        reader: plugin.Reader,
        *,
        issuers: Sequence[str],
        audiences: Sequence[str],
        used: Callable[[objects.Object, str], None] | None = None,
        time_source: clock.Clock = clock.SYSTEM,
    ) -> None:
        """``audiences`` are the API server's own: a token must be meant for one of them to be used here.

        ``used`` is given the Secret that holds the token somebody came with, once a day, and that day.
        """
        self._verifier = verifier
        self._reader = reader
        self._issuers = frozenset(issuers)
        self._audiences = tuple(audiences)
        self._used = used
        self._clock = time_source
        self._known: dict[str, Known] = {}
        self._by_uid: dict[str, set[str]] = {}

    def authenticate(
        self, token: str, audiences: Sequence[str] = ()
    ) -> tuple[request.UserInfo, tuple[str, ...], str] | None:
        """The user, those of the wanted audiences (default: the server's) that the token is meant for, and a warning.

        None for a token that is not ours. Raises ``Rejected``.
        """
        known = self._known.get(token)
        if known is None or known.until < self._clock.monotonic():
            known = self._look(token)
            if known is None:
                return None
        wanted = list(audiences) or list(self._audiences)
        # A token without audiences (the legacy kind) is meant for the API server.
        found = tuple(one for one in (known.audiences or self._audiences) if one in wanted)
        if not found:
            raise Rejected(
                f"token audiences {_go_list(known.audiences)} is invalid for the target audiences {_go_list(wanted)}"
            )
        return known.user, found, known.warning

    def forget(self, uid: str) -> None:
        """An object went away: tokens bound to it are looked at again."""
        for token in self._by_uid.pop(uid, ()):
            self._known.pop(token, None)

    def _look(self, token: str) -> Known | None:
        self._known.pop(token, None)
        try:
            issuer = jwt.peek(token).get("iss")
            if issuer != legacy_tokens.ISSUER and issuer not in self._issuers:
                return None
            found = self._verifier.verify(token)
        except jwt.BadToken:
            return None
        known = self._legacy(found, token) if issuer == legacy_tokens.ISSUER else self._bound(found)
        if len(self._known) >= _CAPACITY:
            self._known.clear()
            self._by_uid.clear()
        self._known[token] = known
        for uid in known.uids:
            self._by_uid.setdefault(uid, set()).add(token)
        return known

    def _bound(self, found: dict[str, Any]) -> Known:
        now = self._clock.now().timestamp()
        expires = _number(found.get("exp"))
        if expires is not None and now - LEEWAY > expires:
            raise Rejected("service account token has expired")
        if any(now + LEEWAY < (_number(found.get(claim)) or 0) for claim in ("nbf", "iat")):
            raise Rejected("service account token is not valid yet")
        bound = found.get("kubernetes.io") or {}
        namespace = str(bound.get("namespace") or "")
        account = bound.get("serviceaccount") or {}
        self._account(namespace, account)
        references = {label: bound[label] for label in ("pod", "secret", "node") if bound.get(label)}
        if "secret" in references:
            self._still_there(SECRETS, namespace, references["secret"], "secret UID")
        if "pod" in references:
            self._still_there(PODS, namespace, references["pod"], "pod UID")
        elif "node" in references:
            self._still_there(NODES, "", references["node"], "node UID")
        extra = {
            f"{_PREFIX}{label}-{part}": (str(references[label][part]),)
            for label in ("node", "pod")
            if label in references
            for part in ("name", "uid")
            if references[label].get(part)
        }
        if found.get("jti"):
            extra[certificates.CREDENTIAL_ID] = (f"JTI={found['jti']}",)
        name = str(account.get("name") or "")
        user = request.UserInfo(
            username(namespace, name),
            (*groups(namespace), "system:authenticated"),
            str(account.get("uid") or ""),
            extra,
        )
        audience = found.get("aud") or []
        lives = REMEMBERED_FOR if expires is None else min(REMEMBERED_FOR, expires + LEEWAY - now)
        uids = tuple(str(one.get("uid") or "") for one in (account, *references.values()))
        return Known(
            user,
            tuple([audience] if isinstance(audience, str) else audience),
            self._clock.monotonic() + lives,
            uids,
        )

    def _legacy(self, found: dict[str, Any], token: str) -> Known:
        """A token kept in a Secret for ever: good as long as that Secret holds it."""
        namespace = str(found.get(f"{legacy_tokens.CLAIM}namespace") or "")
        name = str(found.get(f"{legacy_tokens.CLAIM}service-account.name") or "")
        uid = str(found.get(f"{legacy_tokens.CLAIM}service-account.uid") or "")
        secret_name = str(found.get(f"{legacy_tokens.CLAIM}secret.name") or "")
        if not namespace or not name or not uid or not secret_name:
            raise Rejected("required claims are missing")
        if found.get("sub") != username(namespace, name):
            raise Rejected("sub claim is invalid")
        secret = self._reader.get(SECRETS, namespace, secret_name)
        if secret is None or self._gone(secret):
            raise Rejected("Token has been invalidated")
        held = objects.dig(secret, "data", "token", default="")
        if not hmac.compare_digest(_decoded(held), token.encode()):
            raise Rejected("Token does not match server's copy")
        account = self._account(namespace, {"name": name, "uid": uid})
        self._came_with(secret)
        if objects.labels(secret).get(legacy_tokens.INVALID_SINCE):
            raise Rejected(
                f"the token in secret {namespace}/{secret_name} for service account {namespace}/{name} has been marked "
                "invalid. Use tokens from the TokenRequest API or manually created secret-based tokens, or remove the "
                f"'{legacy_tokens.INVALID_SINCE}' label from the secret to temporarily allow use of this token"
            )
        generated = any(one.get("name") == secret_name for one in account.get("secrets") or ())
        user = request.UserInfo(username(namespace, name), (*groups(namespace), "system:authenticated"), uid)
        until = self._clock.monotonic() + REMEMBERED_FOR
        return Known(user, (), until, (uid, objects.uid(secret)), _AUTO_GENERATED if generated else "")

    def _came_with(self, secret: objects.Object) -> None:
        today = self._clock.now().astimezone(datetime.UTC).date()
        said = objects.labels(secret).get(legacy_tokens.LAST_USED)
        # A server whose clock runs ahead may have written down the next day.
        if self._used is not None and said not in (str(today), str(today + datetime.timedelta(days=1))):
            self._used(secret, str(today))

    def _account(self, namespace: str, reference: dict[str, Any]) -> objects.Object:
        name, uid = str(reference.get("name") or ""), str(reference.get("uid") or "")
        account = self._reader.get(ACCOUNTS, namespace, name)
        if account is None:
            raise Rejected(f'serviceaccounts "{name}" not found')
        if self._gone(account):
            raise Rejected(f"service account {namespace}/{name} has been deleted")
        if objects.uid(account) != uid:
            raise Rejected(f"service account UID ({objects.uid(account)}) does not match claim ({uid})")
        return account

    def _still_there(
        self, gvr: resources.GroupVersionResource, namespace: str, reference: dict[str, Any], label: str
    ) -> None:
        obj = self._reader.get(gvr, namespace, str(reference.get("name") or ""))
        if obj is None or self._gone(obj):
            raise Rejected("service account token has been invalidated")
        uid = str(reference.get("uid") or "")
        if objects.uid(obj) != uid:
            kind = label.split(maxsplit=1)[0]
            raise Rejected(f"{label} ({objects.uid(obj)}) does not match service account {kind} ref claim ({uid})")

    def _gone(self, obj: objects.Object) -> bool:
        """Deleted longer ago than the leeway; what is still shutting down may use its token."""
        stamp = objects.dig(obj, "metadata", "deletionTimestamp")
        if not stamp:
            return False
        return clock.parse_rfc3339(stamp) < self._clock.now() - datetime.timedelta(seconds=LEEWAY)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _decoded(text: str) -> bytes:
    import base64

    try:
        return base64.b64decode(text)
    except ValueError:
        return b""


def _go_list(values: Sequence[str]) -> str:
    return "[" + " ".join(f'"{value}"' for value in values) + "]"
