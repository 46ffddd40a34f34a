import pytest

from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server.admission import plugin
from kubeshim.control_plane.api_server.admission.plugins import node_restriction
from kubeshim.control_plane.api_server.authorization import attributes as questions
from kubeshim.machinery import errors, resources

NODE = request.UserInfo("system:node:a", ("system:nodes",))
VOLUMES = [
    {
        "name": "t",
        "projected": {"sources": [{"serviceAccountToken": {}}, {"serviceAccountToken": {"audience": "vault"}}]},
    },
    {"name": "c", "csi": {"driver": "d.io"}},
    {"name": "e", "ephemeral": {}},
    {"name": "f", "azureFile": {"shareName": "s"}},
]
POD = {"metadata": {"namespace": "s", "name": "p", "uid": "u"}, "spec": {"nodeName": "a", "volumes": VOLUMES}}
LOST = {
    "metadata": {"namespace": "s", "name": "l", "uid": "w"},
    "spec": {"nodeName": "a", "volumes": [{"name": "x", "persistentVolumeClaim": {"claimName": "gone"}}]},
}


def driver(name, audience):
    return {"metadata": {"name": name}, "spec": {"tokenRequests": [{"audience": audience}]}}


OTHER = {"metadata": {"namespace": "s", "name": "q", "uid": "v"}, "spec": {"nodeName": "b"}}
OWNER = {"apiVersion": "v1", "kind": "Node", "name": "a", "uid": "n", "controller": True}


class Objects:
    found = {
        ("pods", "s", "p"): POD,
        ("pods", "s", "q"): OTHER,
        ("pods", "s", "l"): LOST,
        ("nodes", "", "a"): {"metadata": {"name": "a", "uid": "n"}},
        ("persistentvolumeclaims", "s", "p-e"): {"spec": {"volumeName": "v"}},
        ("persistentvolumes", "", "v"): {"spec": {"csi": {"driver": "disk.io"}}},
        ("csidrivers", "", "d.io"): driver("d.io", "inline"),
        ("csidrivers", "", "disk.io"): driver("disk.io", "disk"),
        ("csidrivers", "", "file.csi.azure.com"): driver("file.csi.azure.com", "file"),
    }

    def get(self, gvr, namespace, name):
        return self.found.get((gvr.resource, namespace, name))


class Granted:
    """To nodes, beyond what their pods name."""

    def authorize(self, asked):
        granted = (asked.verb, asked.resource) == ("request-serviceaccounts-token-audience", "registry")
        return questions.Decision(questions.Verdict.ALLOW) if granted else questions.NO_OPINION


def check(operation, plural, new=None, old=None, *, group="", sub="", name="", namespace="s", user=NODE):
    resource = resources.Resource(group, "v1", plural, plural, True, ())
    attributes = plugin.Attributes(user, operation, resource, sub, namespace, name, new, old, {}, False, [])
    node_restriction.NodeRestriction(Granted).admit(attributes, Objects())


def node(labels=None, **spec):
    return {"metadata": {"name": "a", "labels": labels or {}}, "spec": spec}


def mirror(owner=OWNER, **spec):
    metadata = {"name": "m", "annotations": {"kubernetes.io/config.mirror": "h"}, "ownerReferences": [owner]}
    return {"metadata": metadata, "spec": {"nodeName": "a"} | spec}


def token(*audiences, **reference):
    return {"spec": {"boundObjectRef": {"apiVersion": "v1", "kind": "Pod"} | reference, "audiences": list(audiences)}}


