"""``Impersonate-*`` headers: acting as somebody else, for who may ``impersonate`` each part of that identity."""

from collections.abc import Iterable, Iterator
from urllib import parse

from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server.authentication import service_accounts
from kubeshim.control_plane.api_server.authorization import attributes as questions
from kubeshim.machinery import errors

USER = "impersonate-user"
GROUP = "impersonate-group"
UID = "impersonate-uid"
EXTRA = "impersonate-extra-"
_AUTHENTICATION = "authentication.k8s.io"


def apply(asked: request.Request, authorizer: questions.Authorizer) -> None:
    """Replaces ``asked.user`` where the headers ask for it.

    Raises ``Forbidden`` (upstream's words) where a part is not allowed, ``InternalError`` for headers without a user.
    """
    headers = asked.headers
    if not any(name.startswith("impersonate-") for name in headers):
        return
    listed = list(asked.environ.get("wire.header_list") or headers.items())
    wanted = _wanted(listed)
    if wanted is None:
        return
    assert asked.user is not None
    for question in _questions(asked.user, wanted):
        decision = authorizer.authorize(question)
        if not decision.allowed:
            raise questions.forbidden(question, decision.reason)
    asked.user = _completed(wanted)


def _wanted(headers: Iterable[tuple[str, str]]) -> request.UserInfo | None:
    name, uid, groups = "", "", []
    extra: dict[str, list[str]] = {}
    for header, value in headers:
        if header == USER:
            name = name or value
        elif header == GROUP:
            groups.append(value)
        elif header == UID:
            uid = uid or value
        elif header.startswith(EXTRA):
            extra.setdefault(parse.unquote(header.removeprefix(EXTRA)), []).append(value)
    if not name:
        if groups or uid or extra:
            parts = [*groups, *([uid] if uid else []), *extra]
            raise errors.InternalError(f"requested [{' '.join(parts)}] without impersonating a user")
        return None
    return request.UserInfo(name, tuple(groups), uid, {key: tuple(values) for key, values in extra.items()})


def _questions(user: request.UserInfo, wanted: request.UserInfo) -> Iterator[questions.Attributes]:
    account = service_accounts.split_username(wanted.name)
    if account is not None:
        yield _question(user, "serviceaccounts", name=account[1], namespace=account[0])
    else:
        yield _question(user, "users", name=wanted.name)
    for group in wanted.groups:
        yield _question(user, "groups", name=group)
    if wanted.uid:
        yield _question(user, "uids", name=wanted.uid, group=_AUTHENTICATION)
    for key, values in wanted.extra.items():
        for value in values:
            yield _question(user, "userextras", name=value, group=_AUTHENTICATION, subresource=key)


def _question(
    user: request.UserInfo, resource: str, *, name: str, namespace: str = "", group: str = "", subresource: str = ""
) -> questions.Attributes:
    return questions.Attributes(user, "impersonate", group, "v1", resource, subresource, namespace, name)


def _completed(wanted: request.UserInfo) -> request.UserInfo:
    """With the groups such a user always has."""
    groups = wanted.groups
    account = service_accounts.split_username(wanted.name)
    if account is not None and not groups:
        groups = service_accounts.groups(account[0])
    if wanted.name == request.ANONYMOUS.name:
        if not groups:
            groups = request.ANONYMOUS.groups
    elif "system:authenticated" not in groups and "system:unauthenticated" not in groups:
        groups = (*groups, "system:authenticated")
    return request.UserInfo(wanted.name, groups, wanted.uid, wanted.extra)
