"""Which handler stands behind (group, plural, subresource); reviews have no subresource and are created only.

``componentstatuses`` are found out and not stored: they have a handler as well.
"""

from typing import TYPE_CHECKING, Protocol

from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server.subresources import (
    access_reviews,
    bindings,
    component_statuses,
    eviction,
    identity_reviews,
    log,
    parts,
    pod_streams,
    proxy,
    token,
)

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers


class Handler(Protocol):
    """Answers a request that is authenticated and authorized. Raises ``errors.APIStatusError``."""

    def handle(self, asked: request.Request, server: "servers.Server") -> request.Response: ...


SUBRESOURCES: dict[tuple[str, str, str], Handler] = {
    ("", "bindings", ""): bindings.BIND,
    ("", "componentstatuses", ""): component_statuses.COMPONENT_STATUSES,
    ("", "pods", "binding"): bindings.BIND,
    ("", "pods", "eviction"): eviction.EVICT,
    ("", "pods", "log"): log.LOG,
    ("", "pods", "exec"): pod_streams.EXEC,
    ("", "pods", "attach"): pod_streams.ATTACH,
    ("", "pods", "portforward"): pod_streams.PORT_FORWARD,
    ("", "pods", "proxy"): proxy.PODS,
    ("", "pods", "ephemeralcontainers"): parts.EPHEMERAL_CONTAINERS,
    ("", "pods", "resize"): parts.RESIZE,
    ("", "services", "proxy"): proxy.SERVICES,
    ("", "nodes", "proxy"): proxy.NODES,
    ("", "namespaces", "finalize"): parts.FINALIZE,
    ("", "serviceaccounts", "token"): token.TOKEN,
    ("certificates.k8s.io", "certificatesigningrequests", "approval"): parts.APPROVAL,
    ("authentication.k8s.io", "tokenreviews", ""): identity_reviews.TOKEN,
    ("authentication.k8s.io", "selfsubjectreviews", ""): identity_reviews.SELF,
    ("authorization.k8s.io", "subjectaccessreviews", ""): access_reviews.SUBJECT,
    ("authorization.k8s.io", "localsubjectaccessreviews", ""): access_reviews.LOCAL,
    ("authorization.k8s.io", "selfsubjectaccessreviews", ""): access_reviews.SELF,
    ("authorization.k8s.io", "selfsubjectrulesreviews", ""): access_reviews.RULES,
}
