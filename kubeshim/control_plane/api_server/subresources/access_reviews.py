"""Questions about permissions: SubjectAccessReview in its three forms, and SelfSubjectRulesReview.

They are answered by the same authorizer that judges requests, and stored nowhere.
"""

from typing import TYPE_CHECKING, Any

from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server.authorization import attributes as questions
from kubeshim.control_plane.api_server.authorization import rules
from kubeshim.control_plane.api_server.subresources import call
from kubeshim.machinery import errors, objects, resources

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

_GROUP = "authorization.k8s.io"
_OPERATORS = {"In": "=", "NotIn": "!="}


class AccessReview:
    """``SubjectAccessReview``, ``LocalSubjectAccessReview`` or ``SelfSubjectAccessReview``."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def handle(self, asked: request.Request, server: "servers.Server") -> request.Response:
        op, review = call.created(asked, server, resources.GroupVersionKind(_GROUP, "v1", self._kind))
        spec = review.get("spec") or {}
        _validate(self._kind, spec)
        if self._kind == "SelfSubjectAccessReview":
            user = op.user
        else:
            extra = {key.lower(): tuple(values) for key, values in (spec.get("extra") or {}).items()}
            user = request.UserInfo(
                spec.get("user") or "", tuple(spec.get("groups") or ()), spec.get("uid") or "", extra
            )
        if self._kind == "LocalSubjectAccessReview":
            _validate_local(spec, op.namespace)
        decision = server.authorizer.authorize(_question(user, spec))
        status: dict[str, Any] = {"allowed": decision.allowed}
        if decision.verdict is questions.Verdict.DENY:
            status["denied"] = True
        if decision.reason:
            status["reason"] = decision.reason
        return call.answer(asked, {**review, "status": status})


def _validate(kind: str, spec: objects.Object) -> None:
    problems = []
    about_resource, about_path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if about_resource is not None and about_path is not None:
        problems.append(_invalid("nonResourceAttributes", "cannot be specified in combination with resourceAttributes"))
    if about_resource is None and about_path is None:
        problems.append(
            _invalid(
                "resourceAttributes", "exactly one of nonResourceAttributes or resourceAttributes must be specified"
            )
        )
    if kind != "SelfSubjectAccessReview" and not spec.get("user") and not spec.get("groups"):
        problems.append(
            errors.FieldError(
                "spec.user", "FieldValueInvalid", 'Invalid value: "": at least one of user or group must be specified'
            )
        )
    if problems:
        raise errors.invalid(_GROUP, kind, "", problems)


def _invalid(field: str, why: str) -> errors.FieldError:
    return errors.FieldError(f"spec.{field}", "FieldValueInvalid", f"Invalid value: null: {why}")


def _validate_local(spec: objects.Object, namespace: str) -> None:
    if (spec.get("resourceAttributes") or {}).get("namespace") != namespace:
        raise errors.BadRequest(f"spec.resourceAttributes.namespace must match namespace: {namespace}")


def _question(user: request.UserInfo, spec: objects.Object) -> questions.Attributes:
    about = spec.get("resourceAttributes")
    if about is None:
        path = spec["nonResourceAttributes"]
        return questions.Attributes(user, path.get("verb") or "", path=path.get("path") or "", is_resource=False)
    return questions.Attributes(
        user, about.get("verb") or "", about.get("group") or "", about.get("version") or "",
        about.get("resource") or "", about.get("subresource") or "", about.get("namespace") or "",
        about.get("name") or "", "", True, _selector(about.get("fieldSelector") or {}),
    )  # fmt: skip


def _selector(selector: objects.Object) -> str:
    """A field selector in structured form as the text a query would have."""
    if selector.get("rawSelector"):
        return str(selector["rawSelector"])
    return ",".join(
        f"{one['key']}{_OPERATORS[one['operator']]}{one['values'][0]}"
        for one in selector.get("requirements") or ()
        if one.get("operator") in _OPERATORS and len(one.get("values") or ()) == 1
    )


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
