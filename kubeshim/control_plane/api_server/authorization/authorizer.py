"""The order in which authorizers are asked, and the memory of what they said.

``system:masters`` may do everything, so that nobody can lock the cluster's owner out; then the Node authorizer,
then RBAC. The first opinion counts. RBAC's answers depend only on the question and on the roles and bindings, so they
are kept until one of those changes; the Node authorizer's depend on the pods and are never kept.
"""

from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server.authorization import attributes as questions
from kubeshim.control_plane.api_server.authorization import node, rbac, rules

REMEMBERED = 20_000
"""Answers kept; at some 400 bytes each, about 8 MB. When full, all are forgotten at once: refilling is cheap."""

_ALLOWED = questions.Decision(questions.Verdict.ALLOW)


class Chain:
    """What the request filter and the access reviews ask."""

    def __init__(self, index: rbac.RBAC, nodes: node.NodeAuthorizer | None = None, *, mode: str = "Node,RBAC") -> None:
        self.index = index
        self._nodes = nodes if "Node" in mode.split(",") else None
        self._always = "AlwaysAllow" in mode.split(",")
        self._answers: dict[tuple[object, ...], questions.Decision] = {}
        self._generation = index.generation

    def authorize(self, attributes: questions.Attributes) -> questions.Decision:
        user = attributes.user
        if self._always or request.MASTERS in user.groups:
            return _ALLOWED
        if self._nodes is not None and node.GROUP in user.groups:
            own = self._nodes.authorize(attributes)
            if own.verdict is not questions.Verdict.NO_OPINION:
                return own
            general = self._index_answer(attributes)
            if general.allowed or not own.reason:
                return general
            return general._replace(reason="; ".join(filter(None, (own.reason, general.reason))))
        return self._index_answer(attributes)

    def _index_answer(self, attributes: questions.Attributes) -> questions.Decision:
        if self._generation != self.index.generation:
            self._answers.clear()
            self._generation = self.index.generation
        user = attributes.user
        if attributes.is_resource:
            key: tuple[object, ...] = (
                user.name, user.groups, attributes.verb, attributes.group, attributes.resource,
                attributes.subresource, attributes.namespace, attributes.name,
            )  # fmt: skip
        else:
            key = (user.name, user.groups, attributes.verb, attributes.path)
        answer = self._answers.get(key)
        if answer is None:
            if len(self._answers) >= REMEMBERED:
                self._answers.clear()
            answer = self._answers[key] = self.index.authorize(attributes)
        return answer

    def rules_for(self, user: request.UserInfo, namespace: str) -> tuple[list[rules.Rule], list[str], bool]:
        """What RBAC grants, what went wrong, and whether the list is incomplete (a node's is)."""
        found, problems = self.index.rules_for(user, namespace)
        if self._nodes is not None and node.GROUP in user.groups:
            return found, ["node authorizer does not support user rule resolution", *problems], True
        return found, problems, bool(problems)
