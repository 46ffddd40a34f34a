"""``kubectl top``: what nodes and pods use, seconds after they started."""

import json

from tests.e2e import conftest

POD = """
apiVersion: v1
kind: Pod
metadata: {name: busy, labels: {app: busy}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - {name: loop, image: "kubeshim.example/busybox:1", command: [sh, -c, "while :; do :; done"]}
    - {name: idle, image: "kubeshim.example/busybox:1", command: [sleep, "1000"]}
"""


def test_the_group_is_served_and_available(cluster):
    cluster.kubectl("wait", "apiservice/v1beta1.metrics.k8s.io", "--for=condition=Available", "--timeout=180s")
    assert "NodeMetrics" in cluster.out("api-resources", "--api-group=metrics.k8s.io")
    assert "What a node uses" in cluster.out("explain", "--api-version=metrics.k8s.io/v1beta1", "nodes")


def test_top_nodes(cluster):
    nodes = [item["metadata"]["name"] for item in cluster.get("nodes")["items"]]

    def of_all():
        lines = cluster.kubectl("top", "nodes", "--no-headers", check=False).stdout.splitlines()
        return lines if [line.split()[0] for line in lines] == nodes else None

    lines = conftest.eventually(of_all)
    assert all(line.split()[1].endswith("m") and line.split()[3].endswith("Mi") for line in lines)


def test_top_pods(cluster, namespace):
    cluster.kubectl("-n", namespace, "apply", "-f", "-", stdin=POD)
    cluster.kubectl("-n", namespace, "wait", "pod/busy", "--for=condition=Ready", "--timeout=180s")

    def containers():
        done = cluster.kubectl("-n", namespace, "top", "pod", "busy", "--containers", "--no-headers", check=False)
        return {line.split()[1]: int(line.split()[2].removesuffix("m")) for line in done.stdout.splitlines()}

    # what it took to start counts in the first figures
    conftest.eventually(lambda: (used := containers()) and used["loop"] > 50 > used["idle"])
    assert "busy" in cluster.out("top", "pods", "-A", "-l", "app=busy")
    assert "busy" not in cluster.out("top", "pods", "-A", "-l", "app!=busy")
    raw = cluster.out("get", "--raw", f"/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods/busy")
    assert json.loads(raw)["metadata"]["labels"] == {"app": "busy"}
    cluster.kubectl("-n", namespace, "delete", "pod", "busy", "--now")


def test_who_may_view_may_see_metrics(cluster, namespace):
    cluster.kubectl("-n", namespace, "create", "rolebinding", "jane", "--clusterrole=view", "--user=jane")
    assert cluster.kubectl("-n", namespace, "top", "pods", "--as=jane").returncode == 0
    refused = cluster.kubectl("top", "nodes", "--as=jane", check=False)
    assert 'cannot list resource "nodes" in API group "metrics.k8s.io"' in refused.stderr
