"""Plugins that fill in one field."""

import pytest

from kubeshim.control_plane.api_server.admission.plugins import (
    default_ingress_class,
    default_storage_class,
    default_toleration_seconds,
    pod_topology_labels,
    storage_object_in_use_protection,
    taint_nodes_by_condition,
)
from tests.control_plane.api_server.admission import admission_kit as kit

NOTHING = kit.Objects()
TOLERATED = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
NOT_READY = {"key": "node.kubernetes.io/not-ready", **TOLERATED}
UNREACHABLE = {"key": "node.kubernetes.io/unreachable", **TOLERATED}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], [NOT_READY, UNREACHABLE]),
        ([{"key": "node.kubernetes.io/not-ready"}], [{"key": "node.kubernetes.io/not-ready"}, UNREACHABLE]),
        ([{"operator": "Exists"}], [{"operator": "Exists"}]),
        (
            [{"operator": "Exists", "effect": "NoSchedule"}],
            [{"operator": "Exists", "effect": "NoSchedule"}, NOT_READY, UNREACHABLE],
        ),
    ],
)
def test_default_tolerations(given, expected):
    pod = kit.pod(tolerations=given)
    default_toleration_seconds.DefaultTolerationSeconds(300, 300).admit(kit.attributes("pods", pod), NOTHING)
    assert pod["spec"]["tolerations"] == expected


def test_new_nodes_are_tainted_once():
    node = {"metadata": {"name": "a"}}
    for _ in range(2):
        taint_nodes_by_condition.TaintNodesByCondition().admit(kit.attributes("nodes", node), NOTHING)
    assert node["spec"]["taints"] == [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]


@pytest.mark.parametrize(
    ("node", "own", "expected"),
    [
        ("n1", {}, {"topology.kubernetes.io/zone": "z"}),
        ("n1", {"topology.kubernetes.io/zone": "mine", "a": "b"}, {"topology.kubernetes.io/zone": "z", "a": "b"}),
        ("gone", {}, {}),
        ("", {}, {}),
    ],
)
def test_pods_made_for_a_node_get_its_topology(node, own, expected):
    labels = {"topology.kubernetes.io/zone": "z", "other": "x"}
    pod = kit.pod(nodeName=node)
    pod["metadata"]["labels"] = dict(own)
    reader = kit.Objects(nodes=[{"metadata": {"name": "n1", "labels": labels}}])
    pod_topology_labels.PodTopologyLabels().admit(kit.attributes("pods", pod), reader)
    assert pod["metadata"]["labels"] == expected


def marked(name, created, annotation):
    return {"metadata": {"name": name, "creationTimestamp": created, "annotations": {annotation: "true"}}}


STORAGE = "storageclass.kubernetes.io/is-default-class"
CLASSES = [
    marked("old", "2026-01-01T00:00:00Z", STORAGE),
    marked("c", "2026-02-01T00:00:00Z", STORAGE),
    marked("b", "2026-02-01T00:00:00Z", "storageclass.beta.kubernetes.io/is-default-class"),
    {"metadata": {"name": "a"}},
]


@pytest.mark.parametrize(("given", "expected"), [({}, "b"), ({"storageClassName": ""}, "")])
def test_the_youngest_default_storage_class(given, expected):
    claim = kit.named("c", spec=dict(given))
    reader = kit.Objects(storageclasses=CLASSES)
    default_storage_class.DefaultStorageClass().admit(kit.attributes("persistentvolumeclaims", claim), reader)
    assert claim["spec"]["storageClassName"] == expected


@pytest.mark.parametrize(("annotations", "expected"), [({}, "nginx"), ({"kubernetes.io/ingress.class": "x"}, None)])
def test_default_ingress_class(annotations, expected):
    ingress = kit.named("i")
    ingress["metadata"]["annotations"] = annotations
    reader = kit.Objects(ingressclasses=[marked("nginx", "", "ingressclass.kubernetes.io/is-default-class")])
    asked = kit.attributes("ingresses.networking.k8s.io", ingress)
    default_ingress_class.DefaultIngressClass().admit(asked, reader)
    assert ingress["spec"].get("ingressClassName") == expected


@pytest.mark.parametrize(
    ("kind", "finalizer"),
    [
        ("persistentvolumes", "kubernetes.io/pv-protection"),
        ("persistentvolumeclaims", "kubernetes.io/pvc-protection"),
        ("volumeattributesclasses.storage.k8s.io", "kubernetes.io/vac-protection"),
    ],
)
def test_storage_objects_are_protected(kind, finalizer):
    obj = kit.named("v")
    storage_object_in_use_protection.StorageObjectInUseProtection().admit(kit.attributes(kind, obj), NOTHING)
    assert obj["metadata"]["finalizers"] == [finalizer]
