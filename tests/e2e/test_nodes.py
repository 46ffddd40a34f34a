"""Several nodes: roles, death of a node in three ways and its coming back, adding and removing, load balancers."""

import json
import os
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request

import pytest

from tests.e2e.conftest import Cluster, asked, directory, eventually, kubeshim, settled

NAME = "e2e-nodes"
SETTINGS = {
    "networking": {"upstreamDNS": False},
    "controllerManager": {"nodeMonitorGracePeriod": "5s"},
    "kubelet": {"nodeLeaseDurationSeconds": 4},
    "apiServer": {"defaultNotReadyTolerationSeconds": 2, "defaultUnreachableTolerationSeconds": 2},
}
WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 4
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: web, image: "kubeshim.example/web:1", ports: [{containerPort: 8080}]}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: LoadBalancer, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: near}
spec:
  type: LoadBalancer
  externalTrafficPolicy: Local
  selector: {statefulset.kubernetes.io/pod-name: near-0}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: near}
spec:
  replicas: 1
  serviceName: near
  selector: {matchLabels: {app: near}}
  template:
    metadata: {labels: {app: near}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: web, image: "kubeshim.example/web:1", ports: [{containerPort: 8080}]}]
"""


@pytest.fixture(scope="module")
def three(tmp_path_factory, kubectl_path, images):
    where = tmp_path_factory.mktemp("nodes")
    (where / "cluster.json").write_text(json.dumps(SETTINGS))
    files = ["--kubeconfig", str(where / "config")]
    kubeshim("up", "--name", NAME, "--nodes", "3", "--config", str(where / "cluster.json"), *files)
    running = Cluster(NAME, where / "config", kubectl_path)
    try:
        running.kubectl("apply", "-f", "-", stdin=WEB)
        running.kubectl("rollout", "status", "deployment/web", "--timeout=180s")
        running.kubectl("rollout", "status", "statefulset/near", "--timeout=180s")
        yield running
    finally:
        done = kubeshim("down", "--name", NAME, *files)
        assert "warning" not in done.stderr, done.stderr


def node(what, *names):
    return kubeshim("node", what, *names, "--name", NAME).stdout


def ready(cluster, name):
    conditions = cluster.get("node", name)["status"].get("conditions", ())
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def carrier(cluster):
    """The node that the host's route to Services goes through; none for a moment while it moves."""
    address = cluster.get("service", "web")["spec"]["clusterIP"]
    route = subprocess.run(["ip", "route", "get", address], capture_output=True, text=True, check=False).stdout
    through = route.partition(" via ")[2].partition(" ")[0]
    nodes = cluster.get("nodes")["items"]
    return next((n["metadata"]["name"] for n in nodes if n["status"]["addresses"][0]["address"] == through), "")


def containers(name, *options):
    command = ["docker", "ps", "-q", "--no-trunc", "--filter", f"label=io.kubeshim.node={name}", *options]
    return set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())


def served(cluster, fetch, times=10):
    """Every one of these requests is answered, once one is."""
    url = f"http://{cluster.get('service', 'web')['spec']['clusterIP']}/"
    eventually(lambda: asked(fetch, url, timeout=1))
    return [fetch(url, timeout=30) for _ in range(times)]


def all_elsewhere(cluster, name):
    """Whether four pods are ready, and none of them there."""
    pods = cluster.get("pods", "-l", "app=web")["items"]
    good = [
        pod
        for pod in pods
        if pod["spec"].get("nodeName") != name
        and "deletionTimestamp" not in pod["metadata"]
        and any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", ()))
    ]
    return len(good) == 4


