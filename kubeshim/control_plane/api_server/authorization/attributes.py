"""What authorization is asked and what it answers."""

import enum
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from kubeshim.control_plane.api_server import request
from kubeshim.machinery import errors


class Verdict(enum.Enum):
    """``NO_OPINION`` passes the question on; when nobody has an opinion the answer is no."""

    ALLOW = "allow"
    DENY = "deny"
    NO_OPINION = "no opinion"


class Decision(NamedTuple):
    verdict: Verdict
    reason: str = ""

    @property
    def allowed(self) -> bool:
        return self.verdict is Verdict.ALLOW


NO_OPINION = Decision(Verdict.NO_OPINION)


class Attributes(NamedTuple):
    """One question. For a request that is not about a resource only ``user``, ``verb`` and ``path`` count."""

    user: request.UserInfo
    verb: str
    group: str = ""
    version: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    is_resource: bool = True
    field_selector: str = ""
    """As in the query; only the Node authorizer looks at it."""


class Authorizer(Protocol):
    def authorize(self, attributes: Attributes) -> Decision: ...


def of(asked: request.Request, user: request.UserInfo) -> Attributes:
    """The question a request asks."""
    info = asked.info
    if not info.is_resource:
        return Attributes(user, info.verb, path=info.path, is_resource=False)
    return Attributes(
        user, info.verb, info.group, info.version, info.resource, info.subresource, info.namespace, info.name,
        info.path, True, asked.param("fieldSelector"),
    )  # fmt: skip


def forbidden(attributes: Attributes, reason: str = "") -> errors.Forbidden:
    """The 403 a client gets, in upstream's words."""
    text = describe(attributes)
    if reason:
        text = f"{text}: {reason}"
    if not attributes.is_resource:
        return errors.Forbidden(f"forbidden: {text}", details={})
    return errors.forbidden(attributes.group, attributes.resource, attributes.name, text)


def describe(attributes: Attributes) -> str:
    """``User "u" cannot list resource "pods" in API group "" in the namespace "default"``."""
    user = quote(attributes.user.name)
    if not attributes.is_resource:
        return f"User {user} cannot {attributes.verb} path {quote(attributes.path)}"
    resource = attributes.resource + (f"/{attributes.subresource}" if attributes.subresource else "")
    where = f"in the namespace {quote(attributes.namespace)}" if attributes.namespace else "at the cluster scope"
    group = quote(attributes.group)
    return f"User {user} cannot {attributes.verb} resource {quote(resource)} in API group {group} {where}"


_ESCAPES: Mapping[str, str] = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def quote(text: Any) -> str:
    """A string in double quotes with the escapes upstream's messages use, so that no text can forge a line."""
    return (
        '"'
        + "".join(_ESCAPES.get(c, c) if c.isprintable() or c in _ESCAPES else f"\\x{ord(c):02x}" for c in str(text))
        + '"'
    )
