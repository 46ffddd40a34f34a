"""The agent is killed again and again while pods are created, deleted and rolled.

Whatever it was in the middle of, the next one finds: no container is started twice, restarted or forgotten, and in
the end the API says of each pod what is the case.
"""

import contextlib
import json
import os
import pathlib
import random
import signal
import subprocess
import threading
import time

import pytest

from kubeshim import pki
from kubeshim.client import kinds, kubeconfig, rest
from kubeshim.node import namespaces
from tests.e2e import engine
from tests.e2e.conftest import directory, eventually, kubeshim, settled, start

NAME = "e2e-kills"
NODE = f"{NAME}-node"
KILLS = 50
BUSYBOX = "kubeshim.example/busybox:1"
SCRIPT = "trap 'exit 0' TERM; sleep 100000 & wait"


def spec(**more):
    container = {
        "name": "main",
        "image": BUSYBOX,
        "command": ["sh", "-c", SCRIPT],
        "volumeMounts": [{"name": "config", "mountPath": "/config"}, {"name": "memory", "mountPath": "/memory"}],
    }
    volumes = [
        {"name": "config", "configMap": {"name": "settings"}},
        {"name": "memory", "emptyDir": {"medium": "Memory"}},
    ]
    return {"containers": [container], "volumes": volumes, "terminationGracePeriodSeconds": 1, **more}


def deployment(name, replicas):
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": spec()}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template},
    }


def pod(name):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec()}


@pytest.fixture
def cluster(tmp_path, kubectl_path, images):
    running = start(NAME, tmp_path, kubectl_path)
    try:
        settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"a": "b"}}
        first = [settings, deployment("steady", 3), deployment("rolled", 3)]
        apply(running, first)
        for name in ("steady", "rolled"):
            running.kubectl("rollout", "status", f"deployment/{name}", "--timeout=180s")
        yield running
    finally:
        kubeshim("down", "--name", NAME, "--kubeconfig", str(running.kubeconfig))


def apply(cluster, objects):
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))


class Witness(threading.Thread):
    """Watches all pods and notes what must not be: a restart, or another container under the same pod."""

    def __init__(self):
        super().__init__(daemon=True)
        loaded = kubeconfig.load(str(pki.Files(directory(NAME) / "pki").kubeconfig("admin")))
        self.client = rest.Client(loaded)
        self.wrong = []
        self.first = {}
        self.events = self.client.watch(kinds.PODS, "default")

    def run(self):
        with contextlib.suppress(OSError):
            for _, obj in self.events:
                self.look(obj)

    def finish(self):
        self.events.stop()
        self.join(180)
        self.client.close()
        return self.wrong

    def look(self, obj):
        for status in obj.get("status", {}).get("containerStatuses", ()):
            identity = status.get("containerID")
            known = self.first.setdefault(obj["metadata"]["uid"], identity) or identity
            self.first[obj["metadata"]["uid"]] = known
            if status["restartCount"] or identity not in (None, known):
                self.wrong.append((obj["metadata"]["name"], known, status))


def kill_agent(cluster):
    """Returns when the next one is being started: the supervisor's back-off is cut short, as ``up`` does."""
    victim = eventually(lambda: agent(cluster))
    engine.kill_all([victim])
    state = directory(NAME) / "run" / "state.json"
    eventually(lambda: f"agent-{NODE}" not in json.loads(state.read_text())["components"] or agent(cluster) != victim)
    os.kill(cluster.component_pid("supervisor"), signal.SIGHUP)
    eventually(lambda: agent(cluster) not in (0, victim))


def agent(cluster):
    state = json.loads((directory(NAME) / "run" / "state.json").read_text())
    return state["components"].get(f"agent-{NODE}", {"pid": 0})["pid"]


def test_fifty_kills(cluster):
    chance = random.Random(20260101)
    steady = identities(cluster, "app=steady")
    witness = Witness()
    witness.start()
    began = time.monotonic()
    for number in range(KILLS):
        apply(cluster, [pod(f"churn-{number}-{which}") for which in "ab"])
        if number >= 2:
            names = [f"churn-{number - 2}-{which}" for which in "ab"]
            cluster.kubectl("delete", "pod", *names, "--wait=false")
        if number % 5 == 2:
            cluster.kubectl("set", "env", "deployment/rolled", f"ROUND={number}")
        time.sleep(chance.uniform(0, 1.5))  # the moment is the test
        kill_agent(cluster)
    print(f"{KILLS} kills in {time.monotonic() - began:.0f} s")
    for name in ("steady", "rolled"):
        cluster.kubectl("rollout", "status", f"deployment/{name}", "--timeout=180s")
    last = [f"pod/churn-{number}-{which}" for number in (KILLS - 2, KILLS - 1) for which in "ab"]
    cluster.kubectl("wait", "--for=condition=Ready", *last, "--timeout=180s")
    eventually(lambda: len(cluster.get("pods")["items"]) == 3 + 3 + 4)
    assert witness.finish() == []
    assert identities(cluster, "app=steady") == steady
    assert settled(lambda: differences(cluster), []) == []
    print(f"settled after {time.monotonic() - began:.0f} s")


def identities(cluster, selector):
    pods = cluster.get("pods", f"--selector={selector}")["items"]
    return sorted(entry["containerID"] for item in pods for entry in item["status"]["containerStatuses"])


def differences(cluster):
    """What the engine, the kernel and the disk have that the API does not, and the other way round."""
    pods = cluster.get("pods", "-A")["items"]
    uids = {item["metadata"]["uid"] for item in pods}
    wanted = {
        entry["containerID"].removeprefix("docker://")
        for item in pods
        for entry in item["status"]["containerStatuses"]
        if "running" in entry["state"] and entry["ready"]
    }
    found = {"container": set(), "sandbox": set()}
    format = '{{.ID}} {{or (.Label "io.kubeshim.kind") "holder"}} {{.State}}'
    own = ["--filter", f"label=io.kubeshim.cluster={NAME}", "--no-trunc", "--format", format]
    listed = subprocess.run(["docker", "ps", "-a", *own], check=True, capture_output=True, text=True).stdout
    for line in listed.splitlines():
        identity, kind, state = line.split(" ")
        if kind in found:
            found[kind].add((identity, state))
    holder = subprocess.run(
        ["docker", "inspect", "--format", "{{.State.Pid}}", NODE], check=True, capture_output=True, text=True
    ).stdout
    links = pathlib.Path("/proc/thread-self/net/dev")
    names = namespaces.run_in(namespaces.of_process(int(holder)), links.read_text)
    wrong = []
    if found["container"] != {(identity, "running") for identity in wanted}:
        wrong.append(("containers", found["container"], wanted))
    if len(found["sandbox"]) != len(pods) or {state for _, state in found["sandbox"]} != {"running"}:
        wrong.append(("sandboxes", found["sandbox"], len(pods)))
    if names.count("veth") != len(pods):
        wrong.append(("links", names))
    if set(os.listdir(directory(NAME) / "nodes" / NODE / "pods")) != uids:
        wrong.append(("directories", uids))
    groups = [name for path, names, _ in os.walk(f"/sys/fs/cgroup/memory/kubeshim-{NAME}") for name in names]
    if sum(name.startswith("pod") for name in groups) != len(pods):
        wrong.append(("cgroups", groups))
    return wrong
