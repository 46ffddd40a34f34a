"""What expressions of admission may read of a request."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server.admission import plugin
from kubeshim.control_plane.api_server.authorization import attributes as questions
from kubeshim.machinery import objects

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers
    from kubeshim.machinery.cel.libraries import authorizer

_ACCOUNT_GROUPS = ("system:serviceaccounts", "system:authenticated")


def of(
    server: "servers.Server", attributes: plugin.Attributes, question: Mapping[str, Any],
    obj: objects.Object | None, old: objects.Object | None,
) -> dict[str, Any]:  # fmt: skip
    """``question`` is the AdmissionRequest."""
    from kubeshim.machinery.cel import admission
    from kubeshim.machinery.cel.libraries import authorizer

    asking = authorizer.Authorizer(_ask(server, attributes))
    about = {
        "group": attributes.resource.group,
        "resource": attributes.resource.plural,
        "subresource": attributes.subresource,
        "namespace": attributes.namespace,
        "name": attributes.name,
    }
    return {
        "object": obj,
        "oldObject": old,
        "request": admission.request(question),
        "authorizer": asking,
        "authorizer.requestResource": asking.about(authorizer.ResourceCheck, **about),
    }


def _ask(server: "servers.Server", attributes: plugin.Attributes) -> "authorizer.Ask":
    from kubeshim.machinery.cel.libraries import authorizer

    def ask(verb: str, said: Mapping[str, str], account: tuple[str, str] | None) -> authorizer.Decision:
        user = attributes.user if account is None else _service_account(*account)
        if "path" in said:
            question = questions.Attributes(user, verb, path=said["path"], is_resource=False)
        else:
            question = questions.Attributes(
                user, verb, said.get("group", ""), "*", said.get("resource", ""), said.get("subresource", ""),
                said.get("namespace", ""), said.get("name", ""), "", True, said.get("fieldSelector", ""),
            )  # fmt: skip
        decision = server.authorizer.authorize(question)
        return authorizer.Decision(decision.allowed, decision.reason)

    return ask


def _service_account(namespace: str, name: str) -> request.UserInfo:
    groups = (_ACCOUNT_GROUPS[0], f"system:serviceaccounts:{namespace}", _ACCOUNT_GROUPS[1])
    return request.UserInfo(f"system:serviceaccount:{namespace}:{name}", groups)
