"""Clusters over several machines: namespaces with engines of their own, on one link and with a router between."""

import dataclasses
import json
import os
import signal
import subprocess

import pytest

from tests.e2e import hosts
from tests.e2e.conftest import Cluster, eventually

NAME, FAR = "hosts", "far"
SETTINGS = {
    "networking": {"upstreamDNS": False},
    "controllerManager": {"nodeMonitorGracePeriod": "5s"},
    "kubelet": {"nodeLeaseDurationSeconds": 4},
    "apiServer": {"defaultNotReadyTolerationSeconds": 2, "defaultUnreachableTolerationSeconds": 2},
}
WORKLOAD = """
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: web
          image: kubeshim.example/web:1
          ports: [{name: http, containerPort: 8080}]
          readinessProbe: {httpGet: {path: /, port: http}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80, targetPort: http, nodePort: 30080}]}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: client}
spec:
  selector: {matchLabels: {app: client}}
  template:
    metadata: {labels: {app: client}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - {name: c, image: "kubeshim.example/busybox:1", command: [sh, -c, "echo here; exec sleep 10000"]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: roaming}
spec:
  replicas: 2
  selector: {matchLabels: {app: roaming}}
  template:
    metadata: {labels: {app: roaming}}
    spec:
      terminationGracePeriodSeconds: 1
      topologySpreadConstraints:
        - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway,
           labelSelector: {matchLabels: {app: roaming}}}
      containers: [{name: c, image: "kubeshim.example/busybox:1", command: [sleep, "10000"]}]
"""
ONLY_NEAR = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress: [{from: [{podSelector: {matchLabels: {friend: "yes"}}}], ports: [{port: http}]}]
"""


@dataclasses.dataclass
class Reached(Cluster):
    """Its kubectl runs on the first machine, the only one that must reach everything."""

    near: hosts.Host = None
    far: hosts.Host = None
    link: hosts.Link = None

    def kubectl(self, *arguments, stdin=None, check=True, timeout=300):
        done = subprocess.run(
            self.near.command(self.kubectl_path, *arguments),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            env=self.environment,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"kubectl {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def pod(self, app, node):
        return next(p for p in self.get("pods", "-l", f"app={app}")["items"] if p["spec"]["nodeName"] == node)

    def ready(self, node):
        conditions = self.get("node", node)["status"].get("conditions", ())
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


@pytest.fixture(scope="module")
def archive(tmp_path_factory, images):
    path = tmp_path_factory.mktemp("images") / "images.tar"
    subprocess.run(["docker", "save", "-o", path, "kubeshim.example/web:1", "kubeshim.example/busybox:1"], check=True)
    return path


on_one_link = pytest.mark.parametrize("two", ["one-link"], indirect=True)
behind_a_router = pytest.mark.parametrize("two", ["routed"], indirect=True)
"""For what does not depend on the way there."""


@pytest.fixture(scope="module", params=["one-link", "routed"])
def two(request, tmp_path_factory, kubectl_path, archive):
    """The first machine has started the cluster, the second has joined."""
    where = tmp_path_factory.mktemp("hosts")
    near, far = hosts.Host.make("kst-near", where / "near"), hosts.Host.make("kst-far", where / "far")
    links = [hosts.Link("kst-link1")]
    routed = request.param == "routed"
    try:
        links[0].plug(near.name, "eth0", "192.0.2.1/24")
        if routed:
            links.append(hosts.Link("kst-link2"))
            hosts.connect_by_router("kst-router", links[0], "192.0.2.254/24", links[1], "198.51.100.254/24")
            hosts.ip("-n", near.name, "route", "add", "198.51.100.0/24", "via", "192.0.2.254")
        links[-1].plug(far.name, "eth0", "198.51.100.2/24" if routed else "192.0.2.2/24")
        if routed:
            hosts.ip("-n", far.name, "route", "add", "192.0.2.0/24", "via", "198.51.100.254")
        for each in (near, far):
            each.start_engine()
            each.load_images(archive)
        settings = json.loads(json.dumps(SETTINGS))
        if routed:  # where no test cuts the link for longer than a certificate has left
            settings["controllerManager"]["clusterSigningDuration"] = "60s"
        (where / "cluster.json").write_text(json.dumps(settings))
        up = ["--config", str(where / "cluster.json"), "--kubeconfig", str(where / "config")]
        running = Reached(NAME, where / "config", kubectl_path, near=near, far=far, link=links[-1])
        if routed:  # an afterthought, and a file brought over
            near.kubeshim("up", "--name", NAME, *up)
            assert near.kubeshim("token", "create", "--name", NAME, "--print-join-command", check=False).returncode == 1
            near.kubeshim("up", "--name", NAME, "--advertise", "192.0.2.1", "--kubeconfig", str(where / "config"))
            token = near.kubeshim("token", "create", "--name", NAME).stdout.strip()
            show = ["-o", "go-template={{.data.kubeconfig}}"]
            info = running.out("get", "configmap", "cluster-info", "-n", "kube-public", *show)
            (where / "discovery").write_text(info)
            far.kubeshim("agent", "--discovery-file", str(where / "discovery"), "--token", token, "--node-name", FAR)
        else:
            near.kubeshim("up", "--name", NAME, "--advertise", "192.0.2.1", *up)
            command = near.kubeshim("token", "create", "--name", NAME, "--print-join-command").stdout.split()
            far.kubeshim(*command[1:], "--node-name", FAR)
        running.kubectl("apply", "-f", "-", stdin=WORKLOAD)
        for what in ("daemonset/web", "daemonset/client", "deployment/roaming"):
            running.kubectl("rollout", "status", what, "--timeout=180s")
        yield running
        for each in (far, near):
            done = each.kubeshim("down", "--name", NAME, "--kubeconfig", str(where / "config"))
            assert "warning" not in done.stderr, done.stderr
            assert each.left(NAME) == []
    finally:
        for each in (far, near):
            each.take_down(NAME)
            each.remove()
        hosts.remove_namespaces("kst-router", *(link.name for link in links))


def asks(cluster, node, url, patience=20):
    """What a pod there gets for it; empty where nobody answers."""
    pod = cluster.pod("client", node)["metadata"]["name"]
    return cluster.kubectl("exec", pod, "--", "timeout", str(patience), "wget", "-qO-", url, check=False).stdout


def address(pod):
    return pod["status"].get("podIP", "")


def addresses(cluster):
    return {
        n["metadata"]["name"]: n["status"]["addresses"][0]["address"] for n in cluster.get("nodes")["items"]
    }  # fmt: skip


def test_everything_reaches_everything(two):
    nodes = addresses(two)
    assert set(nodes) == {f"{NAME}-node", FAR}
    pods = {node: two.pod("web", node) for node in nodes}
    for here in nodes:
        for there, pod in pods.items():
            assert pod["metadata"]["name"] in asks(two, here, f"http://{pod['status']['podIP']}:8080/"), (here, there)
            assert "web version 1" in asks(two, here, f"http://{nodes[there]}:30080/"), (here, there)
        names = [asks(two, here, "http://web.default.svc.cluster.local/") for _ in range(30)]
        assert all(names)
        assert {pod["metadata"]["name"] for pod in pods.values()} == {text.split()[3] for text in names}
    service = two.get("service", "web")["spec"]["clusterIP"]
    for machine in (two.near, two.far):
        for url in [f"http://{service}/"] * 6 + [f"http://{pod['status']['podIP']}:8080/" for pod in pods.values()]:
            assert "web version 1" in machine.run("curl", "-sm20", url).stdout, (machine.name, url)


def test_the_api_server_reaches_the_far_kubelet(two):
    pod = two.pod("client", FAR)["metadata"]["name"]
    assert two.out("logs", pod) == "here\n"
    assert two.out("exec", pod, "--", "echo", "there") == "there\n"
    eventually(lambda: FAR in two.kubectl("top", "nodes", check=False).stdout)
    web = two.pod("web", FAR)["metadata"]["name"]
    command = two.near.command(two.kubectl_path, "port-forward", f"pod/{web}", "18080:8080")
    forwarding = subprocess.Popen(command, env=two.environment, stdout=subprocess.PIPE, text=True)
    try:
        assert "Forwarding" in forwarding.stdout.readline()
        assert web in two.near.run("curl", "-sm20", "http://127.0.0.1:18080/").stdout
    finally:
        hosts.ended(forwarding)
        forwarding.stdout.close()


def test_large_answers_arrive(two):
    """More than a packet, wrapped or not."""
    there = two.pod("client", FAR)
    serve = "mkdir -p /tmp && head -c 3000000 /dev/zero > /tmp/big && httpd -p 9000 -h /tmp"
    two.kubectl("exec", there["metadata"]["name"], "--", "sh", "-c", serve)
    pod = two.pod("client", f"{NAME}-node")["metadata"]["name"]
    fetch = f"timeout 120 wget -qO- http://{there['status']['podIP']}:9000/big | wc -c"
    assert two.out("exec", pod, "--", "sh", "-c", fetch).strip() == "3000000"


def test_policies_hold_between_machines(two):
    """Pods keep their addresses on the way."""
    web = {node: two.pod("web", node)["status"]["podIP"] for node in addresses(two)}
    far = two.pod("client", FAR)["metadata"]["name"]
    two.kubectl("apply", "-f", "-", stdin=ONLY_NEAR)
    try:
        eventually(lambda: not asks(two, FAR, f"http://{web[f'{NAME}-node']}:8080/", 3))
        eventually(lambda: not asks(two, f"{NAME}-node", f"http://{web[FAR]}:8080/", 3))
        two.kubectl("label", "pod", far, "friend=yes")
        eventually(lambda: asks(two, FAR, f"http://{web[f'{NAME}-node']}:8080/"))
        assert not asks(two, f"{NAME}-node", f"http://{web[FAR]}:8080/", 3)
    finally:
        two.kubectl("delete", "networkpolicy", "web")


@on_one_link
def test_the_node_has_only_its_own_rights(two):
    files = two.far.root / NAME / "pki"

    def may(kubeconfig, *question):
        command = [two.kubectl_path, "--kubeconfig", str(files / kubeconfig), "auth", "can-i", *question]
        return two.far.run(*command, check=False).stdout.split()[0]

    assert may("agent.conf", "watch", "endpointslices.discovery.k8s.io", "-A") == "yes"
    assert may("agent.conf", "get", "secrets", "-A") == "no"
    assert may("agent.conf", "update", f"nodes/{FAR}") == "no"
    assert may(f"kubelet-{FAR}.conf", "list", "pods", "-A") == "no"
    assert not (files / "admin.conf").exists()
    assert not (files / "ca.key").exists()


@behind_a_router
def test_certificates_are_renewed_before_they_end(two):
    """They last a minute here: each is a new one before that, and the node never ceases to be Ready."""
    files = two.far.root / NAME / "pki"
    names = ("kubelet-client-current.pem", "kubelet-server-current.pem", "agent-client-current.pem")
    before = {name: (files / name).read_bytes() for name in names}
    eventually(lambda: all((files / name).read_bytes() != old for name, old in before.items()))
    pod = two.pod("client", FAR)["metadata"]["name"]
    assert two.out("exec", pod, "--", "echo", "still") == "still\n"
    eventually(lambda: two.ready(FAR))
    requests = two.get("certificatesigningrequests")["items"]
    renewed = {(r["spec"]["signerName"], r["spec"]["username"]) for r in requests}
    assert ("kubernetes.io/kube-apiserver-client-kubelet", f"system:node:{FAR}") in renewed


@on_one_link
def test_the_agent_is_supervised(two):
    old = eventually(lambda: two.far.component_pid(NAME, "agent"))
    os.kill(old, signal.SIGKILL)
    eventually(lambda: two.far.component_pid(NAME, "agent") not in (0, old))
    web = two.pod("web", FAR)
    eventually(lambda: web["metadata"]["name"] in asks(two, f"{NAME}-node", f"http://{address(web)}:8080/"))
    assert f"agent-{FAR}" in two.far.kubeshim("status", "--name", NAME).stdout
    assert NAME in two.far.kubeshim("list").stdout
    assert FAR in two.near.kubeshim("node", "list", "--name", NAME).stdout


@on_one_link
def test_a_cut_link(two):
    """NotReady, evicted, run elsewhere; mended, Ready and used again."""
    two.link.cut(two.far.name)
    eventually(lambda: not two.ready(FAR))
    eventually(lambda: runs_only_near(two))
    service = two.get("service", "web")["spec"]["clusterIP"]
    for _ in range(5):
        assert "web version 1" in two.near.run("curl", "-sm20", f"http://{service}/").stdout
    two.link.mend(two.far.name)
    eventually(lambda: two.ready(FAR))
    eventually(lambda: not two.get("node", FAR)["spec"].get("taints"))
    two.kubectl("rollout", "status", "daemonset/web", "--timeout=180s")
    eventually(lambda: asks(two, f"{NAME}-node", f"http://{address(two.pod('web', FAR))}:8080/"))


def runs_only_near(cluster):
    """Whether both are ready there; what ran on the other machine cannot confirm its end."""
    return all_run(cluster, f"{NAME}-node", 2)


def all_run(cluster, node, count):
    pods = cluster.get("pods", "-l", "app=roaming")["items"]
    good = [
        pod
        for pod in pods
        if pod["spec"].get("nodeName") == node
        and "deletionTimestamp" not in pod["metadata"]
        and any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", ()))
    ]
    return len(good) == count


@behind_a_router
def test_a_dead_engine_and_up_brings_the_node_back(two):
    """What a reboot of the machine comes to."""
    two.far.stop_engine()
    eventually(lambda: not two.ready(FAR))
    two.far.start_engine()
    two.far.kubeshim("up", "--name", NAME)
    eventually(lambda: two.ready(FAR))
    eventually(lambda: not two.get("node", FAR)["spec"].get("taints"))
    two.kubectl("rollout", "status", "daemonset/web", "--timeout=180s")
    # at its address of now, of which the API may hear late
    eventually(lambda: "web version 1" in asks(two, f"{NAME}-node", f"http://{address(two.pod('web', FAR))}:8080/"))


@on_one_link
def test_a_removed_node_does_not_come_back(two):
    two.near.kubeshim("node", "remove", FAR, "--name", NAME)
    assert set(addresses(two)) == {f"{NAME}-node"}
    two.kubectl("rollout", "status", "daemonset/web", "--timeout=180s")
    label = "label=io.kubernetes.container.name=web"
    eventually(lambda: not two.far.run("docker", "ps", "-q", "--filter", label).stdout)
    routes = hosts.ip("-n", two.near.name, "route")
    assert "proto 84" not in routes
    refused = two.near.kubeshim("node", "stop", FAR, "--name", NAME, check=False)
    assert refused.returncode == 1
    done = two.far.kubeshim("up", "--name", NAME, check=False)
    assert done.returncode == 1
    assert "was removed from the cluster" in done.stderr, done.stderr
