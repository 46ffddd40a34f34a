"""NodeRestriction: a kubelet changes only its own Node, its own Lease, and the pods bound to it.

The Node authorizer decides by names alone; here the objects themselves are looked at. Everybody who is not in
``system:nodes`` passes.
"""

from collections.abc import Callable
from typing import Any

from kubeshim.control_plane.api_server.admission import plugin, token_audiences
from kubeshim.control_plane.api_server.authorization import attributes as questions
from kubeshim.control_plane.api_server.authorization import node as nodes
from kubeshim.control_plane.api_server.authorization.attributes import quote
from kubeshim.machinery import errors, objects, pod_references, resources

_PODS = resources.GroupVersionResource("", "v1", "pods")
_NODES = resources.GroupVersionResource("", "v1", "nodes")
_RESTRICTED = "node-restriction.kubernetes.io"
_OWN_LABELS = frozenset(
    (
        "kubernetes.io/hostname", "kubernetes.io/os", "kubernetes.io/arch", "topology.kubernetes.io/zone",
        "topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/zone",
        "failure-domain.beta.kubernetes.io/region", "beta.kubernetes.io/os", "beta.kubernetes.io/arch",
        "node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type",
        "node.kubernetes.io/windows-build",
    )
)  # fmt: skip
"""Labels of the kubernetes.io and k8s.io domains that a kubelet may set on its Node …"""
_OWN_DOMAINS = ("kubelet.kubernetes.io", "node.kubernetes.io")
"""… and the domains whose labels it may set."""


