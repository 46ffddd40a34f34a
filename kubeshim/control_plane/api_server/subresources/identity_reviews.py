"""Questions about identity: whose token is this (TokenReview), and who am I (SelfSubjectReview)."""

from typing import TYPE_CHECKING, Any

from kubeshim import clock
from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server.subresources import call
from kubeshim.machinery import errors, resources

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

_GROUP = "authentication.k8s.io"


class TokenReview:
    def handle(self, asked: request.Request, server: "servers.Server") -> request.Response:
        _, review = call.created(asked, server, resources.GroupVersionKind(_GROUP, "v1", "TokenReview"))
        spec = review.get("spec") or {}
        if not spec.get("token"):
            raise errors.BadRequest("token is required for TokenReview in authentication")
        wanted = spec.get("audiences") or ()
        outcome = server.authenticators.token(spec["token"], wanted)
        if outcome.warning:
            asked.warnings.append(outcome.warning)
        status: dict[str, Any] = {"user": {}}
        if outcome.user is not None:
            status = {"authenticated": True, "user": user_info(outcome.user)}
            if outcome.audiences:
                status["audiences"] = list(outcome.audiences)
        elif outcome.error:
            status["error"] = outcome.error
        return call.answer(asked, {**review, "status": status})


class SelfSubjectReview:
    def handle(self, asked: request.Request, server: "servers.Server") -> request.Response:
        op, review = call.created(asked, server, resources.GroupVersionKind(_GROUP, "v1", "SelfSubjectReview"))
        review["metadata"]["creationTimestamp"] = clock.rfc3339(server.clock.now())
        return call.answer(asked, {**review, "status": {"userInfo": user_info(op.user)}})


def user_info(user: request.UserInfo) -> dict[str, Any]:
    """``authentication.k8s.io/v1 UserInfo``."""
    made: dict[str, Any] = {"username": user.name}
    if user.uid:
        made["uid"] = user.uid
    if user.groups:
        made["groups"] = list(user.groups)
    if user.extra:
        made["extra"] = {key: list(values) for key, values in user.extra.items()}
    return made


TOKEN, SELF = TokenReview(), SelfSubjectReview()
