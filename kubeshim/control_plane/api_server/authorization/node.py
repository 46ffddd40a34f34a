"""What a kubelet may ask: only what the pods bound to its node need.

The graph knows, for each node, what the pods on it refer to; from a claim the way leads on over the stored claim to
its volume and to the volume's secrets. Access that is not subdivided follows the ``system:node`` role.
"""

import collections
from collections.abc import Callable, Sequence

from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server.admission import plugin
from kubeshim.control_plane.api_server.authorization import attributes as questions
from kubeshim.control_plane.api_server.authorization import rules
from kubeshim.machinery import objects, pod_references, resources

GROUP = "system:nodes"
_PREFIX = "system:node:"
LEASES = "kube-node-lease"

_CLAIMS = resources.GroupVersionResource("", "v1", "persistentvolumeclaims")
_VOLUMES = resources.GroupVersionResource("", "v1", "persistentvolumes")
_ATTACHMENTS = resources.GroupVersionResource("storage.k8s.io", "v1", "volumeattachments")
_SLICES = resources.GroupVersionResource("resource.k8s.io", "v1", "resourceslices")
_CERTIFICATES = resources.GroupVersionResource("certificates.k8s.io", "v1", "podcertificaterequests")


def node_of(user: request.UserInfo) -> str | None:
    """The node a user is; ``""`` for a member of ``system:nodes`` with another name; None for who is no node."""
    if GROUP not in user.groups:
        return None
    return user.name.removeprefix(_PREFIX) if user.name.startswith(_PREFIX) else ""


class Graph:
    """What the pods on each node refer to. Fed with every change of a pod."""

    def __init__(self) -> None:
        self._pods: dict[tuple[str, str], tuple[str, frozenset[pod_references.Reference]]] = {}
        self._nodes: dict[str, collections.Counter[pod_references.Reference]] = {}

    def set_pod(self, pod: objects.Object) -> None:
        key = (objects.namespace(pod), objects.name(pod))
        node = objects.dig(pod, "spec", "nodeName", default="")
        if not node:
            self.remove_pod(pod)
            return
        itself = ("pods", *key)
        mirror = pod_references.MIRROR in objects.annotations(pod)
        # A mirror pod was written by the node itself: following it would let a node name what it wants to read.
        found = frozenset((itself,)) if mirror else pod_references.of_pod(pod) | {itself}
        if self._pods.get(key) == (node, found):
            return
        self.remove_pod(pod)
        self._pods[key] = (node, found)
        self._nodes.setdefault(node, collections.Counter()).update(found)

    def remove_pod(self, pod: objects.Object) -> None:
        held = self._pods.pop((objects.namespace(pod), objects.name(pod)), None)
        if held is None:
            return
        node, found = held
        counts = self._nodes[node]
        for reference in found:
            counts[reference] -= 1
            if not counts[reference]:
                del counts[reference]
        if not counts:
            del self._nodes[node]

    def refers(self, node: str, plural: str, namespace: str, name: str) -> bool:
        counts = self._nodes.get(node)
        return counts is not None and (plural, namespace, name) in counts

    def claims(self, node: str) -> list[tuple[str, str]]:
        """(namespace, name) of the PersistentVolumeClaims in use there."""
        return [(space, name) for plural, space, name in self._nodes.get(node, ()) if plural == _CLAIMS.resource]


