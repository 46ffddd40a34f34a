"""Whether a user may act for a signer: by its full name, or by its domain with ``*``."""

from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server.authorization import attributes as questions


def is_allowed(authorizer: questions.Authorizer, user: request.UserInfo, verb: str, signer: str) -> bool:
    domain = signer.partition("/")[0]
    return any(
        authorizer.authorize(questions.Attributes(user, verb, "certificates.k8s.io", "*", "signers", name=name)).allowed
        for name in (signer, f"{domain}/*")
    )
