"""A node is switched off gracefully: its pods end by priority before the power goes, and come back with it."""

import json

import pytest

from tests.e2e.conftest import Cluster, eventually, kubeshim, settled

NAME = "e2e-shutdown"
NODE = f"{NAME}-node"
SETTINGS = {
    "networking": {"upstreamDNS": False},
    "kubelet": {"shutdownGracePeriod": "120s", "shutdownGracePeriodCriticalPods": "60s"},
}
SCRIPT = "trap 'sleep 1; exit 0' TERM; sleep 100000 & wait"


def spec(**more):
    container = {"name": "main", "image": "kubeshim.example/busybox:1", "command": ["sh", "-c", SCRIPT]}
    return {"containers": [container], "terminationGracePeriodSeconds": 60, **more}


@pytest.fixture
def cluster(tmp_path, kubectl_path, images):
    config, kubeconfig = tmp_path / "cluster.json", tmp_path / "config"
    config.write_text(json.dumps(SETTINGS))
    kubeshim("up", "--name", NAME, "--kubeconfig", str(kubeconfig), "--config", str(config))
    try:
        yield Cluster(NAME, kubeconfig, kubectl_path)
    finally:
        kubeshim("down", "--name", NAME, "--kubeconfig", str(kubeconfig))


def test_stop_gracefully_and_start_again(cluster):
    labels = {"app": "web"}
    web = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec()},
        },
    }
    critical = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "critical", "namespace": "kube-system"},
        "spec": spec(priorityClassName="system-node-critical", restartPolicy="Never"),
    }
    listed = {"apiVersion": "v1", "kind": "List", "items": [web, critical]}
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(listed))
    cluster.kubectl("rollout", "status", "deployment/web", "--timeout=180s")
    cluster.kubectl("wait", "--for=condition=Ready", "-n", "kube-system", "pod/critical", "--timeout=180s")
    first = {item["metadata"]["name"] for item in cluster.get("pods", "-l", "app=web")["items"]}
    said = kubeshim("node", "stop", NODE, "--graceful", "--name", NAME)
    assert "is off" in said.stdout
    ready = {entry["type"]: entry for entry in cluster.get("node", NODE)["status"]["conditions"]}["Ready"]
    assert (ready["status"], ready["message"]) == ("False", "node is shutting down")

    def told():
        events = cluster.get("events", "-A", "--field-selector=reason=NodeShutdown")["items"]
        return [event["message"] for event in events]

    assert settled(told, ["Shutdown manager detected shutdown event"]) == ["Shutdown manager detected shutdown event"]
    ended = [cluster.get("pod", "critical", "-n", "kube-system")]
    ended += [item for item in cluster.get("pods", "-l", "app=web")["items"] if item["metadata"]["name"] in first]
    for item in ended:
        status = item["status"]
        assert (status["phase"], status["reason"]) == ("Failed", "Terminated")
        assert status["message"] == "Pod was terminated in response to imminent node shutdown."
        target = {entry["type"]: entry for entry in status["conditions"]}["DisruptionTarget"]
        assert (target["status"], target["reason"]) == ("True", "TerminationByKubelet")
        assert status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 0
    finished = [item["status"]["containerStatuses"][0]["state"]["terminated"]["finishedAt"] for item in ended]
    assert finished[0] > max(finished[1:]), "critical pods end after the others"
    kubeshim("node", "start", NODE, "--name", NAME)
    eventually(lambda: running(cluster) == 2)


def running(cluster):
    pods = cluster.get("pods", "-l", "app=web")["items"]
    return sum(item["status"]["phase"] == "Running" for item in pods)
