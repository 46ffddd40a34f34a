"""Genuine Go code reads our protobuf: every command of kubectl that uses a typed client, old and new.

``-v=9`` shows what the server answered with, so that nothing here passes on JSON by accident.
"""

import dataclasses
import json
import subprocess

import pytest

from tests.e2e.conftest import fetch_kubectl

PROTOBUF = "Content-Type: application/vnd.kubernetes.protobuf"
WEB = "kubeshim.example/web:1"


@dataclasses.dataclass
class Typed:
    cluster: object
    namespace: str

    def __call__(self, *arguments):
        """Runs a command that has to get protobuf; its output."""
        done = self.cluster.kubectl("-n", self.namespace, "-v=9", *arguments)
        answered = [line for line in done.stderr.splitlines() if PROTOBUF in line and "curl" not in line]
        assert answered, f"kubectl {' '.join(arguments)} had no protobuf:\n{done.stderr}"
        return done.stdout


@pytest.fixture(params=["1.37", "1.27", "1.20"])
def typed(request, cluster, namespace):
    return Typed(dataclasses.replace(cluster, kubectl_path=fetch_kubectl(request.param)), namespace)


def test_create_and_describe(typed):
    typed("create", "configmap", "a", "--from-literal=greeting=hello")
    typed("create", "secret", "generic", "s", "--from-literal=password=hidden")
    typed("create", "deployment", "web", f"--image={WEB}", "--port=80")
    typed("create", "job", "once", f"--image={WEB}", "--", "true")
    typed("create", "role", "reader", "--verb=get", "--resource=pods")
    typed("create", "rolebinding", "readers", "--role=reader", f"--serviceaccount={typed.namespace}:default")
    typed("create", "quota", "q", "--hard=pods=30")
    typed.cluster.kubectl("-n", typed.namespace, "expose", "deployment", "web", "--port=80")
    typed.cluster.kubectl("-n", typed.namespace, "rollout", "status", "deployment/web", "--timeout=60s")
    assert "hello" in typed("describe", "configmap/a")
    assert "password:  6 bytes" in typed("describe", "secret/s")
    assert "1 available" in typed("describe", "deployment/web")
    assert "Completions:" in typed("describe", "job/once")
    assert "pods" in typed("describe", "role/reader")
    assert "ServiceAccount  default" in typed("describe", "rolebinding/readers")
    assert "pods" in typed("describe", "quota/q")
    assert "TargetPort:" in typed("describe", "service/web")
    pod = typed("describe", "pods", "-l", "app=web")
    assert all(word in pod for word in (WEB, "Container ID:", "Ready          True", "BestEffort", "kube-api-access"))
    node = typed("describe", "node")
    assert all(word in node for word in ("Capacity:", "KernelVersion", "Allocated resources:", "web-"))
    assert "Name:         view" in typed("describe", "clusterrole", "view")


def test_what_watches_and_streams(typed):
    kubectl = typed.cluster.kubectl
    typed("create", "deployment", "web", f"--image={WEB}")
    kubectl("-n", typed.namespace, "rollout", "status", "deployment/web", "--timeout=60s")
    typed("rollout", "history", "deployment/web")
    assert "yes" in typed("auth", "can-i", "create", "pods")
    assert "*.*" in typed("auth", "can-i", "--list")
    pods = json.loads(kubectl("-n", typed.namespace, "get", "pods", "-o", "json").stdout)["items"]
    assert isinstance(typed("logs", pods[0]["metadata"]["name"]), str)


def test_tokens(cluster, namespace):
    token = Typed(cluster, namespace)("create", "token", "default").strip()
    assert token.count(".") == 2


def test_a_drain(cluster, namespace):
    """Lists, evicts and waits by a typed client; the node comes back at the end."""
    typed = Typed(cluster, namespace)
    cluster.kubectl("-n", namespace, "run", "solo", f"--image={WEB}")
    cluster.kubectl("-n", namespace, "wait", "pod/solo", "--for=condition=Ready", "--timeout=60s")
    node = cluster.get("pod/solo", "-n", namespace)["spec"]["nodeName"]
    try:
        said = typed("drain", node, "--force", "--ignore-daemonsets", "--pod-selector=run=solo", "--timeout=60s")
        assert "pod/solo evicted" in said
    finally:
        typed("uncordon", node)


def test_helm(cluster, namespace, tmp_path):
    """helm keeps its releases in Secrets, by a typed client."""
    chart = tmp_path / "chart"
    (chart / "templates").mkdir(parents=True)
    (chart / "Chart.yaml").write_text("apiVersion: v2\nname: small\nversion: 1.0.0\n")
    (chart / "templates" / "map.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: small}\ndata: {release: '{{ .Release.Revision }}'}\n"
    )
    helm = fetch_kubectl("1.37", "--helm")

    def run(*arguments):
        command = [helm, "--namespace", namespace, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=cluster.environment).stdout

    run("install", "one", str(chart), "--wait")
    run("upgrade", "one", str(chart), "--wait")
    assert cluster.get("configmap/small", "-n", namespace)["data"] == {"release": "2"}
    assert json.loads(run("list", "-o", "json"))[0]["revision"] == "2"
    run("rollback", "one", "1", "--wait")
    run("uninstall", "one", "--wait")
    assert json.loads(run("list", "-o", "json")) == []
