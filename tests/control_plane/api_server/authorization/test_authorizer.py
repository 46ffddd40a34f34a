import pytest

from kubeshim.control_plane.api_server import request
from kubeshim.control_plane.api_server.admission import plugin
from kubeshim.control_plane.api_server.authorization import attributes as questions
from kubeshim.control_plane.api_server.authorization import (
    authorizer,
    bootstrap_policy,
    escalation,
    node,
    rbac,
    rules,
)
from kubeshim.machinery import bootstrap_tokens, errors, joining, resources


class Objects:
    """A reader over a dict."""

    def __init__(self, found=None):
        self.found = found or {}

    def get(self, gvr, namespace, name):
        return self.found.get((gvr.resource, namespace, name))

    def list(self, gvr, namespace=""):
        return [obj for (plural, _, _), obj in self.found.items() if plural == gvr.resource]


def user(name, *groups):
    return request.UserInfo(name, (*groups, "system:authenticated"))


ALICE = user("alice")
COORDINATION = "coordination.k8s.io"
SA = user("system:serviceaccount:shop:cart", "system:serviceaccounts", "system:serviceaccounts:shop")
NODE = user("system:node:a", "system:nodes")


def role(name, *texts, namespace=""):
    return bootstrap_policy._role("Role" if namespace else "ClusterRole", name, list(texts), namespace=namespace)


def binding(name, to, *subjects, namespace="", kind=""):
    made = bootstrap_policy._binding(name, to, list(subjects), namespace=namespace)
    made["roleRef"]["kind"] = kind or made["roleRef"]["kind"]
    return made


def chain(*objs, bootstrap=True, graph=None, reader=None):
    index = rbac.RBAC()
    for obj in [*(bootstrap_policy.load() if bootstrap else []), *objs]:
        index.set(obj)
    nodes = node.NodeAuthorizer(
        graph or node.Graph(), reader or Objects(), rules.compile_rules(bootstrap_policy.node_rules())
    )
    return authorizer.Chain(index, nodes)


def ask(who, verb, resource, namespace="", name="", group="", selector=""):
    plural, _, sub = resource.partition("/")
    return questions.Attributes(who, verb, group, "v1", plural, sub, namespace, name, "", True, selector)


def path(who, verb, url):
    return questions.Attributes(who, verb, path=url, is_resource=False)


@pytest.mark.parametrize(
    ("question", "allowed"),
    [
        (ask(user("x", "system:masters"), "delete", "nodes"), True),
        (ask(ALICE, "list", "pods", "default"), False),
        (ask(ALICE, "create", "selfsubjectaccessreviews", group="authorization.k8s.io"), True),
        (path(request.ANONYMOUS, "get", "/healthz"), True),
        (path(request.ANONYMOUS, "get", "/version"), True),
        (path(request.ANONYMOUS, "get", "/api"), False),
        (path(request.ANONYMOUS, "get", "/metrics"), False),
        (path(ALICE, "get", "/openapi/v3/api/v1"), True),
        (path(SA, "get", "/openid/v1/jwks"), True),
        (ask(user("system:kube-scheduler"), "create", "pods/binding", "default", "p"), True),
        (ask(user("system:kube-scheduler"), "update", "resourceclaims/binding", group="resource.k8s.io"), True),
        (ask(user("x", "system:monitoring"), "get", "nodes/metrics"), True),
        (path(user("x", "system:monitoring"), "get", "/statusz"), True),
        (path(ALICE, "get", "/statusz"), False),
        (path(SA, "get", "/openid/v1/jwks/"), True),
        (ask(user("system:serviceaccount:kube-system:node-controller"), "list", "leases", group=COORDINATION), True),
        (ask(user("system:kube-proxy"), "watch", "endpointslices", group="discovery.k8s.io"), True),
        (ask(user("system:kube-controller-manager"), "create", "pods", "default"), True),
        (ask(user("system:serviceaccount:kube-system:coredns"), "list", "services"), True),
        (
            ask(
                user("system:serviceaccount:kube-system:deployment-controller"),
                "create",
                "replicasets",
                "d",
                group="apps",
            ),
            True,
        ),
    ],
)
def test_bootstrap_policy(question, allowed):
    assert chain().authorize(question).allowed is allowed


NEW = user("system:bootstrap:abcdef", "system:bootstrappers", bootstrap_tokens.NODE_GROUP)
OTHER = user("system:bootstrap:abcdef", "system:bootstrappers")
AGENT = user(joining.AGENT_USER + "n1", joining.AGENT_GROUP)
A_NODE = user("system:node:n1", "system:nodes")
CERTIFICATES = "certificates.k8s.io"


