"""Nobody grants what they do not hold: checks on writes of roles and bindings.

A role may be written by who holds all its rules, or the verb ``escalate`` on roles; a binding by who holds all rules
of the role it refers to, or the verb ``bind`` on that role. Members of ``system:masters`` may do either.
It is asked as the last of the plugins that mutate: it sees the object as it would be stored, and refuses before anybody
says what is invalid.
"""

from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server.admission import plugin
from kubeshim.control_plane.api_server.authorization import attributes as questions
from kubeshim.control_plane.api_server.authorization import rbac, rules
from kubeshim.machinery import errors, objects


class Escalation:
    """Mutating admission plugin that changes nothing, for ``rbac.authorization.k8s.io``."""

    def __init__(self, index: rbac.RBAC, authorizer: questions.Authorizer) -> None:
        self._index = index
        self._authorizer = authorizer

    def admit(self, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
        resource = attributes.resource
        if resource.group != rbac.GROUP or attributes.operation not in ("CREATE", "UPDATE") or attributes.subresource:
            return
        obj = attributes.object
        if obj is None or request.MASTERS in attributes.user.groups:
            return
        if resource.plural in ("roles", "clusterroles"):
            self._role(attributes, obj)
        elif resource.plural in ("rolebindings", "clusterrolebindings"):
            self._binding(attributes, obj)

    def _role(self, attributes: plugin.Attributes, obj: objects.Object) -> None:
        old = attributes.old_object
        if old is not None and old.get("rules") == obj.get("rules") and _aggregation(old) == _aggregation(obj):
            return  # whoever may update may also change labels, without holding the rules
        if self._may(attributes, "escalate", attributes.resource.plural, attributes.name or objects.name(obj)):
            return
        wanted = rules.compile_rules(obj.get("rules"))
        if _aggregation(obj):
            # An aggregated role can come to hold anything, so only who holds everything may write one.
            wanted = (*wanted, *_EVERYTHING)
        self._confirm(attributes, objects.name(obj), wanted)

    def _binding(self, attributes: plugin.Attributes, obj: objects.Object) -> None:
        old = attributes.old_object
        if old is not None and (old.get("roleRef"), old.get("subjects")) == (obj.get("roleRef"), obj.get("subjects")):
            return
        reference = obj.get("roleRef") or {}
        kind, name = reference.get("kind", ""), reference.get("name", "")
        plural = _PLURALS.get(kind)
        if plural is None:
            raise errors.APIStatusError(
                f"unsupported role reference kind: {questions.quote(kind)}", code=500, reason=""
            )
        if self._may(attributes, "bind", plural, name):
            return
        wanted = self._index.role(kind, attributes.namespace, name)
        if wanted is None:
            raise errors.not_found(rbac.GROUP, kind.lower(), name)
        self._confirm(attributes, objects.name(obj), wanted)

    def _may(self, attributes: plugin.Attributes, verb: str, plural: str, name: str) -> bool:
        resource = attributes.resource
        return self._authorizer.authorize(
            questions.Attributes(
                attributes.user, verb, resource.group, resource.version, plural, "", attributes.namespace, name
            )
        ).allowed

    def _confirm(self, attributes: plugin.Attributes, name: str, wanted: tuple[rules.Rule, ...]) -> None:
        held, problems = self._index.rules_for(attributes.user, attributes.namespace)
        missing = rules.uncovered(held, wanted)
        if missing:
            resource = attributes.resource
            raise errors.forbidden(resource.group, resource.plural, name, _refusal(attributes.user, missing, problems))


_PLURALS = {"ClusterRole": "clusterroles", "Role": "roles"}
_EVERYTHING = rules.compile_rules(
    [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}, {"verbs": ["*"], "nonResourceURLs": ["*"]}]
)


def _aggregation(role: objects.Object) -> object:
    return role.get("aggregationRule") or None


def _refusal(user: request.UserInfo, missing: list[rules.Rule], problems: list[str]) -> str:
    groups = " ".join(questions.quote(group) for group in user.groups)
    shown = "\n".join(sorted(rules.text(rule) for rule in rules.compact(missing)))
    text = (
        f"user {questions.quote(user.name)} (groups=[{groups}]) "
        f"is attempting to grant RBAC permissions not currently held:\n{shown}"
    )
    return f"{text}; resolution errors: [{', '.join(problems)}]" if problems else text