class NodeAuthorizer:
    def __init__(self, graph: Graph, reader: plugin.Reader, general: Sequence[rules.Rule]) -> None:
        """``general`` are the rules of ``system:node``."""
        self._graph = graph
        self._reader = reader
        self._general = general
        self._special: dict[tuple[str, str], Callable[[str, questions.Attributes], str | None]] = {
            ("", "secrets"): self._read_related,
            ("", "configmaps"): self._read_related,
            ("", "persistentvolumeclaims"): self._claim,
            ("", "persistentvolumes"): self._get_related,
            ("resource.k8s.io", "resourceclaims"): self._get_related,
            ("storage.k8s.io", "volumeattachments"): self._get_related,
            ("", "serviceaccounts"): self._service_account,
            ("coordination.k8s.io", "leases"): _lease,
            ("storage.k8s.io", "csinodes"): _csi_node,
            ("resource.k8s.io", "resourceslices"): self._slice,
            ("certificates.k8s.io", "podcertificaterequests"): self._certificate_request,
            ("", "nodes"): _node,
            ("", "pods"): self._pod,
        }

    def authorize(self, attributes: questions.Attributes) -> questions.Decision:
        node = node_of(attributes.user)
        if node is None:
            return questions.NO_OPINION
        if not node:
            return _no(f"unknown node for user {questions.quote(attributes.user.name)}")
        if attributes.is_resource:
            special = self._special.get((attributes.group, attributes.resource))
            if special is not None:
                refusal = special(node, attributes)
                return questions.Decision(questions.Verdict.ALLOW) if refusal is None else _no(refusal)
        if any(_allows(rule, attributes) for rule in self._general):
            return questions.Decision(questions.Verdict.ALLOW)
        return questions.NO_OPINION

    # Each of these returns None to allow, or why not.

    def _read_related(self, node: str, asked: questions.Attributes) -> str | None:
        if asked.verb not in ("get", "list", "watch"):
            return "can only read resources of this type"
        if asked.subresource:
            return "cannot read subresource"
        if not asked.namespace:
            return "can only read namespaced object of this type"
        return self._related(node, asked)

    def _get_related(self, node: str, asked: questions.Attributes) -> str | None:
        if asked.verb != "get":
            return "can only get individual resources of this type"
        if asked.subresource:
            return "cannot get subresource"
        return self._related(node, asked)

    def _claim(self, node: str, asked: questions.Attributes) -> str | None:
        if asked.subresource != "status":
            return self._get_related(node, asked)
        if asked.verb not in ("update", "patch"):
            return "can only get/update/patch this type"
        return self._related(node, asked)

    def _service_account(self, node: str, asked: questions.Attributes) -> str | None:
        if asked.verb == "get" and not asked.subresource:
            return self._related(node, asked)
        if asked.verb != "create" or not asked.name:
            return "can only create tokens for individual service accounts"
        if asked.subresource != "token":
            return "can only create token subresource of serviceaccount"
        return self._related(node, asked)

    def _slice(self, node: str, asked: questions.Attributes) -> str | None:
        if asked.subresource:
            return "cannot authorize ResourceSlice subresources"
        if asked.verb == "create":
            return None  # NodeRestriction sees the object
        if asked.verb in ("get", "update", "patch", "delete"):
            return self._related(node, asked)
        if asked.verb in ("watch", "list", "deletecollection"):
            if _selects(asked, "spec.nodeName", node):
                return None
            return "can only list/watch/deletecollection resourceslices with nodeName field selector"
        return (
            "only the following verbs are allowed for a ResourceSlice: "
            "get, watch, list, create, update, patch, delete, deletecollection"
        )

    def _certificate_request(self, node: str, asked: questions.Attributes) -> str | None:
        if asked.subresource:
            return "nodes may not access the subresources of PodCertificateRequests"
        if asked.verb == "create":
            return None  # NodeRestriction sees the object
        if asked.verb == "get":
            return self._related(node, asked)
        if asked.verb in ("list", "watch"):
            if _selects(asked, "spec.nodeName", node):
                return None
            return "can only list/watch podcertificaterequests with spec.nodeName field selector"
        return "can only create, get, list and watch PodCertificateRequests"

    def _pod(self, node: str, asked: questions.Attributes) -> str | None:
        match (asked.subresource, asked.verb):
            case ("", "get"):
                return self._get_related(node, asked)
            case ("", "list" | "watch"):
                if _selects(asked, "spec.nodeName", node):
                    return None
                if asked.name:
                    return self._related(node, asked)
                return "can only list/watch pods with spec.nodeName field selector"
            case ("", "create" | "delete") | ("status", "update" | "patch") | ("eviction", "create"):
                return None  # NodeRestriction sees the object
        return ""

    def _related(self, node: str, asked: questions.Attributes) -> str | None:
        if not asked.name:
            return "No Object name found"
        if self._graph.refers(node, asked.resource, asked.namespace, asked.name) or self._reaches(node, asked):
            return None
        return f"no relationship found between node '{node}' and this object"

    def _reaches(self, node: str, asked: questions.Attributes) -> bool:
        """Relations over a stored object rather than a pod's own words."""
        match asked.resource:
            case "persistentvolumes":
                volume = self._reader.get(_VOLUMES, "", asked.name)
                claim = objects.dig(volume or {}, "spec", "claimRef", default={})
                return self._graph.refers(
                    node, _CLAIMS.resource, claim.get("namespace", ""), claim.get("name", "")
                )  # fmt: skip
            case "secrets":
                return any(
                    (asked.namespace, asked.name) in pod_references.secrets_of_volume(volume)
                    for volume in self._volumes_in_use(node)
                )
            case "volumeattachments":
                attachment = self._reader.get(_ATTACHMENTS, "", asked.name)
                return bool(objects.dig(attachment or {}, "spec", "nodeName") == node)
            case "resourceslices":
                part = self._reader.get(_SLICES, "", asked.name)
                return bool(objects.dig(part or {}, "spec", "nodeName") == node)
            case "podcertificaterequests":
                found = self._reader.get(_CERTIFICATES, asked.namespace, asked.name)
                return bool(objects.dig(found or {}, "spec", "nodeName") == node)
        return False

    def _volumes_in_use(self, node: str) -> list[objects.Object]:
        """Those that name a claim in use there; whether the claim names them as well is not looked at."""
        claims = set(self._graph.claims(node))
        if not claims:
            return []
        return [
            volume
            for volume in self._reader.list(_VOLUMES)
            if (bound := objects.dig(volume, "spec", "claimRef", default={}))
            and (bound.get("namespace", ""), bound.get("name", "")) in claims
        ]


