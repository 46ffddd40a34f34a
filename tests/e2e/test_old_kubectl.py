"""kubectl of earlier years: OpenAPI v2 in protobuf, SPDY streams, client-side validation."""

import dataclasses
import subprocess

import pytest

from tests.e2e.conftest import EXAMPLES, fetch_kubectl


@pytest.fixture(params=["1.20", "1.27"])
def old(cluster, request):
    return dataclasses.replace(cluster, kubectl_path=fetch_kubectl(request.param))


def test_the_everyday_verbs(old, namespace, fetch):
    wrong = old.kubectl("apply", "-n", namespace, "-f", "-", stdin=WRONG, check=False)
    assert wrong.returncode and 'replica"' in wrong.stderr
    old.kubectl("apply", "-n", namespace, "-f", str(EXAMPLES / "02-web"))
    old.kubectl("rollout", "status", "-n", namespace, "deployment/web", "--timeout=60s")
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
        process.communicate(timeout=10)
    assert "response:200" in old.out("logs", "-n", namespace, pod)
    old.kubectl("delete", "-n", namespace, "-f", str(EXAMPLES / "02-web"), "--timeout=60s")


WRONG = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: wrong}
spec:
  replica: 1
  selector: {matchLabels: {a: b}}
  template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}
"""
