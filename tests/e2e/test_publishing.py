"""Ports of this machine that lead into the cluster: from loopback, to NodePorts, load balancers, and names by UDP."""

import contextlib
import socket
import struct

import pytest

from kubeshim.cluster import host
from tests.e2e.conftest import directory, eventually, kubeshim, settled, start

NAME = "e2e-publish"
OBJECTS = """
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec: {containers: [{name: web, image: "kubeshim.example/web:1", ports: [{name: http, containerPort: 8080}],
                     readinessProbe: {httpGet: {path: /, port: http}, periodSeconds: 1}}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, externalTrafficPolicy: Local, selector: {app: web},
       ports: [{port: 80, targetPort: http, nodePort: 30080}]}
---
apiVersion: v1
kind: Service
metadata: {name: balanced}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{name: http, port: 80, targetPort: http}]}
"""


@pytest.fixture(scope="module")
def published(tmp_path_factory, kubectl_path, images):
    ports = [host.free_port(21000 + 100 * number) for number in range(4)]
    forms = [f"{ports[0]}:30080", f"{ports[1]}:default/balanced:http", f"{ports[2]}:kube-system/kube-dns:53/udp"]
    flags = [word for form in forms for word in ("--publish", form)]
    running = start(NAME, tmp_path_factory.mktemp("publish"), kubectl_path, "--nodes", "2", *flags)
    try:
        running.kubectl("apply", "-f", "-", stdin=OBJECTS)
        running.kubectl("wait", "--for=condition=Ready", "pod/web", "--timeout=180s")
        yield running, ports
    finally:
        done = kubeshim("down", "--name", NAME, "--kubeconfig", str(running.kubeconfig))
        assert "warning" not in done.stderr, done.stderr
        assert not directory(NAME).exists()


def answers(fetch, port):
    try:
        return "web version 1" in fetch(f"http://127.0.0.1:{port}/")
    except OSError:
        return False


def test_node_ports_and_load_balancers_answer_on_loopback(published, fetch):
    _, ports = published
    for port in ports[:2]:
        eventually(lambda port=port: answers(fetch, port))


def test_datagrams_reach_cluster_dns(published):
    _, ports = published
    name = b"".join(bytes([len(part)]) + part for part in b"web.default.svc.cluster.local".split(b".")) + b"\0"
    question = struct.pack(">HHHHHH", 7, 0x0100, 1, 0, 0, 0) + name + struct.pack(">HH", 1, 1)

    def told():
        """(whether it is our question's, the code, how many answers); a datagram may be lost, and a name be new."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client, contextlib.suppress(OSError):
            client.settimeout(10)
            client.sendto(question, ("127.0.0.1", ports[2]))
            answer = client.recv(512)
            return answer[:2] == question[:2], answer[3] & 15, struct.unpack(">H", answer[6:8])[0]
        return None

    assert settled(told, (True, 0, 1)) == (True, 0, 1)


def test_more_can_be_published_later_and_a_taken_port_is_refused(published, fetch):
    running, ports = published
    arguments = ["up", "--name", NAME, "--kubeconfig", str(running.kubeconfig), "--publish"]
    kubeshim(*arguments, f"{ports[3]}:web:80")
    for port in (*ports[:2], ports[3]):
        eventually(lambda port=port: answers(fetch, port))
    refused = kubeshim(*arguments, f"{ports[3]}:30081", check=False)
    assert refused.returncode == 1
    assert "published already" in refused.stderr
