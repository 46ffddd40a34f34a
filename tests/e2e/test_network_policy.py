"""Network policies over two nodes, by Service and by name, as a user would write them."""

import pytest

from tests.e2e.conftest import eventually, kubeshim, start

NAME = "e2e-policy"
PODS = """
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  nodeName: %(name)s-node-1
  containers: [{name: web, image: "kubeshim.example/web:1", ports: [{name: http, containerPort: 8080}],
                readinessProbe: {httpGet: {path: /, port: http}, periodSeconds: 1}}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: http}]}
---
apiVersion: v1
kind: Pod
metadata: {name: friend, labels: {app: friend}}
spec: {nodeName: %(name)s-node-2, containers: [{name: c, image: "kubeshim.example/busybox:1", args: [sleep, "1000"]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: stranger, labels: {app: stranger}}
spec: {nodeName: %(name)s-node-2, containers: [{name: c, image: "kubeshim.example/busybox:1", args: [sleep, "1000"]}]}
"""
ONLY_FRIENDS = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress: [{from: [{podSelector: {matchLabels: {app: friend}}}], ports: [{port: http}]}]
"""
FRIENDS_ASK_ONLY_DNS = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: friend}
spec:
  podSelector: {matchLabels: {app: friend}}
  policyTypes: [Egress]
  egress:
    - to: [{namespaceSelector: {}, podSelector: {matchLabels: {k8s-app: kube-dns}}}]
      ports: [{port: 53, protocol: UDP}, {port: 53}]
"""


@pytest.fixture(scope="module")
def two(tmp_path_factory, kubectl_path, images):
    running = start(NAME, tmp_path_factory.mktemp("policy"), kubectl_path, "--nodes", "2")
    try:
        running.kubectl("apply", "-f", "-", stdin=PODS % {"name": NAME})
        running.kubectl("wait", "--for=condition=Ready", "pod", "--all", "--timeout=180s")
        yield running
    finally:
        kubeshim("down", "--name", NAME, "--kubeconfig", str(running.kubeconfig))


def reaches(cluster, pod):
    url = "http://web.default.svc.cluster.local/"
    done = cluster.kubectl("exec", pod, "--", "timeout", "5", "wget", "-qO-", url, check=False)
    return "web version 1" in done.stdout


def resolves(cluster, pod):
    done = cluster.kubectl("exec", pod, "--", "timeout", "60", "nslookup", "web.default.svc.cluster.local", check=False)
    return done.returncode == 0


def test_policies_guard_by_service_and_leave_probes_and_dns(two):
    eventually(lambda: reaches(two, "friend"))
    eventually(lambda: reaches(two, "stranger"))
    two.kubectl("apply", "-f", "-", stdin=ONLY_FRIENDS)
    eventually(lambda: not reaches(two, "stranger"))
    eventually(lambda: reaches(two, "friend"))
    pod = two.get("pod", "web")
    assert all(c["status"] == "True" for c in pod["status"]["conditions"]), "the kubelet's probes are let through"
    two.kubectl("apply", "-f", "-", stdin=FRIENDS_ASK_ONLY_DNS)
    eventually(lambda: not reaches(two, "friend"))
    assert all(resolves(two, "friend") for _ in range(6)), "whichever node's DNS it comes to"
    two.kubectl("delete", "networkpolicy", "--all")
    eventually(lambda: reaches(two, "stranger") and reaches(two, "friend"))
