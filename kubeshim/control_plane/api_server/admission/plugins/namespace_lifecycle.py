"""NamespaceLifecycle: nothing is made in a namespace that does not exist or that is going; three never go."""

from kubeshim.control_plane.api_server.admission import plugin, refusals
from kubeshim.machinery import errors, objects, resources

_NAMESPACES = resources.GroupVersionResource("", "v1", "namespaces")
_IMMORTAL = frozenset(("default", "kube-system", "kube-public"))
_SECRETIVE = "localsubjectaccessreviews.authorization.k8s.io"
"""Answering 404 here would tell who may not know which namespaces there are."""


class NamespaceLifecycle:
    def admit(self, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
        resource, operation = attributes.resource, attributes.operation
        if resource.plural == "namespaces" and not resource.group:
            if operation == "DELETE" and attributes.name in _IMMORTAL:
                raise errors.forbidden("", "namespaces", attributes.name, "this namespace may not be deleted")
            return
        space = attributes.namespace
        if not space or operation not in ("CREATE", "UPDATE") or resource.group_resource == _SECRETIVE:
            return
        namespace = reader.get(_NAMESPACES, "", space)
        if namespace is None:
            raise errors.not_found("", "namespaces", space)
        if operation == "CREATE" and objects.dig(namespace, "status", "phase") == "Terminating":
            raise _terminating(attributes)

    def recheck(self, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
        self.admit(attributes, reader)


def _terminating(attributes: plugin.Attributes) -> errors.Forbidden:
    space = attributes.namespace
    refusal = refusals.forbidden(
        attributes, f"unable to create new content in namespace {space} because it is being terminated"
    )
    refusal.details["causes"] = [
        {
            "reason": "NamespaceTerminating",
            "message": f"namespace {space} is being terminated",
            "field": "metadata.namespace",
        }
    ]
    return refusal
