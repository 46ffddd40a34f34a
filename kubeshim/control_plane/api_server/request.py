"""A request as the filters and verbs see it, and the answers they give."""

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from kubeshim.machinery import resources


@dataclasses.dataclass(frozen=True, slots=True)
class UserInfo:
    """Who asks (``authentication.k8s.io/v1 UserInfo``)."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)


MASTERS = "system:masters"
"""The group that may do everything."""
ANONYMOUS = UserInfo("system:anonymous", ("system:unauthenticated",))
API_SERVER = UserInfo("system:apiserver", (MASTERS, "system:authenticated"))
"""The identity under which the server's own background work is done."""


@dataclasses.dataclass(frozen=True, slots=True)
class RequestInfo:
    """What a path and method ask for (upstream's ``RequestInfo``)."""

    path: str
    verb: str
    """``get list watch create update patch delete deletecollection`` for resources, else the lower-cased method."""
    is_resource: bool = False
    api_prefix: str = ""
    group: str = ""
    version: str = ""
    namespace: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    parts: tuple[str, ...] = ()
    """Path segments from the resource on; what follows ``proxy`` is in here."""
    api_watch: bool = False
    """The deprecated form with ``watch`` before the resource."""
    malformed: str = ""
    """Why nobody can say what is asked for; such a request is answered before anybody is authenticated."""


@dataclasses.dataclass(slots=True)
class Request:
    """One HTTP request."""

    method: str
    path: str
    """Decoded, without the query."""
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    """Lower-case names."""
    body: bytes
    environ: Mapping[str, Any]
    """The WSGI environ; ``wire.connection`` is the ``wire.http_server.Connection``."""
    info: RequestInfo
    user: UserInfo | None = None
    resource: resources.Resource | None = None
    warnings: list[str] = dataclasses.field(default_factory=list)
    """Become ``Warning: 299`` headers."""
    audit_id: str = ""
    flow_headers: Sequence[tuple[str, str]] = ()
    """Which flow schema and priority level it was counted to."""
    until: float = math.inf
    """The monotonic time at which it is given up."""

    def param(self, name: str, default: str = "") -> str:
        values = self.query.get(name)
        return values[0] if values else default

    def header(self, name: str, default: str = "") -> str:
        return self.headers.get(name, default)


@dataclasses.dataclass(slots=True)
class Response:
    """An answer. ``body`` is bytes, or an iterable that streams chunks (each flushed as it comes).

    ``takeover`` instead of a body means the handler wants the raw connection (an upgrade): it is called with
    the hijacked socket and whatever bytes had already been read, and writes its own status line.
    """

    status: int = 200
    headers: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    body: bytes | Iterable[bytes] = b""
    takeover: Callable[[Any, bytes], None] | None = None