def asked(*audiences, pod="p", uid="u"):
    return ("CREATE", "serviceaccounts", token(*audiences, name=pod, uid=uid)), {"sub": "token", "name": "default"}


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (("UPDATE", "pods", {**POD, "status": {"phase": "Running"}}, POD), {"sub": "status", "name": "p"}),
        (("DELETE", "pods"), {"name": "p"}),
        (("CREATE", "pods", mirror()), {}),
        (("CREATE", "nodes", node({"kubernetes.io/hostname": "a", "x": "y", "node.kubernetes.io/z": ""})), {}),
        (("UPDATE", "nodes", node({"x": "z"}), node({"x": "y"})), {"name": "a"}),
        *(asked(*audiences) for audiences in ((), ("vault",), ("inline",), ("disk",), ("file",), ("registry",))),
        (("UPDATE", "leases", {}, {}), {"group": "coordination.k8s.io", "namespace": "kube-node-lease", "name": "a"}),
        (("DELETE", "pods"), {"name": "q", "user": request.UserInfo("alice")}),
    ],
)
def test_a_node_may(arguments, options):
    check(*arguments, **options)


@pytest.mark.parametrize(
    ("arguments", "options", "why"),
    [
        (
            ("UPDATE", "pods", OTHER, OTHER),
            {"sub": "status", "name": "q"},
            "can only update pod status for pods with spec.nodeName set to itself",
        ),
        (
            ("UPDATE", "pods", {**POD, "metadata": {**POD["metadata"], "labels": {"a": "b"}}}, POD),
            {"sub": "status"},
            "cannot update labels through pod status",
        ),
        (("DELETE", "pods"), {"name": "q"}, "can only delete pods with spec.nodeName set to itself"),
        (("CREATE", "pods", POD), {}, "can only create mirror pods"),
        (("CREATE", "pods", mirror({**OWNER, "uid": "x"})), {}, "UID mismatch: expected x got n"),
        (
            ("CREATE", "pods", mirror(volumes=[{"name": "v", "secret": {"secretName": "s"}}])),
            {},
            "can not create pods that reference secrets",
        ),
        (
            ("UPDATE", "nodes", node(taints=[]), node(taints=[{"key": "k"}])),
            {"name": "a"},
            "is not allowed to modify taints",
        ),
        (
            ("UPDATE", "nodes", node({"node-restriction.kubernetes.io/x": ""}), node()),
            {"name": "a"},
            "is not allowed to modify labels: node-restriction.kubernetes.io/x",
        ),
        (
            ("UPDATE", "nodes", node({"node-role.kubernetes.io/control-plane": ""}), node()),
            {"name": "a"},
            "is not allowed to modify labels",
        ),
        (("UPDATE", "nodes", {}, {}), {"name": "b"}, 'node "a" is not allowed to modify node "b"'),
        (("CREATE", "serviceaccounts", token(name="q", uid="v")), {"sub": "token"}, "scheduled on a different node"),
        (("CREATE", "serviceaccounts", token(name="p", uid="w")), {"sub": "token"}, "does not match the UID in record"),
        (("CREATE", "serviceaccounts", {"spec": {}}), {"sub": "token"}, "not bound to a pod"),
        (*asked("vault", "disk"), "node may only request 0 or 1 audiences"),
        (
            *asked("evil"),
            'serviceaccounts "default" is forbidden: audience "evil" not found in pod spec volume, system:node:a is '
            "not authorized to request tokens for this audience",
        ),
        (
            *asked("evil", pod="l", uid="w"),
            'error validating audience "evil": persistentvolumeclaim "gone" not found',
        ),
        (
            ("CREATE", "pods", {}),
            {"sub": "eviction", "name": "q"},
            "can only evict pods with spec.nodeName set to itself",
        ),
        (
            ("UPDATE", "leases", {}, {}),
            {"group": "coordination.k8s.io", "namespace": "kube-node-lease", "name": "b"},
            "same name as the requesting node",
        ),
        (
            ("DELETE", "pods"),
            {"name": "p", "user": request.UserInfo("eve", ("system:nodes",))},
            'could not determine node from user "eve"',
        ),
    ],
)
def test_a_node_may_not(arguments, options, why):
    with pytest.raises(errors.Forbidden) as caught:
        check(*arguments, **options)
    assert why in caught.value.message
