"""Role-based access control over an index that changes with the objects.

Bindings are filed under (namespace, subject), so that a question looks at the few bindings that name the asking
user or one of its groups, and never at the others. Roles are found by name when asked, so a changed role counts
at once. ``set`` and ``remove`` are called as the stored objects change; ``generation`` rises with each, which is what
cached decisions hang on.
"""

import dataclasses
from collections.abc import Iterator

from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server.authorization import attributes as questions
from kubeshim.control_plane.api_server.authorization import rules
from kubeshim.machinery import objects

GROUP = "rbac.authorization.k8s.io"
_Key = tuple[str, str]
"""(namespace, name); cluster scope has no namespace."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Grant:
    """A binding seen from one of its subjects. ``scope`` is the namespace it is valid in, ``""`` everywhere."""

    scope: str
    role: _Key
    role_kind: str
    text: str
    """``ClusterRoleBinding "x" of ClusterRole "y" to Group "z"``."""


class RBAC:
    """The authorizer and the index it asks."""

    def __init__(self) -> None:
        self.generation = 0
        self._roles: dict[_Key, tuple[rules.Rule, ...]] = {}
        self._subjects: dict[_Key, list[tuple[str, str]]] = {}
        """Binding → the (scope, subject) it is filed under."""
        self._grants: dict[tuple[str, str], dict[_Key, _Grant]] = {}

    def set(self, obj: objects.Object) -> None:
        """Takes in a Role, ClusterRole, RoleBinding or ClusterRoleBinding, new or changed."""
        key = (objects.namespace(obj), objects.name(obj))
        if obj["kind"] in ("Role", "ClusterRole"):
            self._roles[key] = rules.compile_rules(obj.get("rules"))
        else:
            self._unfile(key)
            self._file(key, obj)
        self.generation += 1

    def remove(self, obj: objects.Object) -> None:
        key = (objects.namespace(obj), objects.name(obj))
        if obj["kind"] in ("Role", "ClusterRole"):
            self._roles.pop(key, None)
        else:
            self._unfile(key)
        self.generation += 1

    def _file(self, key: _Key, binding: objects.Object) -> None:
        scope, name = key
        reference = binding.get("roleRef") or {}
        kind, role = reference.get("kind", ""), reference.get("name", "")
        label = questions.quote(f"{name}/{scope}" if scope else name)
        shown = f"{binding['kind']} {label} of {kind} {questions.quote(role)}"
        filed: list[tuple[str, str]] = []
        for subject in binding.get("subjects") or ():
            who, described = _subject(subject, scope)
            grant = _Grant(scope, ("" if kind == "ClusterRole" else scope, role), kind, f"{shown} to {described}")
            self._grants.setdefault((scope, who), {})[key] = grant
            filed.append((scope, who))
        self._subjects[key] = filed

    def _unfile(self, key: _Key) -> None:
        for place in self._subjects.pop(key, ()):
            here = self._grants.get(place)
            if here is not None:
                here.pop(key, None)
                if not here:
                    del self._grants[place]

    def authorize(self, asked: questions.Attributes) -> questions.Decision:
        missing: list[str] = []
        for grant in self._grants_of(asked.user, asked.namespace):
            found = self._roles.get(grant.role)
            if found is None:
                missing.append(f'{grant.role_kind.lower()}.{GROUP} "{grant.role[1]}" not found')
            elif any(_allows(rule, asked) for rule in found):
                return questions.Decision(questions.Verdict.ALLOW, f"RBAC: allowed by {grant.text}")
        if missing:
            texts = list(dict.fromkeys(missing))
            joined = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
            return questions.Decision(questions.Verdict.NO_OPINION, f"RBAC: {joined}")
        return questions.NO_OPINION

    def rules_for(self, user: request.UserInfo, namespace: str) -> tuple[list[rules.Rule], list[str]]:
        """All that ``user`` may do in ``namespace`` (``""``: cluster-wide), and what could not be resolved."""
        found: list[rules.Rule] = []
        problems: list[str] = []
        for grant in self._grants_of(user, namespace):
            held = self._roles.get(grant.role)
            if held is None:
                problems.append(f'{grant.role_kind.lower()}.{GROUP} "{grant.role[1]}" not found')
            else:
                found.extend(held)
        return found, problems

    def role(self, kind: str, namespace: str, name: str) -> tuple[rules.Rule, ...] | None:
        """The rules of the role a binding in ``namespace`` would refer to."""
        return self._roles.get(("" if kind == "ClusterRole" else namespace, name))

    def _grants_of(self, user: request.UserInfo, namespace: str) -> Iterator[_Grant]:
        who = ("u:" + user.name, *("g:" + group for group in user.groups))
        for scope in ("", namespace) if namespace else ("",):
            for one in who:
                here = self._grants.get((scope, one))
                if here:
                    yield from here.values()


def _allows(rule: rules.Rule, asked: questions.Attributes) -> bool:
    if asked.is_resource:
        return rule.allows(asked.verb, asked.group, asked.resource, asked.subresource, asked.name)
    return rule.allows_url(asked.verb, asked.path)


def _subject(subject: objects.Object, scope: str) -> tuple[str, str]:
    """The key a subject is filed under, and its description."""
    kind, name = subject.get("kind", ""), subject.get("name", "")
    if kind == "ServiceAccount":
        space = subject.get("namespace") or scope
        return f"u:system:serviceaccount:{space}:{name}", f"ServiceAccount {questions.quote(f'{name}/{space}')}"
    return f"{'g' if kind == 'Group' else 'u'}:{name}", f"{kind} {questions.quote(name)}"