@pytest.mark.parametrize(
    ("question", "allowed"),
    [
        (ask(NEW, "create", "certificatesigningrequests", group=CERTIFICATES), True),
        (ask(NEW, "create", "certificatesigningrequests/nodeclient", group=CERTIFICATES), True),
        (ask(NEW, "create", "certificatesigningrequests/nodeagentclient", group=CERTIFICATES), False),
        (ask(NEW, "get", "nodes", name="n1"), True),
        (ask(NEW, "get", "configmaps", "kube-system", "kubeshim-config"), True),
        (ask(NEW, "get", "configmaps", "kube-system", "other"), False),
        (ask(NEW, "get", "secrets", "kube-system", "bootstrap-token-abcdef"), False),
        (ask(OTHER, "create", "certificatesigningrequests", group=CERTIFICATES), False),
        (ask(request.ANONYMOUS, "get", "configmaps", "kube-public", "cluster-info"), True),
        (ask(request.ANONYMOUS, "list", "configmaps", "kube-public"), False),
        (ask(A_NODE, "create", "certificatesigningrequests/selfnodeclient", group=CERTIFICATES), True),
        (ask(A_NODE, "create", "certificatesigningrequests/nodeclient", group=CERTIFICATES), False),
        (ask(A_NODE, "create", "certificatesigningrequests/nodeagentclient", group=CERTIFICATES), True),
        (ask(AGENT, "watch", "endpointslices", group="discovery.k8s.io"), True),
        (ask(AGENT, "watch", "networkpolicies", group="networking.k8s.io"), True),
        (ask(AGENT, "list", "secrets"), False),
        (ask(AGENT, "create", "certificatesigningrequests", group=CERTIFICATES), False),
        (ask(user("system:kube-controller-manager"), "update", "configmaps", "kube-public", "cluster-info"), True),
        (ask(user("system:kube-controller-manager"), "approve", "signers", name="kubernetes.io/kubelet-serving",
             group=CERTIFICATES), True),
    ],
)  # fmt: skip
def test_who_may_do_what_to_join(question, allowed):
    assert chain().authorize(question).allowed is allowed


def test_bindings_reach_as_far_as_their_namespace():
    asked = chain(
        role("reader", "read | core | pods"),
        role("local", "get | core | secrets", namespace="shop"),
        binding("team", "reader", "User alice", namespace="shop", kind="ClusterRole"),
        binding("carts", "local", "ServiceAccount shop/cart", namespace="shop"),
        binding("everywhere", "reader", "Group auditors"),
    )
    assert asked.authorize(ask(ALICE, "list", "pods", "shop")).allowed
    assert not asked.authorize(ask(ALICE, "list", "pods", "other")).allowed
    assert not asked.authorize(ask(ALICE, "list", "pods")).allowed
    assert asked.authorize(ask(SA, "get", "secrets", "shop", "s")).allowed
    decision = asked.authorize(ask(user("eve", "auditors"), "watch", "pods"))
    assert (
        decision.reason
        == 'RBAC: allowed by ClusterRoleBinding "everywhere" of ClusterRole "reader" to Group "auditors"'
    )


def test_a_change_counts_at_once():
    asked = chain(binding("b", "reader", "User alice"))
    question = ask(ALICE, "list", "pods", "x")
    assert asked.authorize(question).reason == 'RBAC: clusterrole.rbac.authorization.k8s.io "reader" not found'
    asked.index.set(role("reader", "read | core | pods"))
    assert asked.authorize(question).allowed
    asked.index.remove(binding("b", "reader", "User alice"))
    assert not asked.authorize(question).allowed


POD = {
    "metadata": {"namespace": "shop", "name": "p"},
    "spec": {
        "nodeName": "a",
        "serviceAccountName": "cart",
        "imagePullSecrets": [{"name": "pull"}],
        "containers": [{"envFrom": [{"configMapRef": {"name": "env"}}]}],
        "volumes": [
            {"name": "v", "projected": {"sources": [{"secret": {"name": "proj"}}]}},
            {"name": "d", "persistentVolumeClaim": {"claimName": "data"}},
        ],
    },
}
VOLUMES = {
    ("persistentvolumeclaims", "shop", "data"): {"spec": {"volumeName": "pv"}},
    ("persistentvolumes", "", "pv"): {
        "spec": {
            "claimRef": {"namespace": "shop", "name": "data"},
            "csi": {"nodeStageSecretRef": {"name": "csi", "namespace": "sys"}},
        }
    },
}


STRANGE = "no relationship found between node '{}' and this object"


