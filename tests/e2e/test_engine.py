"""The Docker engine under a cluster is stopped, restarted, killed; the whole machine loses its power.

All of it happens to an engine of the test's own (``engine``). What runs on it is one of each: a Deployment behind a
Service, a client that finds it by name, a static pod, a pod that must not be restarted.
"""

import contextlib
import json
import os
import pathlib
import re

import pytest

from tests.e2e import engine
from tests.e2e.conftest import eventually, settled

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
        cluster.kubectl("wait", "--for=condition=Ready", "pod/never", "--timeout=180s")
        works(cluster)
        return cluster

    yield start
    for cluster in started:
        said = cluster.down()
        assert "warning" not in said.stderr, said.stderr
        assert left_behind(machine) == []


def half_open(cluster):
    """Connections from nodes that the machine's end has and no node has: their node is dead."""
    holder = cluster.machine.docker("inspect", "--format", "{{.State.Pid}}", f"{NAME}-node").stdout.strip()
    address = cluster.get("nodes")["items"][0]["status"]["addresses"][0]["address"]
    connections = ["ss", "-tnH", "state", "established"]
    here = cluster.machine.run(*connections).stdout.splitlines()
    there = cluster.machine.run("nsenter", f"--net=/proc/{holder}/ns/net", *connections).stdout.splitlines()
    known = {line.split()[2] for line in there}
    return [line for line in here if line.split()[3].startswith(f"{address}:") and line.split()[3] not in known]


def works(cluster):
    """The node and all that restarts is back; Services answer by address from the machine, by name from a pod."""
    node = f"node/{NAME}-node"
    cluster.kubectl("wait", "--for=condition=Ready", node, "--timeout=180s")
    eventually(lambda: cluster.kubectl("get", f"pod/static-{NAME}-node", check=False).returncode == 0)
    cluster.kubectl("wait", "--for=condition=Ready", "pod/client", f"pod/static-{NAME}-node", "--timeout=180s")
    cluster.kubectl("rollout", "status", "deployment/web", "--timeout=180s")
    address = cluster.get("service", "web")["spec"]["clusterIP"]
    ask = ["timeout", "10", "wget", "-qO-"]
    from_outside = [*ask, f"http://{address}/"]
    eventually(lambda: cluster.machine.run(*from_outside, check=False).stdout == "hello\n")
    from_a_pod = ["exec", "client", "--", *ask, "http://web.default.svc.cluster.local/"]
    eventually(lambda: cluster.kubectl(*from_a_pod, check=False).stdout == "hello\n")


def runs(cluster):
    """By pod: how often it was restarted, and the ids of what runs."""
    return {
        item["metadata"]["name"]: [
            (status["restartCount"], status.get("containerID")) for status in item["status"]["containerStatuses"]
        ]
        for item in cluster.get("pods")["items"]
    }


def restarted(cluster, times):
    """Everything but the pod that must not be was restarted so often; what the API says of before goes by and by."""

    def counts():
        found = {name: {number for number, _ in containers} for name, containers in runs(cluster).items()}
        return found.pop("never"), set().union(*found.values())

    assert settled(counts, ({0}, {times})) == ({0}, {times})


def phase(cluster, name):
    return cluster.get("pod", name)["status"]["phase"]


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


def test_stopped_and_started(start, machine):
    """As Docker is by default: with the engine all that it runs ends, the nodes' own network namespaces too."""
    cluster = start()
    for count in range(1, ROUNDS + 1):
        machine.stop_engine()
        cluster.kubectl("wait", "--for=condition=Ready=false", f"node/{NAME}-node", "--timeout=180s")
        machine.start_engine()
        works(cluster)
        restarted(cluster, count)
        assert settled(lambda: engine.sockets_of_the_dead(machine), []) == []
    assert settled(lambda: phase(cluster, "never"), "Succeeded") == "Succeeded"
    ended = cluster.get("pod", "never")["status"]
    assert ended["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 0
    # the server finds out about connections of dead nodes by itself, in less than a minute
    with contextlib.suppress(AssertionError):
        eventually(lambda: half_open(cluster) == [], 90)
    assert half_open(cluster) == []


def test_stopped_and_started_with_live_restore(start, machine):
    """Then containers outlive the engine: nothing is restarted, and the network works all along."""
    cluster = start(live_restore=True)
    before = runs(cluster)
    for end in (machine.stop_engine, machine.kill_engine):
        end()
        cluster.kubectl("wait", "--for=condition=Ready=false", f"node/{NAME}-node", "--timeout=180s")
        # Services lose a node's pods when it is not ready; the pods themselves answer
        address = cluster.get("pods", "--selector=app=web")["items"][0]["status"]["podIP"]
        assert machine.run("timeout", "60", "wget", "-qO-", f"http://{address}:8080/").stdout == "hello\n"
        machine.start_engine(live_restore=True)
        works(cluster)
        assert settled(lambda: runs(cluster), before) == before
    # a new agent finds no engine: names and Services go on, pods are taken over once it is back
    machine.stop_engine()
    victim = eventually(lambda: cluster.component_pid("agent"))
    engine.kill_all([victim])
    eventually(lambda: cluster.component_pid("agent") not in (0, victim))
    cluster.kubectl("wait", "--for=condition=Ready=false", f"node/{NAME}-node", "--timeout=180s")
    machine.start_engine(live_restore=True)
    works(cluster)
    assert settled(lambda: runs(cluster), before) == before


def test_killed(start, machine):
    """Containers run on until the next engine ends them, which does not know them; the agent is killed, too."""
    cluster = start()
    machine.kill_engine()
    cluster.kubectl("wait", "--for=condition=Ready=false", f"node/{NAME}-node", "--timeout=180s")
    victim = eventually(lambda: cluster.component_pid("agent"))
    engine.kill_all([victim])
    machine.start_engine()
    works(cluster)
    restarted(cluster, 1)
    assert settled(lambda: phase(cluster, "never"), "Succeeded") == "Succeeded"
    assert settled(lambda: engine.sockets_of_the_dead(machine), []) == []


def test_a_node_whose_container_is_killed(start, machine):
    """The engine lives, the node's network is gone: the node begins anew, its pods with it."""
    cluster = start()
    machine.docker("kill", f"{NAME}-node")
    eventually(lambda: {number for number, _ in runs(cluster)["client"]} == {1})
    works(cluster)
    assert settled(lambda: engine.sockets_of_the_dead(machine), []) == []


def test_the_machine_loses_its_power(start, machine, kubectl_path):
    cluster = start()
    cluster.kubectl("create", "configmap", "kept", "--from-literal=a=b")
    machine.lose_power()
    machine.boot()
    assert machine.cluster(NAME, kubectl_path).name == NAME
    works(cluster)
    assert cluster.get("configmap", "kept")["data"] == {"a": "b"}
    eventually(lambda: {number for number, _ in runs(cluster)["client"]} == {1})
    assert settled(lambda: phase(cluster, "never"), "Failed") == "Failed"
