"""The Docker engine under a cluster is stopped, restarted, killed; the whole machine loses its power.

All of it happens to an engine of the test's own (``engine``). What runs on it is one of each: a Deployment behind a
Service, a client that finds it by name, a static pod, a pod that must not be restarted.
"""

import json
import os
import pathlib
import re

import pytest

from tests.e2e import engine
from tests.e2e.conftest import eventually

NAME = "broken"
ROUNDS = 10
BUSYBOX = "kubeshim.example/busybox:1"
SERVER = "trap 'exit 0' TERM; mkdir /www; echo hello >/www/index.html; httpd -p 8080 -h /www; sleep 100000 & wait"
WAITER = "trap 'exit 0' TERM; sleep 100000 & wait"
SETTINGS = {"kubelet": {"fileCheckFrequency": "1s"}}


def container(script, **more):
    return {"name": "main", "image": BUSYBOX, "command": ["sh", "-c", script], **more}


def pod(name, script, **spec):
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [container(script)], "terminationGracePeriodSeconds": 1, **spec},
    }


WEB = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 3,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {
                "terminationGracePeriodSeconds": 1,
                "containers": [container(SERVER, readinessProbe={"httpGet": {"port": 8080}, "periodSeconds": 1})],
            },
        },
    },
}
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web"},
    "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
}


@pytest.fixture
def machine(images):
    made = engine.Machine("ks-e2e-engine")
    try:
        yield made
    finally:
        made.scrap()


@pytest.fixture
def start(machine, kubectl_path):
    """Boots the machine and starts a cluster with one of each on it; ``live_restore`` is the engine's option."""
    started = []

    def start(**options):
        machine.boot(**options)
        machine.load(BUSYBOX)
        cluster = machine.cluster(NAME, kubectl_path, SETTINGS)
        started.append(cluster)
        manifests = machine.root / NAME / "nodes" / f"{NAME}-node" / "manifests"
        (manifests / "static.json").write_text(json.dumps(pod("static", WAITER)))
        wanted = [WEB, SERVICE, pod("client", WAITER), pod("never", WAITER, restartPolicy="Never")]
        listed = {"apiVersion": "v1", "kind": "List", "items": wanted}
        cluster.kubectl("apply", "-f", "-", stdin=json.dumps(listed))
        cluster.kubectl("wait", "--for=condition=Ready", "pod/never", "--timeout=60s")
        works(cluster)
        return cluster

    yield start
    for cluster in started:
        said = cluster.down()
        assert "warning" not in said.stderr, said.stderr
        assert left_behind(machine) == []


def works(cluster):
    """The node and all that restarts is back; Services answer by address from the machine, by name from a pod."""
    node = f"node/{NAME}-node"
    cluster.kubectl("wait", "--for=condition=Ready", node, "--timeout=60s")
    eventually(lambda: cluster.kubectl("get", f"pod/static-{NAME}-node", check=False).returncode == 0)
    cluster.kubectl("wait", "--for=condition=Ready", "pod/client", f"pod/static-{NAME}-node", "--timeout=60s")
    cluster.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    address = cluster.get("service", "web")["spec"]["clusterIP"]
    ask = ["timeout", "2", "wget", "-qO-"]
    from_outside = [*ask, f"http://{address}/"]
    eventually(lambda: cluster.machine.run(*from_outside, check=False).stdout == "hello\n")
    from_a_pod = ["exec", "client", "--", *ask, "http://web.default.svc.cluster.local/"]
    eventually(lambda: cluster.kubectl(*from_a_pod, check=False).stdout == "hello\n")


def restarts(cluster):
    """By pod: how often it was restarted, and the ids of what runs."""
    return {
        item["metadata"]["name"]: [
            (status["restartCount"], status.get("containerID")) for status in item["status"]["containerStatuses"]
        ]
        for item in cluster.get("pods")["items"]
    }


def left_behind(machine):
    """Processes, containers, networks, links, mounts and cgroups of a cluster that is gone."""
    found = [f"process {pid}" for pid in machine.processes()]
    found += machine.containers(running=False)
    networks = machine.docker("network", "ls", "--format", "{{.Name}}").stdout.split()
    found += [name for name in networks if name not in ("bridge", "host", "none")]
    links = machine.run("ip", "-o", "link").stdout
    found += [name for name in re.findall(r"^\d+: ([^:@]+)", links, re.M) if name not in ("lo", "docker0")]
    found += [route for route in machine.run("ip", "route").stdout.splitlines() if "docker0" not in route]
    mounts = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
    found += [line for line in mounts if f" {machine.root}/" in line]
    found += [path for path, _, _ in os.walk("/sys/fs/cgroup") if f"/kubeshim-{NAME}" in path]
    return found + sorted(map(str, machine.root.rglob("*")))


def footprint(machine):
    """Descriptors of the cluster's processes, and network namespaces that exist in the kernel."""
    return machine.descriptors(), kernel_namespaces()


def kernel_namespaces():
    """Objects in the kernel's own account of network namespaces, dead ones that something holds among them."""
    for line in pathlib.Path("/proc/slabinfo").read_text().splitlines():
        if line.startswith("net_namespace"):
            return int(line.split()[1])
    return 0


def test_stopped_and_started(start, machine):
    cluster = start()
    print(footprint(machine))
    for number in range(1, ROUNDS + 1):
        machine.stop_engine()
        cluster.kubectl("wait", "--for=condition=Ready=false", f"node/{NAME}-node", "--timeout=30s")
        machine.start_engine()
        works(cluster)
        found = restarts(cluster)
        print(number, footprint(machine), {name: [count for count, _ in found[name]] for name in found})
