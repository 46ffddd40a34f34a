"""Genuine Go code reads our protobuf: every command of kubectl 1.37 that asks for it.

``-v=9`` shows what the server answered with, so that nothing here passes on JSON by accident. Kubectls of earlier years
ask for JSON (``test_old_kubectl``).
"""

import dataclasses
import json
import subprocess

import pytest

from tests.e2e.conftest import eventually, fetch_kubectl, settled

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


@pytest.fixture
def typed(cluster, namespace):
    return Typed(cluster, namespace)


def test_create_and_describe(typed):
    typed("create", "configmap", "a", "--from-literal=greeting=hello")
    typed("create", "secret", "generic", "s", "--from-literal=password=hidden")
    typed("create", "deployment", "web", f"--image={WEB}", "--port=80")
    typed("create", "job", "once", f"--image={WEB}", "--", "true")
    typed("create", "cronjob", "often", f"--image={WEB}", "--schedule=*/5 * * * *", "--", "true")
    typed("create", "role", "reader", "--verb=get", "--resource=pods")
    typed("create", "rolebinding", "readers", "--role=reader", f"--serviceaccount={typed.namespace}:default")
    typed("create", "quota", "q", "--hard=pods=30")
    typed("create", "poddisruptionbudget", "p", "--selector=app=web", "--min-available=1")
    typed("create", "ingress", "i", "--rule=a.example/*=web:80")
    typed("create", "service", "clusterip", "web", "--tcp=80:80")
    typed("create", "serviceaccount", "robot")
    assert typed("create", "token", "robot").count(".") == 2
    typed.cluster.kubectl("-n", typed.namespace, "rollout", "status", "deployment/web", "--timeout=180s")
    assert "hello" in typed("describe", "configmap/a")
    assert "password:  6 bytes" in typed("describe", "secret/s")
    assert "1 available" in typed("describe", "deployment/web")
    assert "Completions:" in typed("describe", "job/once")
    assert "*/5 * * * *" in typed("describe", "cronjob/often")
    assert "pods" in typed("describe", "role/reader")
    assert "ServiceAccount  default" in typed("describe", "rolebinding/readers")
    assert "pods" in typed("describe", "quota/q")
    assert "Min available:  1" in typed("describe", "pdb/p")
    assert "a.example" in typed("describe", "ingress/i")
    assert "TargetPort:" in typed("describe", "service/web")
    assert "robot" in typed("describe", "serviceaccount/robot")

    def missing():
        pod = typed("describe", "pods", "-l", "app=web")
        return [word for word in (WEB, "Container ID:", "BestEffort", "kube-api-access", "Pulled") if word not in pod]

    assert settled(missing, []) == []  # events come when they come
    node = typed("describe", "node")
    assert [word for word in ("Capacity:", "Kernel Version", "Allocated resources:", "web-") if word not in node] == []
    assert "Name:         view" in typed("describe", "clusterrole", "view")
    typed("rollout", "history", "deployment/web")
    eventually(lambda: "SuccessfulCreate" in typed("events"))
    assert "yes" in typed("auth", "can-i", "create", "pods")
    assert "*.*" in typed("auth", "can-i", "--list")
    assert "kubernetes-admin" in typed("auth", "whoami")


def test_a_drain(typed):
    """Lists, evicts and waits by a typed client; the node comes back at the end."""
    kubectl, namespace = typed.cluster.kubectl, typed.namespace
    kubectl("-n", namespace, "run", "solo", f"--image={WEB}")
    kubectl("-n", namespace, "wait", "pod/solo", "--for=condition=Ready", "--timeout=180s")
    node = typed.cluster.get("pod/solo", "-n", namespace)["spec"]["nodeName"]
    try:
        said = typed("drain", node, "--force", "--ignore-daemonsets", "--pod-selector=run=solo", "--timeout=180s")
        assert "pod/solo evicted" in said
    finally:
        kubectl("uncordon", node)


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
