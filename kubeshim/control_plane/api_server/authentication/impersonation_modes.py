"""The ways in which one may be allowed to act as somebody else.

Constrained ones need two permissions: ``impersonate:MODE`` for each part of the identity (in the group
``authentication.k8s.io``), and ``impersonate-on:MODE:VERB`` for what is asked under it. Each is for its own kind of
user: the node that the requesting pod runs on, any node, a service account, everybody else. The last is the oldest:
``impersonate`` alone, for anybody and anything.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server.authentication import service_accounts
from kubeshim.control_plane.api_server.authorization import attributes as questions
from kubeshim.machinery.validation import content, prefixed

NODE_NAME = "authentication.kubernetes.io/node-name"
_NODE_KEYS = "authentication.kubernetes.io/associated-node-keys"
_GROUP = "authentication.k8s.io"
_NODE = "system:node:"
_NODES = "system:nodes"
_AUTHENTICATED, _UNAUTHENTICATED = "system:authenticated", "system:unauthenticated"
_MANY = 4
"""From so many groups or values on, it is asked first whether all are allowed."""


@dataclasses.dataclass(frozen=True, slots=True)
class Mode:
    name: str
    """Empty for the oldest."""
    concerns: Callable[[request.UserInfo, request.UserInfo], bool]
    """``(wanted, requester)``."""

    @property
    def verb(self) -> str:
        return f"impersonate:{self.name}" if self.name else "impersonate"


def check(
    mode: Mode, wanted: request.UserInfo, question: questions.Attributes, authorizer: questions.Authorizer
) -> request.UserInfo:
    """The identity, with the groups such a user always has. Raises ``Forbidden``."""
    requester = question.user
    if mode.name == "associated-node":
        # the answer is to be the same on every node
        requester = dataclasses.replace(requester, extra={_NODE_KEYS: tuple(sorted(requester.extra))})
    if mode.name:
        _ask(question._replace(user=requester, verb=f"impersonate-on:{mode.name}:{question.verb}"), authorizer)
    for several, single in _parts(mode, wanted, requester):
        if several is not None and authorizer.authorize(several).allowed:
            continue
        for one in single:
            _ask(one, authorizer)
    return _completed(mode, wanted)


def _ask(question: questions.Attributes, authorizer: questions.Authorizer) -> None:
    decision = authorizer.authorize(question)
    if not decision.allowed:
        raise questions.forbidden(question, decision.reason)


_Parts = Iterator[tuple[questions.Attributes | None, Sequence[questions.Attributes]]]


def _parts(mode: Mode, wanted: request.UserInfo, requester: request.UserInfo) -> _Parts:
    """What is to be allowed: each with the question for all at once, if that may be asked first."""

    def about(resource: str, name: str, group: str = _GROUP, subresource: str = "") -> questions.Attributes:
        return questions.Attributes(requester, mode.verb, group, "v1", resource, subresource, "", name)

    own = _GROUP if mode.name else ""
    account, node = service_accounts.split_username(wanted.name), node_name(wanted.name)
    if account is not None:
        yield None, [about("serviceaccounts", account[1], own)._replace(namespace=account[0])]
    elif node and mode.name:
        name = "*" if mode.name == "associated-node" else node
        yield None, [about("nodes", name, own)]
    else:
        yield None, [about("users", wanted.name, own)]
    if wanted.uid:
        yield None, [about("uids", wanted.uid)]
    if wanted.groups:
        if mode.name:
            _check_groups(wanted.groups, about("groups", "", own))
        several = about("groups", "*", own) if mode.name and len(wanted.groups) >= _MANY else None
        yield several, [about("groups", group, own) for group in wanted.groups]
    if wanted.extra:
        if mode.name:
            _check_extra(wanted, about("userextras", ""))
        single = [about("userextras", value, _GROUP, key) for key, values in wanted.extra.items() for value in values]
        yield about("userextras", "*", subresource="*") if mode.name and len(single) >= _MANY else None, single


def _check_groups(groups: Sequence[str], question: questions.Attributes) -> None:
    if "" in groups:
        raise questions.forbidden(question, "impersonating the empty string group is not allowed")
    if request.MASTERS in groups:
        raise questions.forbidden(
            question._replace(name=request.MASTERS), "impersonating the system:masters group is not allowed"
        )


def _check_extra(wanted: request.UserInfo, question: questions.Attributes) -> None:
    for key, values in wanted.extra.items():
        problem = ""
        if not key:
            problem = "impersonating the empty string key in extra is not allowed"
        elif wrong := list(dict.fromkeys(map(str, prefixed.path(key, "extra.key")))):
            shown = wrong[0] if len(wrong) == 1 else f"[{', '.join(wrong)}]"
            problem = f"impersonating an invalid key in extra is not allowed: {shown}"
        elif key != key.lower():
            problem = f"impersonating a non-lowercase key in extra is not allowed: {questions.quote(key)}"
        elif "" in values:
            problem = "impersonating the empty string value in extra is not allowed"
        if problem:
            raise questions.forbidden(question, problem)


def _completed(mode: Mode, wanted: request.UserInfo) -> request.UserInfo:
    groups = wanted.groups
    account = service_accounts.split_username(wanted.name)
    if account is not None and not groups:
        groups = service_accounts.groups(account[0])
    elif mode.name and node_name(wanted.name):
        groups = (_NODES,)
    if wanted.name == request.ANONYMOUS.name:
        if _UNAUTHENTICATED not in groups:
            groups = (*groups, _UNAUTHENTICATED)
    elif _AUTHENTICATED not in groups and _UNAUTHENTICATED not in groups:
        groups = (*groups, _AUTHENTICATED)
    return request.UserInfo(wanted.name, groups, wanted.uid, wanted.extra)


def node_name(user: str) -> str:
    """The node of a node's user name; empty for others."""
    name = user.removeprefix(_NODE)
    return name if user.startswith(_NODE) and not content.dns_subdomain(name) else ""


def _bare(wanted: request.UserInfo) -> bool:
    return not (wanted.uid or wanted.groups or wanted.extra)


def _own_node(wanted: request.UserInfo, requester: request.UserInfo) -> bool:
    if not _bare(wanted) or service_accounts.split_username(requester.name) is None:
        return False
    return bool(node_name(wanted.name)) and requester.extra.get(NODE_NAME) == (node_name(wanted.name),)


def _is_account(name: str) -> bool:
    return service_accounts.split_username(name) is not None


MODES = (
    Mode("associated-node", _own_node),
    Mode("arbitrary-node", lambda wanted, _: _bare(wanted) and bool(node_name(wanted.name))),
    Mode("serviceaccount", lambda wanted, _: _bare(wanted) and _is_account(wanted.name)),
    Mode("user-info", lambda wanted, _: not node_name(wanted.name) and not _is_account(wanted.name)),
    Mode("", lambda wanted, _: True),
)
