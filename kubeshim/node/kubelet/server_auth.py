"""Who may use the kubelet's API: client certificates or bearer tokens, and what the API server says of their rights.

The kubelet knows no roles. It asks by SubjectAccessReview whether the user may do ``nodes/proxy`` (or a finer
subresource) of this node, as upstream's Webhook mode does, and remembers the answer for a while. While the API
server cannot be reached only remembered answers count.
"""

import dataclasses
import hashlib
import threading
from collections.abc import Callable, Mapping
from typing import Any

from kubeshim import clock as clocks
from kubeshim.client import rest
from kubeshim.machinery import errors, resources

TOKEN_REVIEWS = resources.GroupVersionResource("authentication.k8s.io", "v1", "tokenreviews")
ACCESS_REVIEWS = resources.GroupVersionResource("authorization.k8s.io", "v1", "subjectaccessreviews")

TOKEN_SECONDS, ALLOWED_SECONDS, DENIED_SECONDS = 120.0, 300.0, 30.0
"""How long an answer is remembered: upstream's defaults."""
_REMEMBERED = 10_000

_VERBS = {"POST": "create", "GET": "get", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_FINER = (
    ("/stats", ("stats",)),
    ("/metrics", ("metrics",)),
    ("/logs", ("log",)),
    ("/checkpoint", ("checkpoint",)),
    ("/pods", ("pods", "proxy")),
    ("/runningpods", ("pods", "proxy")),
    ("/healthz", ("healthz", "proxy")),
    ("/configz", ("configz", "proxy")),
)


@dataclasses.dataclass(frozen=True, slots=True)
class User:
    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()


def verb(method: str) -> str:
    """The API verb an HTTP method is judged as; empty for others."""
    return _VERBS.get(method, "")


def subresources(path: str) -> tuple[str, ...]:
    """The subresources of ``nodes`` of which one must be allowed for a path."""
    for prefix, names in _FINER:
        if path == prefix or path.startswith(prefix + "/"):
            return names
    return ("proxy",)


class Authenticator:
    """By the connection's verified certificate, else by a bearer token that the API server reviews."""

    def __init__(self, client: rest.Client | None = None, clock: clocks.Clock = clocks.SYSTEM) -> None:
        self._client = client
        self._tokens = _Memory(clock)

    def __call__(self, environ: Mapping[str, Any]) -> User | None:
        """Raises ``APIStatusError`` or ``rest.Unreachable`` where a token could not be reviewed."""
        connection = environ["wire.connection"]
        certificate = connection.peer_certificate()
        if certificate is not None:
            return _of_certificate(connection, certificate)
        header = str(environ.get("HTTP_AUTHORIZATION", ""))
        scheme, _, token = header.partition(" ")
        if self._client is None or scheme.lower() != "bearer" or not token.strip():
            return None
        return self._review(token.strip())

    def _review(self, token: str) -> User | None:
        client = self._client
        assert client is not None
        key = hashlib.sha256(token.encode()).hexdigest()

        def ask() -> tuple[User | None, float]:
            review = client.create(
                TOKEN_REVIEWS,
                {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}},
            )
            status = review.get("status") or {}
            if not status.get("authenticated"):
                return None, DENIED_SECONDS
            user = status.get("user") or {}
            extra = tuple((name, tuple(values)) for name, values in (user.get("extra") or {}).items())
            groups = tuple(user.get("groups") or ())
            return User(user.get("username", ""), groups, user.get("uid", ""), extra), TOKEN_SECONDS

        found: User | None = self._tokens.recall(key, ask)
        return found


class Authorizer:
    """Asks the API server about ``nodes`` subresources of one node."""

    def __init__(self, client: rest.Client, node_name: str, clock: clocks.Clock = clocks.SYSTEM) -> None:
        self._client = client
        self._node_name = node_name
        self._answers = _Memory(clock)

    def __call__(self, user: User, verb: str, subresource: str) -> bool:
        """Raises ``APIStatusError`` or ``rest.Unreachable`` where nothing is known."""

        def ask() -> tuple[bool, float]:
            review = self._client.create(ACCESS_REVIEWS, self._review(user, verb, subresource))
            allowed = bool((review.get("status") or {}).get("allowed"))
            return allowed, ALLOWED_SECONDS if allowed else DENIED_SECONDS

        return bool(self._answers.recall((user, verb, subresource), ask))

    def _review(self, user: User, verb: str, subresource: str) -> dict[str, Any]:
        spec: dict[str, Any] = {
            "user": user.name,
            "groups": list(user.groups),
            "resourceAttributes": {
                "verb": verb,
                "version": "v1",
                "resource": "nodes",
                "subresource": subresource,
                "name": self._node_name,
            },
        }
        if user.uid:
            spec["uid"] = user.uid
        if user.extra:
            spec["extra"] = {name: list(values) for name, values in user.extra}
        return {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}


class _Memory:
    """Answers that grow stale. An old one serves on while a new one cannot be had."""

    def __init__(self, clock: clocks.Clock) -> None:
        self._clock = clock
        self._known: dict[Any, tuple[Any, float]] = {}
        self._lock = threading.Lock()

    def recall(self, key: Any, ask: Callable[[], tuple[Any, float]]) -> Any:
        with self._lock:
            known = self._known.get(key)
        if known is not None and self._clock.monotonic() < known[1]:
            return known[0]
        try:
            answer, seconds = ask()
        except (rest.Unreachable, errors.APIStatusError):
            if known is not None:
                return known[0]
            raise
        with self._lock:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[key] = (answer, self._clock.monotonic() + seconds)
        return answer


def _of_certificate(connection: Any, certificate: bytes) -> User:
    """Common name and organizations; parsed once a connection."""
    known = connection.cache.get("kubelet.user")
    if known is None:
        from cryptography import x509

        subject = x509.load_der_x509_certificate(certificate).subject
        names = subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        groups = subject.get_attributes_for_oid(x509.NameOID.ORGANIZATION_NAME)
        known = User(
            str(names[0].value) if names else "",
            (*(str(group.value) for group in groups), "system:authenticated"),
        )
        connection.cache["kubelet.user"] = known
    user: User = known
    return user
