"""``Impersonate-*`` headers: acting as somebody else, for who may impersonate each part of that identity.

There are several ways to be allowed to (``impersonation_modes``); the one that last worked for a requester is tried
first, and who is refused is told of the first that was tried.
"""

from collections.abc import Iterable
from urllib import parse

from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server.authentication import impersonation_modes as modes
from kubeshim.control_plane.api_server.authorization import attributes as questions
from kubeshim.machinery import errors

USER = "impersonate-user"
GROUP = "impersonate-group"
UID = "impersonate-uid"
EXTRA = "impersonate-extra-"
_REMEMBERED = 10_000


class Impersonation:
    def __init__(self) -> None:
        self._worked: dict[str, modes.Mode] = {}
        """By the requester's name."""

    def apply(self, asked: request.Request, authorizer: questions.Authorizer) -> None:
        """Replaces ``asked.user`` where the headers ask for it.

        Raises ``Forbidden`` (upstream's words) where no way is open, ``BadRequest`` for headers without a user.
        """
        headers = asked.headers
        if not any(name.startswith("impersonate-") for name in headers):
            return
        wanted = _wanted(list(asked.environ.get("wire.header_list") or headers.items()))
        if wanted is None:
            return
        assert asked.user is not None
        question = questions.of(asked, asked.user)
        last = self._worked.get(asked.user.name)
        refusal: errors.APIStatusError | None = None
        for mode in sorted(modes.MODES, key=lambda one: one is not last):
            if not mode.concerns(wanted, asked.user):
                continue
            try:
                user = modes.check(mode, wanted, question, authorizer)
            except errors.Forbidden as problem:
                refusal = refusal or problem
                continue
            self._remember(asked.user.name, mode)
            asked.user = user
            return
        assert refusal is not None
        raise refusal

    def _remember(self, name: str, mode: modes.Mode) -> None:
        if len(self._worked) >= _REMEMBERED:
            self._worked.clear()
        self._worked[name] = mode


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
            raise errors.BadRequest(f"requested {_shown(uid, groups, extra)} without impersonating a user name")
        return None
    return request.UserInfo(name, tuple(groups), uid, {key: tuple(values) for key, values in extra.items()})


def _shown(uid: str, groups: list[str], extra: dict[str, list[str]]) -> str:
    """As Go prints the structure."""
    pairs = ", ".join(f"{questions.quote(key)}:{_strings(extra[key])}" for key in sorted(extra))
    shown = f"{{{pairs}}}" if extra else "(nil)"
    return (
        f'&user.DefaultInfo{{Name:"", UID:{questions.quote(uid)}, Groups:{_strings(groups)}, '
        f"Extra:map[string][]string{shown}}}"
    )


def _strings(values: list[str]) -> str:
    return f"[]string{{{', '.join(map(questions.quote, values))}}}" if values else "[]string(nil)"
