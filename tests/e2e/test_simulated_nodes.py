"""A cluster with many nodes that are only told of, beside a real one."""

import json

import pytest

from tests.e2e.conftest import eventually, kubeshim, start

COUNT = 50
HERE = {"nodeSelector": {"type": "kwok"}, "tolerations": [{"key": "kwok.x-k8s.io/node", "operator": "Exists"}]}


@pytest.fixture(scope="module")
def crowd(tmp_path_factory, kubectl_path, images):
    running = start("crowd", tmp_path_factory.mktemp("crowd"), kubectl_path, "--simulated-nodes", str(COUNT))
    yield running
    done = kubeshim("down", "--name", "crowd", "--kubeconfig", str(running.kubeconfig))
    assert "warning" not in done.stderr, done.stderr


def ready(cluster):
    found = cluster.get("nodes")["items"]
    return [
        node["metadata"]["name"]
        for node in found
        if {c["type"]: c["status"] for c in node["status"].get("conditions", ())}.get("Ready") == "True"
    ]


def deployment(replicas):
    container = {"name": "c", "image": "nowhere.example/c:1"}
    body = {"metadata": {"labels": {"app": "it"}}, "spec": {"containers": [container], **HERE}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "it"}}, "template": body}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "it"}, "spec": spec}


def apply(cluster, obj):
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(obj))


def test_a_crowd(crowd):
    eventually(lambda: len(ready(crowd)) == COUNT + 1)
    apply(crowd, deployment(200))
    crowd.kubectl("rollout", "status", "deployment/it", "--timeout=180s")
    pods = crowd.get("pods", "-l", "app=it")["items"]
    assert len({pod["spec"]["nodeName"] for pod in pods}) == COUNT
    assert len({pod["status"]["podIP"] for pod in pods}) == 200

    name = pods[0]["metadata"]["name"]
    said = crowd.kubectl("logs", name, check=False)
    assert (said.returncode, "is simulated and its containers have no logs" in said.stderr) == (1, True)
    said = crowd.kubectl("exec", name, "--", "true", check=False)
    assert (said.returncode, "is simulated and its containers run no commands" in said.stderr) == (1, True)

    before = {pod["metadata"]["uid"]: pod["status"] for pod in pods}
    crowd.kill("simulated-nodes")
    crowd.kubectl("scale", "deployment/it", "--replicas=210")
    crowd.kubectl("rollout", "status", "deployment/it", "--timeout=180s")
    after = {pod["metadata"]["uid"]: pod["status"] for pod in crowd.get("pods", "-l", "app=it")["items"]}
    assert {uid: after[uid] for uid in before} == before
    crowd.kubectl("delete", "deployment", "it")
    eventually(lambda: not crowd.get("pods", "-l", "app=it")["items"])


def test_real_pods_stay_on_the_real_node(crowd):
    container = {"name": "c", "image": "kubeshim.example/busybox:1", "command": ["sleep", "1000"]}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
    apply(crowd, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "real"}, "spec": spec})
    crowd.kubectl("wait", "pod/real", "--for=condition=Ready", "--timeout=180s")
    assert crowd.get("pod", "real")["spec"]["nodeName"] == "crowd-node"


def test_jobs_complete(crowd):
    container = {"name": "c", "image": "nowhere.example/c:1"}
    body = {"spec": {"containers": [container], "restartPolicy": "Never", **HERE}}
    spec = {"completions": 20, "parallelism": 10, "template": body}
    apply(crowd, {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "it"}, "spec": spec})
    crowd.kubectl("wait", "job/it", "--for=condition=Complete", "--timeout=180s")


def test_more_of_them(crowd):
    done = kubeshim("node", "add", "--simulated", "5", "--name", "crowd")
    assert done.stdout == f"{COUNT + 5} simulated nodes are Ready\n"
    eventually(lambda: len(ready(crowd)) == COUNT + 6)