def used_again(cluster, name):
    """Nothing of before is left there, and a new pod starts."""
    alive = {pod["metadata"]["uid"] for pod in cluster.get("pods", "-A")["items"]}
    label = '{{.Label "io.kubernetes.pod.uid"}}'

    def clean():
        command = ["docker", "ps", "-a", "--filter", f"label=io.kubeshim.node={name}", "--format", label]
        there = set(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
        return there <= alive

    eventually(clean)
    eventually(lambda: not cluster.get("node", name)["spec"].get("taints"))
    pod = f"on-{name}"
    overrides = json.dumps({"spec": {"nodeSelector": {"kubernetes.io/hostname": name}}})
    cluster.kubectl("run", pod, "--image=kubeshim.example/busybox:1", f"--overrides={overrides}", "--", "sleep", "1000")
    cluster.kubectl("wait", "--for=condition=Ready", f"pod/{pod}", "--timeout=180s")
    lookup = ("exec", pod, "--", "nslookup", "web.default.svc.cluster.local")
    address = cluster.get("service", "web")["spec"]["clusterIP"]
    eventually(lambda: address in cluster.kubectl(*lookup, check=False).stdout)
    cluster.kubectl("delete", "pod", pod, "--now")


def fetch_status(url):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


def dns_ready(cluster):
    piece = cluster.get("endpointslice", "kube-dns", "-n", "kube-system")
    return {e["nodeName"] for e in piece["endpoints"] if e["conditions"]["ready"]}


def names(cluster):
    return {n["metadata"]["name"] for n in cluster.get("nodes")["items"]}


def test_the_control_plane_node_is_kept_free(three):
    first = three.get("node", f"{NAME}-node-1")
    assert "node-role.kubernetes.io/control-plane" in first["metadata"]["labels"]
    assert [t["key"] for t in first["spec"]["taints"]] == ["node-role.kubernetes.io/control-plane"]
    where = {pod["spec"]["nodeName"] for pod in three.get("pods", "-l", "app=web")["items"]}
    assert where == {f"{NAME}-node-2", f"{NAME}-node-3"}
    eventually(lambda: dns_ready(three) == names(three))


def test_load_balancers_have_addresses_the_host_reaches(three, fetch):

    def balancer(name):
        ingress = three.get("service", name)["status"]["loadBalancer"].get("ingress") or [{}]
        return ingress[0].get("ip")

    addresses = {name: eventually(lambda name=name: balancer(name)) for name in ("web", "near")}
    assert len(set(addresses.values())) == 2
    eventually(lambda: "web version 1" in asked(fetch, f"http://{addresses['web']}/"))
    # through whichever node has the endpoint, though others drop what comes for it
    eventually(lambda: "near-0" in asked(fetch, f"http://{addresses['near']}/"))
    # a balancer of one's own finds out at the nodes
    port = three.get("service", "near")["spec"]["healthCheckNodePort"]
    near = three.get("pod", "near-0")["spec"]["nodeName"]
    for each in three.get("nodes")["items"]:
        place, wanted = each["status"]["addresses"][0]["address"], 200 if each["metadata"]["name"] == near else 503
        for url, status in ((f"http://{place}:{port}/", wanted), (f"http://{place}:10256/healthz", 200)):
            assert settled(lambda url=url: fetch_status(url), status) == status
    three.kubectl("patch", "service", "near", "-p", '{"spec":{"type":"ClusterIP"}}')
    eventually(lambda: not three.get("service", "near")["status"]["loadBalancer"].get("ingress"))


@pytest.mark.parametrize(("end", "come_back"), [("isolate", "rejoin"), ("stop", "start")])
def test_a_node_dies_and_comes_back(three, fetch, end, come_back):
    three.kubectl("rollout", "restart", "deployment/web")  # both workers have pods again
    three.kubectl("rollout", "status", "deployment/web", "--timeout=180s")
    victim = eventually(lambda: carrier(three))
    if victim == f"{NAME}-node-1":  # it has no workload to lose
        victim = f"{NAME}-node-2"
    before = eventually(lambda: carrier(three))
    node(end, victim)
    eventually(lambda: not ready(three, victim))
    if before == victim:
        eventually(lambda: carrier(three) not in ("", victim), 2.0)
    eventually(lambda: victim not in dns_ready(three), 2.0)
    served(three, fetch)
    eventually(lambda: all_elsewhere(three, victim))
    served(three, fetch)
    assert {"isolate": "isolated", "stop": "stopped"}[end] in node("list")
    node(come_back, victim)
    eventually(lambda: ready(three, victim))
    used_again(three, victim)
    served(three, fetch)
    eventually(lambda: dns_ready(three) == names(three))


def test_the_node_that_carries_the_hosts_traffic_dies_under_load(three, fetch):
    """Whichever it is: no request is refused later than two seconds after the node is NotReady."""
    victim, url = eventually(lambda: carrier(three)), f"http://{three.get('service', 'web')['spec']['clusterIP']}/"
    failed, ending = [], threading.Event()

    def load():
        while not ending.wait(0.02):
            try:
                fetch(url, timeout=1)
            except OSError:
                failed.append(time.monotonic())

    loading = threading.Thread(target=load)
    loading.start()
    try:
        node("isolate", victim)
        eventually(lambda: not ready(three, victim))
        gone = time.monotonic()
        eventually(lambda: carrier(three) not in ("", victim), 2.0)
        eventually(lambda: all_elsewhere(three, victim))
        assert [moment for moment in failed if moment > gone + 2.0 + 1.0] == [], "a request may have begun before"
        node("rejoin", victim)
        eventually(lambda: ready(three, victim))
        before = len(failed)
        served(three, fetch)
        assert len(failed) == before
    finally:
        ending.set()
        loading.join()
        node("rejoin", victim)


def test_up_brings_back_a_node_whose_holder_died(three, fetch):
    """As after Docker was restarted, or the machine: everything of the node is gone at once."""
    victim = f"{NAME}-node-3"
    before = three.get("pods", "-l", "app=web")["items"]
    old = containers(victim)
    subprocess.run(["docker", "kill", victim, *(old - containers(victim, "--filter", "label=io.kubeshim.role=node"))],
                   check=True, capture_output=True)  # fmt: skip
    kubeshim("up", "--name", NAME, "--kubeconfig", str(three.kubeconfig))
    eventually(lambda: ready(three, victim))
    used_again(three, victim)
    eventually(lambda: all(pod_ready(three, pod["metadata"]["name"]) for pod in before if on(pod, victim)))
    served(three, fetch)


def routes_through(addresses):
    table = subprocess.run(["ip", "route"], capture_output=True, text=True, check=True).stdout
    return [line.split()[:3] for line in table.splitlines() if set(line.split()[1:3]) & addresses]


def on(pod, name):
    return pod["spec"]["nodeName"] == name


def pod_ready(cluster, name):
    done = cluster.kubectl("get", "pod", name, "-o", "json", check=False)
    if done.returncode:
        return True  # replaced by another
    conditions = json.loads(done.stdout)["status"].get("conditions", ())
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def test_up_brings_everything_back_after_the_machine_went_down(three, fetch):
    """Every process and container of the cluster killed, the routes gone with them."""
    three.kubectl("create", "configmap", "kept", "--from-literal=a=b")
    claims = three.get("service", "web")
    nodes = {node["status"]["addresses"][0]["address"] for node in three.get("nodes")["items"]}
    state = json.loads((directory(NAME) / "run" / "state.json").read_text())
    for entry in (state["supervisor"], *state["components"].values()):
        os.kill(entry["pid"], signal.SIGKILL)
    every = [f"{NAME}-node-{number}" for number in (1, 2, 3)]
    victims = [container for name in every for container in containers(name)]
    subprocess.run(["docker", "kill", *victims], check=True, capture_output=True)
    for route in routes_through(nodes):
        subprocess.run(["ip", "route", "del", *route], check=True)
    kubeshim("up", "--name", NAME, "--kubeconfig", str(three.kubeconfig))
    assert three.get("configmap", "kept")["data"] == {"a": "b"}
    eventually(lambda: all(ready(three, name) for name in names(three)))
    # what the API says of pods is of before, until their kubelets tell: the same pods run again
    eventually(lambda: restarts(three) >= 4)
    three.kubectl("rollout", "status", "deployment/web", "--timeout=180s")
    eventually(lambda: all_elsewhere(three, "nowhere"))
    assert three.get("service", "web")["spec"]["clusterIP"] == claims["spec"]["clusterIP"]
    served(three, fetch)


def restarts(cluster):
    pods = cluster.get("pods", "-l", "app=web")["items"]
    return sum(status["restartCount"] for pod in pods for status in pod["status"].get("containerStatuses", ()))


def test_add_and_remove(three):
    assert "e2e-nodes-node-4 is Ready" in node("add")
    fourth = f"{NAME}-node-4"
    used_again(three, fourth)
    eventually(lambda: fourth in dns_ready(three))
    cidr = three.get("node", fourth)["spec"]["podCIDR"]
    there = json.dumps({"spec": {"nodeName": fourth}})
    three.kubectl("run", "last", "--image=kubeshim.example/busybox:1", f"--overrides={there}", "--", "sleep", "1000")
    three.kubectl("wait", "--for=condition=Ready", "pod/last", "--timeout=180s")
    assert cidr in node("list")
    node("remove", fourth)
    assert fourth not in names(three)
    assert three.kubectl("get", "pod", "last", check=False).returncode == 1
    assert containers(fourth, "-a") == set()
    eventually(lambda: fourth not in dns_ready(three))
    assert f"{cidr} via" not in subprocess.run(["ip", "route"], capture_output=True, text=True, check=True).stdout
    refused = kubeshim("node", "remove", f"{NAME}-node-1", "--name", NAME, check=False)
    assert refused.returncode == 1
    assert "control plane" in refused.stderr