@pytest.mark.parametrize(
    ("question", "why_not"),
    [
        (ask(NODE, "get", "secrets", "shop", "pull"), None),
        (ask(NODE, "watch", "secrets", "shop", "proj"), None),
        (ask(NODE, "get", "secrets", "sys", "csi"), None),
        (ask(NODE, "get", "configmaps", "shop", "env"), None),
        (ask(NODE, "get", "persistentvolumes", "", "pv"), None),
        (ask(NODE, "create", "serviceaccounts/token", "shop", "cart"), None),
        (ask(NODE, "get", "pods", "shop", "p"), None),
        (ask(NODE, "list", "pods", selector="spec.nodeName=a"), None),
        (ask(NODE, "get", "nodes", "", "a"), None),
        (ask(NODE, "update", "leases", "kube-node-lease", "a", group="coordination.k8s.io"), None),
        (ask(NODE, "list", "services"), None),
        (ask(NODE, "create", "events", "shop"), None),
        (ask(NODE, "get", "secrets", "shop", "other"), STRANGE.format("a")),
        (ask(NODE, "list", "secrets", "shop"), "No Object name found"),
        (ask(NODE, "list", "pods"), "can only list/watch pods with spec.nodeName field selector"),
        (
            ask(NODE, "list", "pods", selector="spec.nodeName=b"),
            "can only list/watch pods with spec.nodeName field selector",
        ),
        (ask(NODE, "get", "nodes", "", "b"), "node 'a' cannot read 'b', only its own Node object"),
        (
            ask(NODE, "get", "leases", "kube-system", "a", group="coordination.k8s.io"),
            'can only access leases in the "kube-node-lease" system namespace',
        ),
        (ask(NODE, "create", "pods/exec", "shop", "p"), ""),
        (ask(user("system:node:b", "system:nodes"), "get", "secrets", "shop", "pull"), STRANGE.format("b")),
        (ask(user("mallory", "system:nodes"), "get", "services"), 'unknown node for user "mallory"'),
    ],
)
def test_a_node_reads_what_its_pods_need(question, why_not):
    graph = node.Graph()
    graph.set_pod(POD)
    decision = chain(graph=graph, reader=Objects(VOLUMES)).authorize(question)
    assert decision.allowed is (why_not is None)
    assert decision.reason == (why_not or "")


def test_the_graph_forgets_a_deleted_pod():
    graph = node.Graph()
    graph.set_pod(POD)
    graph.set_pod({**POD, "metadata": {"namespace": "shop", "name": "q"}})
    graph.remove_pod(POD)
    assert graph.refers("a", "secrets", "shop", "pull")
    graph.remove_pod({**POD, "metadata": {"namespace": "shop", "name": "q"}})
    assert not graph.refers("a", "secrets", "shop", "pull")


def attempt(asked, who, obj, old=None):
    plural = obj["kind"].lower() + "s"
    resource = resources.Resource("rbac.authorization.k8s.io", "v1", plural, obj["kind"], True, ())
    attributes = plugin.Attributes(
        who,
        "UPDATE" if old else "CREATE",
        resource,
        "",
        obj["metadata"].get("namespace", ""),
        "",
        obj,
        old,
        {},
        False,
        [],
    )
    escalation.Escalation(asked.index, asked).admit(attributes, Objects())


def test_nobody_grants_more_than_he_holds():
    asked = chain(
        role("mine", "get list | core | pods"),
        binding("mine", "mine", "User alice", namespace="shop", kind="ClusterRole"),
    )
    attempt(asked, ALICE, role("r", "get | core | pods", namespace="shop"))
    attempt(asked, user("root", "system:masters"), role("r", "* | * | *", namespace="shop"))
    with pytest.raises(errors.Forbidden) as caught:
        attempt(asked, ALICE, role("r", "get delete | core | pods", namespace="shop"))
    assert caught.value.message == (
        'roles.rbac.authorization.k8s.io "r" is forbidden: user "alice" (groups=["system:authenticated"]) is attempting'
        ' to grant RBAC permissions not currently held:\n{APIGroups:[""], Resources:["pods"], Verbs:["delete"]}'
    )
    attempt(asked, ALICE, binding("b", "mine", "User bob", namespace="shop", kind="ClusterRole"))
    with pytest.raises(errors.Forbidden):
        attempt(asked, ALICE, binding("b", "cluster-admin", "User alice", namespace="shop", kind="ClusterRole"))
    with pytest.raises(errors.NotFound):
        attempt(asked, ALICE, binding("b", "nowhere", "User alice", namespace="shop"))
    with pytest.raises(errors.APIStatusError, match=r'^unsupported role reference kind: "Group"$'):
        attempt(asked, ALICE, binding("b", "mine", "User alice", namespace="shop", kind="Group"))


def test_bind_and_escalate_are_enough():
    asked = chain(
        role(
            "powers",
            "escalate | rbac.authorization.k8s.io | roles",
            "bind | rbac.authorization.k8s.io | clusterroles | admin",
        ),
        binding("p", "powers", "User alice"),
    )
    attempt(asked, ALICE, role("r", "* | * | *", namespace="shop"))
    attempt(asked, ALICE, binding("b", "admin", "User alice", namespace="shop", kind="ClusterRole"))


def test_a_role_may_be_relabelled_without_holding_it():
    old = role("r", "* | * | *", namespace="shop")
    new = {**old, "metadata": {**old["metadata"], "labels": {"a": "b"}}}
    attempt(chain(), ALICE, new, old)
