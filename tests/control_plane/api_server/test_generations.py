"""What counts as a new generation, kind by kind."""

import pytest

MERGE = "application/merge-patch+json"
TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
WORKLOAD = {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}
LABEL, NOTE = {"metadata": {"labels": {"x": "y"}}}, {"metadata": {"annotations": {"x": "y"}}}
KINDS = [
    # path, object, (patch, generation after it) …
    ("apps/v1 deployments", {"spec": WORKLOAD}, 1,
     [(LABEL, 1), (NOTE, 2), ({"spec": {"replicas": 3}}, 3), ({"status": {"replicas": 1}}, 3)]),
    ("apps/v1 replicasets", {"spec": WORKLOAD}, 1, [(LABEL, 1), (NOTE, 1), ({"spec": {"replicas": 3}}, 2)]),
    ("discovery.k8s.io/v1 endpointslices", {"addressType": "IPv4", "endpoints": []}, 1,
     [(LABEL, 2), (NOTE, 2), ({"endpoints": [{"addresses": ["192.0.2.1"]}]}, 3)]),
    ("v1 podtemplates", {"template": TEMPLATE}, 1, [(LABEL, 1), ({"template": LABEL}, 2)]),
    ("policy/v1 poddisruptionbudgets", {"spec": {"minAvailable": 1}}, 1,
     [(LABEL, 1), ({"spec": {"minAvailable": 2}}, 2)]),
    ("scheduling.k8s.io/v1 priorityclasses", {"value": 1}, 1, [({"description": "d"}, 1)]),
    ("storage.k8s.io/v1 csidrivers", {"spec": {}}, None, [(LABEL, None), ({"spec": {"requiresRepublish": True}}, 1)]),
    ("v1 services", {"spec": {"ports": [{"port": 1}]}}, None, [({"spec": {"sessionAffinity": "ClientIP"}}, None)]),
    ("autoscaling/v2 horizontalpodautoscalers",
     {"spec": {"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}}}, 1,
     [(LABEL, 1), ({"spec": {"maxReplicas": 4}}, 2)]),
    ("autoscaling/v1 horizontalpodautoscalers",
     {"spec": {"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}}}, 1,
     [(NOTE, 1), ({"spec": {"targetCPUUtilizationPercentage": 5}}, 2)]),
    ("v1 configmaps", {}, None, [({"data": {"a": "b"}}, None)]),
]  # fmt: skip
CLUSTER = ("priorityclasses", "csidrivers")


@pytest.mark.parametrize(("kind", "body", "first", "steps"), KINDS, ids=[kind for kind, *_ in KINDS])
def test_generations(running, namespace, kind, body, first, steps):
    version, plural = kind.split(" ")
    base = f"/apis/{version}" if "/" in version else f"/api/{version}"
    path = f"{base}/{plural}" if plural in CLUSTER else f"{base}/namespaces/{namespace}/{plural}"
    name = f"generation-{namespace}"
    made = running.ask("POST", path, {**body, "metadata": {"name": name}})
    assert (made.status, made.body["metadata"].get("generation")) == (201, first), made.body
    for patch, generation in steps:
        changed = running.ask("PATCH", f"{path}/{name}", patch, MERGE)
        assert (changed.status, changed.body["metadata"].get("generation")) == (200, generation), patch
    running.ask("DELETE", f"{path}/{name}")


def test_a_claimed_generation(running, configmaps, namespace):
    """Kinds that do not count keep what they are told first; those that count begin where they begin."""
    made = running.ask("POST", configmaps, {"metadata": {"name": "a", "generation": 7}}).body
    assert made["metadata"]["generation"] == 7
    claimed = {"metadata": {"name": "a", "generation": 9}}
    assert running.ask("PUT", f"{configmaps}/a", claimed).body["metadata"]["generation"] == 7
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    counted = running.ask("POST", path, {"metadata": {"name": "a", "generation": 7}, "spec": WORKLOAD}).body
    assert counted["metadata"]["generation"] == 1
