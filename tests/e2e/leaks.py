"""What pods leave behind: everything that is countable, before and after many of them have come and gone.

On a machine of their own (``engine``), so that every count is exact.
"""

import json
import os
import pathlib
import re

from kubeshim.client import kinds, kubeconfig, rest
from tests.e2e import engine

IMAGE = "kubeshim.example/busybox:1"
SCRIPT = "nslookup kubernetes.default.svc.cluster.local >/dev/null; trap 'exit 0' TERM; sleep 100000 & wait"
BATCH = 5
SETTINGS = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"a": "b"}}
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "cycled"},
    "spec": {"type": "NodePort", "selector": {"app": "cycled"}, "ports": [{"port": 80, "targetPort": 8080}]},
}


def pod(number):
    container = {
        "name": "main",
        "image": IMAGE,
        "command": ["sh", "-c", SCRIPT],
        "ports": [{"containerPort": 8080, "hostPort": 20000 + number % BATCH}],
        "resources": {"requests": {"cpu": "1m"}, "limits": {"memory": "32Mi"}},
        "volumeMounts": [{"name": name, "mountPath": f"/{name}"} for name in ("config", "memory", "disk")],
    }
    volumes = [
        {"name": "config", "configMap": {"name": "settings"}},
        {"name": "memory", "emptyDir": {"medium": "Memory"}},
        {"name": "disk", "emptyDir": {}},
    ]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"cycled-{number}", "labels": {"app": "cycled"}},
        "spec": {"containers": [container], "volumes": volumes, "terminationGracePeriodSeconds": 1},
    }


class Cycles:
    """Pods by the batch, each made, Running, deleted, gone."""

    def __init__(self, cluster):
        self.cluster, self.machine, self.done = cluster, cluster.machine, 0
        path = self.machine.root / cluster.name / "pki" / "admin.conf"
        self.client = rest.Client(kubeconfig.load(str(path)), within=self.machine.within)
        self.client.create(kinds.CONFIG_MAPS, SETTINGS, "default")
        self.client.create(kinds.SERVICES, SERVICE, "default")

    def run(self, count):
        version = self.client.list(kinds.PODS, "default")["metadata"]["resourceVersion"]
        events = self.client.watch(kinds.PODS, "default", resource_version=version, label_selector="app=cycled")
        end = self.done + count
        running, gone = set(), set()
        self._create()
        for kind, obj in events:
            name = obj["metadata"]["name"]
            if kind == "DELETED":
                gone.add(name)
                if len(gone) == BATCH:
                    if self.done >= end:
                        break
                    running, gone = set(), set()
                    self._create()
            elif obj.get("status", {}).get("phase") == "Running" and name not in running:
                running.add(name)
                self.client.delete(kinds.PODS, name, "default")
        events.close()

    def _create(self):
        for number in range(self.done, self.done + BATCH):
            self.client.create(kinds.PODS, pod(number), "default")
        self.done += BATCH

    def close(self):
        self.client.close()


def counted(cluster):
    """By what it is: how many there are."""
    machine, name = cluster.machine, cluster.name
    node = f"{name}-node"
    holder = json.loads(machine.docker("inspect", node).stdout)[0]["State"]["Pid"]
    inside = ["nsenter", f"--net=/proc/{holder}/ns/net"]
    mounts = pathlib.Path("/proc/self/mountinfo").read_text()
    groups = [path for path, _, _ in os.walk("/sys/fs/cgroup") if re.search(rf"/kubeshim-{name}/.*pod", path)]
    return {
        "containers": len(machine.containers(running=False)),
        "links of the machine": machine.run("ip", "-o", "link").stdout.count("\n"),
        "links of the node": machine.run(*inside, "ip", "-o", "link").stdout.count("\n"),
        "routes of the node": machine.run(*inside, "ip", "route").stdout.count("\n"),
        "mounts": mounts.count(f" {machine.directory}/"),
        "files of the node": sum(len(files) for _, _, files in os.walk(machine.root / name / "nodes")),
        "directories of pods": len(os.listdir(machine.root / name / "nodes" / node / "pods")),
        "cgroups of pods": len(groups),
        "lines of nft rules": machine.run(*inside, "nft", "list", "ruleset").stdout.count("\n"),
        "connections tracked": pod_connections(machine.run(*inside, "conntrack", "-L", check=False).stdout),
        "sockets of dead namespaces": len(engine.sockets_of_the_dead(machine)),
        "shims": sum("containerd-shim" in engine.command_line(pid) and str(machine.directory) in
                     engine.command_line(pid) for pid in engine.processes()),
    }  # fmt: skip


def pod_connections(listing):
    """Entries of pods' addresses in ``conntrack -L``."""
    return sum("src=10.244." in line or "dst=10.244." in line for line in listing.splitlines())


def process_counts(cluster):
    """Descriptors and threads of the agent and of the API server."""
    found = {}
    for component in ("agent", "api-server"):
        pid = cluster.component_pid(component)
        found[f"descriptors of the {component}"] = len(os.listdir(f"/proc/{pid}/fd"))
        found[f"threads of the {component}"] = len(os.listdir(f"/proc/{pid}/task"))
    return found


def resident(cluster, component):
    """Megabytes."""
    text = pathlib.Path(f"/proc/{cluster.component_pid(component)}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text).group(1)) / 1024
