"""Questions about permissions: SubjectAccessReview in its three forms, and SelfSubjectRulesReview.

They are answered by the same authorizer that judges requests, and stored nowhere.
"""

from typing import TYPE_CHECKING, Any

from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server.authorization import attributes as questions
from kubeshim.control_plane.api_server.authorization import rules
from kubeshim.control_plane.api_server.subresources import call, review_selectors
from kubeshim.machinery import errors, objects, resources
from kubeshim.machinery.validation import fields

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

_GROUP = "authorization.k8s.io"


class AccessReview:
    """``SubjectAccessReview``, ``LocalSubjectAccessReview`` or ``SelfSubjectAccessReview``."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def handle(self, asked: request.Request, server: "servers.Server") -> request.Response:
        op, review = call.created(asked, server, resources.GroupVersionKind(_GROUP, "v1", self._kind))
        spec = review.get("spec") or {}
        _validate(self._kind, review, spec)
        if self._kind == "SelfSubjectAccessReview":
            user = op.user
        else:
            extra = {key.lower(): tuple(values) for key, values in (spec.get("extra") or {}).items()}
            user = request.UserInfo(
                spec.get("user") or "", tuple(spec.get("groups") or ()), spec.get("uid") or "", extra
            )
        decision = server.authorizer.authorize(_question(user, spec))
        status: dict[str, Any] = {"allowed": decision.allowed}
        if decision.verdict is questions.Verdict.DENY:
            status["denied"] = True
        if decision.reason:
            status["reason"] = decision.reason
        ignored = review_selectors.ignored(spec.get("resourceAttributes") or {})
        if ignored:
            status["evaluationError"] = ignored
        return call.answer(asked, {**review, "status": status})


def _validate(kind: str, review: objects.Object, spec: objects.Object) -> None:
    """Raises 422, whose message names no kind: upstream has forgotten it by then."""
    problems = []
    about_resource, about_path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if about_resource is not None and about_path is not None:
        why = "cannot be specified in combination with resourceAttributes"
        problems.append(fields.invalid("spec.nonResourceAttributes", about_path, why))
    if about_resource is None and about_path is None:
        why = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        problems.append(fields.invalid("spec.resourceAttributes", None, why))
    if kind != "SelfSubjectAccessReview" and not spec.get("user") and not spec.get("groups"):
        problems.append(fields.invalid("spec.user", "", "at least one of user or group must be specified"))
    problems += review_selectors.problems(about_resource or {}, "spec.resourceAttributes")
    local = kind == "LocalSubjectAccessReview"
    metadata = review["metadata"]
    if any(
        value for name, value in metadata.items() if name != "managedFields" and not (local and name == "namespace")
    ):
        why = "must be empty except for namespace" if local else "must be empty"
        problems.append(fields.invalid("metadata", metadata, why))
    if local:
        problems += _local_problems(spec, metadata.get("namespace") or "")
    if problems:
        raise errors.invalid(_GROUP, "", "", problems)


def _local_problems(spec: objects.Object, namespace: str) -> list[errors.FieldError]:
    about, problems = spec.get("resourceAttributes"), []
    if about is not None and (about.get("namespace") or "") != namespace:
        why = "must match metadata.namespace"
        problems.append(fields.invalid("spec.resourceAttributes.namespace", about.get("namespace") or "", why))
    if spec.get("nonResourceAttributes") is not None:
        path = "spec.nonResourceAttributes"
        problems.append(fields.invalid(path, spec["nonResourceAttributes"], "disallowed on this kind of request"))
    return problems


def _question(user: request.UserInfo, spec: objects.Object) -> questions.Attributes:
    about = spec.get("resourceAttributes")
    if about is None:
        path = spec["nonResourceAttributes"]
        return questions.Attributes(user, path.get("verb") or "", path=path.get("path") or "", is_resource=False)
    return questions.Attributes(
        user, about.get("verb") or "", about.get("group") or "", about.get("version") or "*",
        about.get("resource") or "", about.get("subresource") or "", about.get("namespace") or "",
        about.get("name") or "", "", True, review_selectors.as_query(about),
    )  # fmt: skip


class RulesReview:
    """What the asking user may do in a namespace."""

    def handle(self, asked: request.Request, server: "servers.Server") -> request.Response:
        kind = resources.GroupVersionKind(_GROUP, "v1", "SelfSubjectRulesReview")
        op, review = call.created(asked, server, kind)
        namespace = (review.get("spec") or {}).get("namespace") or ""
        if not namespace:
            raise errors.BadRequest("no namespace on request")
        found, problems, incomplete = server.authorizer.rules_for(op.user, namespace)
        status: dict[str, Any] = {
            "resourceRules": [_resource_rule(rule) for rule in found if rule.resources],
            "nonResourceRules": [
                {"verbs": list(rule.verbs), "nonResourceURLs": list(rule.urls)} for rule in found if rule.urls
            ],
            "incomplete": incomplete,
        }
        if problems:
            joined = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
            status["evaluationError"] = joined
        return call.answer(asked, {**review, "status": status})


def _resource_rule(rule: rules.Rule) -> dict[str, list[str]]:
    made = {"verbs": list(rule.verbs), "apiGroups": list(rule.groups), "resources": list(rule.resources)}
    if rule.names:
        made["resourceNames"] = list(rule.names)
    return made


SUBJECT = AccessReview("SubjectAccessReview")
LOCAL = AccessReview("LocalSubjectAccessReview")
SELF = AccessReview("SelfSubjectAccessReview")
RULES = RulesReview()