def _lease(node: str, asked: questions.Attributes) -> str | None:
    if asked.verb not in ("get", "create", "update", "patch", "delete"):
        return "can only get, create, update, patch, or delete a node lease"
    if asked.namespace != LEASES:
        return f'can only access leases in the "{LEASES}" system namespace'
    if asked.verb != "create" and asked.name != node:
        return "can only access node lease with the same name as the requesting node"
    return None


def _csi_node(node: str, asked: questions.Attributes) -> str | None:
    if asked.verb not in ("get", "create", "update", "patch", "delete"):
        return "can only get, create, update, patch, or delete a CSINode"
    if asked.subresource:
        return "cannot authorize CSINode subresources"
    if asked.verb != "create" and asked.name != node:
        return "can only access CSINode with the same name as the requesting node"
    return None


def _node(node: str, asked: questions.Attributes) -> str | None:
    match (asked.subresource, asked.verb):
        case ("", "create" | "update" | "patch") | ("status", "update" | "patch"):
            return None  # NodeRestriction sees the object
        case ("", "get" | "list" | "watch"):
            if asked.name == node:
                return None
            if not asked.name:
                return f"node '{node}' cannot read all nodes, only its own Node object"
            return f"node '{node}' cannot read '{asked.name}', only its own Node object"
    return ""


def _selects(asked: questions.Attributes, field: str, value: str) -> bool:
    """Whether the field selector holds the list to ``field=value``."""
    terms = asked.field_selector.split(",")
    return f"{field}={value}" in terms or f"{field}=={value}" in terms


def _allows(rule: rules.Rule, asked: questions.Attributes) -> bool:
    if asked.is_resource:
        return rule.allows(asked.verb, asked.group, asked.resource, asked.subresource, asked.name)
    return rule.allows_url(asked.verb, asked.path)


def _no(reason: str) -> questions.Decision:
    return questions.Decision(questions.Verdict.NO_OPINION, reason)
