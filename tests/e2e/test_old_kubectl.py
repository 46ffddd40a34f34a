"""kubectl of earlier years: OpenAPI v2 in protobuf, SPDY streams, client-side validation."""

import dataclasses
import json
import subprocess

import pytest

from tests.e2e import command
from tests.e2e.conftest import EXAMPLES, eventually, fetch_kubectl


@pytest.fixture(params=["1.20", "1.27"])
def old(cluster, request):
    return dataclasses.replace(cluster, kubectl_path=fetch_kubectl(request.param))


def test_the_everyday_verbs(old, namespace, fetch):
    wrong = old.kubectl("apply", "-n", namespace, "-f", "-", stdin=WRONG, check=False)
    assert wrong.returncode and 'replica"' in wrong.stderr
    old.kubectl("apply", "-n", namespace, "-f", str(EXAMPLES / "02-web"))
    old.kubectl("rollout", "status", "-n", namespace, "deployment/web", "--timeout=180s")
    assert "containers" in old.out("explain", "pod.spec")
    pod = old.get("pods", "-n", namespace, "-l", "app=web")["items"][0]["metadata"]["name"]
    assert old.out("exec", "-n", namespace, pod, "--", "echo", "hello") == "hello\n"
    assert old.out("exec", "-i", "-n", namespace, pod, "--", "cat", stdin="through stdin") == "through stdin"
    assert old.kubectl("exec", "-n", namespace, pod, "--", "sh", "-c", "exit 4", check=False).returncode == 4
    process = old.popen("port-forward", "-n", namespace, f"pod/{pod}", ":8080", stdout=subprocess.PIPE, text=True)
    try:
        port = int(process.stdout.readline().split(" -> ")[0].rpartition(":")[2])
        assert fetch(f"http://127.0.0.1:{port}/").startswith("web version 1")
    finally:
        process.terminate()
        process.communicate(timeout=180)
    eventually(lambda: "response:200" in old.out("logs", "-n", namespace, pod))
    old.kubectl("delete", "-n", namespace, "-f", str(EXAMPLES / "02-web"), "--timeout=180s")


WRONG = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: wrong}
spec:
  replica: 1
  selector: {matchLabels: {a: b}}
  template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}
"""


def test_making_changing_and_showing(elderly, namespace):
    """The main verbs of the client in the middle between the oldest and today's."""
    kubectl = command.Command(elderly, namespace)
    kubectl("create", "deployment", "web", "--image=absent:1", "--replicas=0")
    # a template that is replaced before the controller has seen it is no revision
    eventually(lambda: kubectl("rollout", "history", "deployment/web").split()[-2:] == ["1", "<none>"])
    kubectl("set", "image", "deployment/web", "absent=absent:2")
    kubectl("scale", "deployment/web", "--replicas=1")
    kubectl("expose", "deployment", "web", "--port=80")
    kubectl("autoscale", "deployment", "web", "--max=3")
    assert kubectl.path("hpa web", "{.spec.maxReplicas}") == "3"
    eventually(lambda: kubectl("rollout", "history", "deployment/web").split()[-2:] == ["2", "<none>"])
    kubectl("rollout", "undo", "deployment/web")
    assert kubectl.path("deployment web", "{.spec.template.spec.containers[0].image}") == "absent:1"
    for one in ("1", "2"):
        kubectl.feed("apply", command.config_map("it", key=one))
    assert '-  key: "2"' in kubectl.run("diff", "-f", "-", stdin=json.dumps(command.config_map("it", key="3"))).stdout
    kubectl.feed("apply", command.config_map("it", key="4"), options=("--server-side", "--force-conflicts"))
    kubectl("label", "configmap", "it", "a=b")
    kubectl("annotate", "configmap", "it", "a=b")
    kubectl("patch", "configmap", "it", "-p", '{"data":{"more":"1"}}')
    assert kubectl.get("configmap", "it")["data"] == {"key": "4", "more": "1"}
    assert "Name:" in kubectl("describe", "deployment", "web")
    assert "deployment.apps/web" in kubectl("get", "all", "-o", "name")
    assert "yes" in kubectl("auth", "can-i", "create", "pods")
    assert "deployments" in kubectl("api-resources")
    assert "KIND:     Deployment" in kubectl("explain", "deployment")
    kubectl("wait", "deployment/web", "--for=jsonpath={.spec.replicas}=1")
    kubectl("run", "once", "--image=kubeshim.example/busybox:1", "--restart=Never", "--", "echo", "hello")
    eventually(lambda: kubectl.run("logs", "once").stdout == "hello\n")
    eventually(lambda: "Started" in kubectl.run("get", "events").stdout)
    token = kubectl("create", "token", "default").strip()
    assert token.count(".") == 2
    kubectl("delete", "deployment,service,hpa", "web")


@pytest.fixture
def elderly(cluster):
    return dataclasses.replace(cluster, kubectl_path=fetch_kubectl("1.24"))