class NodeRestriction:
    """Mutating admission plugin, as upstream: it changes nothing, but refuses before anybody says what is invalid."""

    def __init__(self, authorizer: Callable[[], questions.Authorizer]) -> None:
        self._authorizer = authorizer

    def admit(self, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
        node = nodes.node_of(attributes.user)
        if node is None:
            return
        if not node:
            raise _refused(attributes, f"could not determine node from user {quote(attributes.user.name)}")
        resource = attributes.resource
        check = _CHECKS.get((resource.group, resource.plural))
        if check is not None:
            check(node, attributes, reader)
        if resource.plural == "serviceaccounts" and attributes.subresource == "token":
            self._audience(attributes, reader)

    def _audience(self, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
        """A token is for an audience that the pod's volumes name, or for one that the node is allowed by itself."""
        spec = (attributes.object or {}).get("spec") or {}
        if attributes.operation != "CREATE":
            return
        if len(spec.get("audiences") or ()) > 1:
            raise _refused(attributes, "node may only request 0 or 1 audiences")
        audience = (spec.get("audiences") or [""])[0]
        pod = reader.get(_PODS, attributes.namespace, spec["boundObjectRef"]["name"]) or {}
        try:
            if audience in token_audiences.of_pod(pod, reader):
                return
        except errors.NotFound as problem:
            why = f"error validating audience {quote(audience)}: {problem.message}"
            raise _refused(attributes, why) from problem
        user = attributes.user
        question = questions.Attributes(
            user, "request-serviceaccounts-token-audience", "", "v1", audience, "", attributes.namespace,
            attributes.name,
        )  # fmt: skip
        if not self._authorizer().authorize(question).allowed:
            raise _refused(
                attributes,
                f"audience {quote(audience)} not found in pod spec volume, {user.name} is not authorized to request "
                "tokens for this audience",
            )


def _refused(attributes: plugin.Attributes, why: str) -> errors.Forbidden:
    resource = attributes.resource
    name = attributes.name or objects.name(attributes.object or {})
    return errors.forbidden(resource.group, resource.plural, name, why)


def _pod(node: str, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
    match attributes.subresource:
        case "":
            _pod_itself(node, attributes, reader)
        case "status":
            _pod_status(node, attributes)
        case "eviction":
            _pod_eviction(node, attributes, reader)
        case other:
            raise _refused(
                attributes, f"unexpected pod subresource {quote(other)}, only 'status' and 'eviction' are allowed"
            )


def _pod_itself(node: str, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
    if attributes.operation == "CREATE":
        _mirror_pod(node, attributes, reader)
    elif attributes.operation == "DELETE":
        existing = attributes.old_object or reader.get(_PODS, attributes.namespace, attributes.name)
        if existing is None:
            raise errors.not_found("", "pods", attributes.name)
        if _node_name(existing) != node:
            raise _refused(attributes, f"node {quote(node)} can only delete pods with spec.nodeName set to itself")
    else:
        operation = quote(attributes.operation)
        raise _refused(
            attributes, f"unexpected operation {operation}, node {quote(node)} can only create and delete mirror pods"
        )


def _mirror_pod(node: str, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
    pod = attributes.object or {}
    named = f"node {quote(node)}"
    if pod_references.MIRROR not in objects.annotations(pod):
        annotation = quote(pod_references.MIRROR)
        raise _refused(attributes, f"pod does not have {annotation} annotation, {named} can only create mirror pods")
    if _node_name(pod) != node:
        raise _refused(attributes, f"{named} can only create pods with spec.nodeName set to itself")
    _mirror_owner(node, attributes, reader, pod)
    kinds = {plural for plural, _, _ in pod_references.of_pod(pod)}
    for plural, words in (
        ("serviceaccounts", "a service account"), ("secrets", "secrets"), ("configmaps", "configmaps"),
        ("persistentvolumeclaims", "persistentvolumeclaims"), ("resourceclaims", "resourceclaims"),
    ):  # fmt: skip
        if plural in kinds:
            raise _refused(attributes, f"{named} can not create pods that reference {words}")
    for volume in objects.dig(pod, "spec", "volumes", default=()):
        for source in objects.dig(volume, "projected", "sources", default=()):
            for kind, words in (
                ("clusterTrustBundle", "clustertrustbundles"), ("podCertificate", "podcertificates"),
            ):  # fmt: skip
                if source.get(kind):
                    raise _refused(attributes, f"{named} can not create pods that reference {words}")


def _mirror_owner(node: str, attributes: plugin.Attributes, reader: plugin.Reader, pod: objects.Object) -> None:
    named = f"node {quote(node)}"
    owners = pod["metadata"].get("ownerReferences") or []
    if len(owners) > 1:
        raise _refused(attributes, f"{named} can only create pods with a single owner reference set to itself")
    owner = owners[0] if owners else {}
    if (owner.get("apiVersion"), owner.get("kind"), owner.get("name")) != ("v1", "Node", node):
        raise _refused(attributes, f"{named} can only create pods with an owner reference set to itself")
    if not owner.get("controller"):
        raise _refused(attributes, f"{named} can only create pods with a controller owner reference set to itself")
    if owner.get("blockOwnerDeletion"):
        raise _refused(attributes, f"{named} must not set blockOwnerDeletion on an owner reference")
    existing = reader.get(_NODES, "", node)
    if existing is None:
        raise errors.not_found("", "nodes", node)
    if owner.get("uid") != objects.uid(existing):
        raise _refused(attributes, f"node {node} UID mismatch: expected {owner.get('uid')} got {objects.uid(existing)}")


def _pod_status(node: str, attributes: plugin.Attributes) -> None:
    if attributes.operation != "UPDATE":
        raise _refused(attributes, f"unexpected operation {quote(attributes.operation)}")
    old, new = attributes.old_object or {}, attributes.object or {}
    if _node_name(old) != node:
        raise _refused(
            attributes, f"node {quote(node)} can only update pod status for pods with spec.nodeName set to itself"
        )
    if objects.labels(old) != objects.labels(new):
        raise _refused(attributes, f"node {quote(node)} cannot update labels through pod status")
    for field, words in (
        ("resourceClaimStatuses", "resource claim statues"),
        ("extendedResourceClaimStatus", "extended resource claim status"),
    ):
        if (objects.dig(old, "status", field) or None) != (objects.dig(new, "status", field) or None):
            raise _refused(attributes, f"node {quote(node)} cannot update {words}")


def _pod_eviction(node: str, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
    if attributes.operation != "CREATE":
        raise _refused(attributes, f"unexpected operation {attributes.operation}")
    name = attributes.name or objects.name(attributes.object or {})
    if not name:
        raise _refused(attributes, "could not determine pod from request data")
    existing = reader.get(_PODS, attributes.namespace, name)
    if existing is None:
        raise errors.not_found("", "pods", name)
    if _node_name(existing) != node:
        raise _refused(attributes, f"node {node} can only evict pods with spec.nodeName set to itself")


def _node(node: str, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
    new, old = attributes.object or {}, attributes.old_object or {}
    requested = attributes.name or objects.name(new)
    if requested != node:
        raise _refused(attributes, f"node {quote(node)} is not allowed to modify node {quote(requested)}")
    if attributes.operation == "CREATE":
        if objects.dig(new, "spec", "configSource") is not None:
            raise _refused(attributes, f"node {quote(node)} is not allowed to create pods with a non-nil configSource")
        forbidden = _forbidden_labels(objects.labels(new), {})
        if forbidden:
            labels = ", ".join(forbidden)
            raise _refused(attributes, f"node {quote(node)} is not allowed to set the following labels: {labels}")
    elif attributes.operation == "UPDATE":
        source = objects.dig(new, "spec", "configSource")
        if source is not None and source != objects.dig(old, "spec", "configSource"):
            raise _refused(
                attributes, f"node {quote(node)} is not allowed to update configSource to a new non-nil configSource"
            )
        if (objects.dig(new, "spec", "taints") or []) != (objects.dig(old, "spec", "taints") or []):
            raise _refused(attributes, f"node {quote(node)} is not allowed to modify taints")
        if new.get("metadata", {}).get("ownerReferences") != old.get("metadata", {}).get("ownerReferences"):
            raise _refused(attributes, f"node {quote(node)} is not allowed to modify ownerReferences")
        forbidden = _forbidden_labels(objects.labels(new), objects.labels(old))
        if forbidden:
            raise _refused(attributes, f"is not allowed to modify labels: {', '.join(forbidden)}")


def _forbidden_labels(new: dict[str, str], old: dict[str, str]) -> list[str]:
    """Changed labels that would let a node draw other people's workloads to itself."""
    changed = [key for key in {**new, **old} if new.get(key) != old.get(key)]
    return sorted(key for key in changed if _is_forbidden(key))


def _is_forbidden(key: str) -> bool:
    domain = key.partition("/")[0] if "/" in key else ""
    if _within(domain, _RESTRICTED):
        return True
    if not (_within(domain, "kubernetes.io") or _within(domain, "k8s.io")):
        return False
    return key not in _OWN_LABELS and not any(_within(domain, own) for own in _OWN_DOMAINS)


def _within(domain: str, parent: str) -> bool:
    return domain == parent or domain.endswith(f".{parent}")


def _claim(node: str, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
    if attributes.subresource != "status":
        raise _refused(attributes, "may only update PVC status")
    if attributes.operation != "UPDATE":
        raise _refused(attributes, f"unexpected operation {quote(attributes.operation)}")
    if _without_node_fields(attributes.old_object or {}) != _without_node_fields(attributes.object or {}):
        raise _refused(
            attributes,
            f"node {quote(node)} is not allowed to update fields other than status.capacity and status.conditions",
        )


_NODE_FIELDS = (
    "capacity", "conditions", "allocatedResources", "allocatedResourceStatuses", "currentVolumeAttributesClassName",
    "modifyVolumeStatus",
)  # fmt: skip


def _without_node_fields(claim: objects.Object) -> dict[str, Any]:
    metadata = {
        key: value
        for key, value in (claim.get("metadata") or {}).items()
        if key not in ("resourceVersion", "managedFields")
    }
    status = {key: value for key, value in (claim.get("status") or {}).items() if key not in _NODE_FIELDS}
    return {**claim, "metadata": metadata, "status": status}


def _service_account(node: str, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
    if attributes.operation != "CREATE" or attributes.subresource != "token":
        return
    reference = objects.dig(attributes.object or {}, "spec", "boundObjectRef", default={})
    if (reference.get("apiVersion"), reference.get("kind")) != ("v1", "Pod") or not reference.get("name"):
        raise _refused(attributes, "node requested token not bound to a pod")
    if not reference.get("uid"):
        raise _refused(attributes, "node requested token with a pod binding without a uid")
    pod = reader.get(_PODS, attributes.namespace, reference["name"])
    if pod is None:
        raise errors.not_found("", "pods", reference["name"])
    if objects.uid(pod) != reference["uid"]:
        raise _refused(
            attributes,
            f"the UID in the bound object reference ({reference['uid']}) does not match the UID in record. "
            "The object might have been deleted and then recreated",
        )
    if _node_name(pod) != node:
        raise _refused(attributes, "node requested token bound to a pod scheduled on a different node")


def _lease(node: str, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
    if attributes.namespace != nodes.LEASES:
        raise _refused(attributes, f"can only access leases in the {quote(nodes.LEASES)} system namespace")
    _own_name(node, attributes, "can only access node lease with the same name as the requesting node")


def _csi_node(node: str, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
    _own_name(node, attributes, "can only access CSINode with the same name as the requesting node")


def _own_name(node: str, attributes: plugin.Attributes, why: str) -> None:
    """On create, only the object tells its name."""
    name = objects.name(attributes.object or {}) if attributes.operation == "CREATE" else attributes.name
    if name != node:
        raise _refused(attributes, why)


def _slice(node: str, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
    obj = attributes.old_object if attributes.operation == "DELETE" else attributes.object
    if _node_name(obj or {}) == node:
        return
    verb = "delete" if attributes.operation == "DELETE" else "create"
    if attributes.operation == "UPDATE":
        return  # spec.nodeName cannot change, and the authorizer has looked at the stored object
    raise _refused(attributes, f"can only {verb} ResourceSlice with the same NodeName as the requesting node")


def _certificate_request(node: str, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
    if attributes.operation != "CREATE":
        raise _refused(attributes, f"unexpected operation {quote(attributes.operation)}")
    spec = (attributes.object or {}).get("spec") or {}
    if spec.get("nodeName") != node:
        raise _refused(
            attributes,
            f"PodCertificateRequest.Spec.NodeName={quote(spec.get('nodeName', ''))}, "
            f"which is not the requesting node {quote(node)}",
        )
    pod = reader.get(_PODS, attributes.namespace, str(spec.get("podName") or ""))
    if pod is None:
        raise errors.not_found("", "pods", str(spec.get("podName") or ""))
    if objects.uid(pod) != spec.get("podUID"):
        raise _refused(
            attributes,
            f"PodCertificateRequest for pod {quote(objects.key(pod))} contains pod UID "
            f"({quote(spec.get('podUID', ''))}) which differs from running pod {quote(objects.uid(pod))}",
        )
    if _node_name(pod) != node:
        raise _refused(attributes, f"pod {quote(objects.key(pod))} is not running on node {quote(node)}")


def _node_name(obj: objects.Object) -> str:
    return str(objects.dig(obj, "spec", "nodeName", default=""))


_CHECKS: dict[tuple[str, str], Callable[[str, plugin.Attributes, plugin.Reader], None]] = {
    ("", "pods"): _pod,
    ("", "nodes"): _node,
    ("", "persistentvolumeclaims"): _claim,
    ("", "serviceaccounts"): _service_account,
    ("coordination.k8s.io", "leases"): _lease,
    ("storage.k8s.io", "csinodes"): _csi_node,
    ("resource.k8s.io", "resourceslices"): _slice,
    ("certificates.k8s.io", "podcertificaterequests"): _certificate_request,
}
