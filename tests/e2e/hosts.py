"""Machines for tests: network namespaces with an engine and a state directory of their own.

They are joined by bridges the test makes and have no way out, so nothing of a test can leave this machine. An engine
must be inside such a namespace: it takes the links and firewall of the one it stands in for its own.
"""

import dataclasses
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys

from kubeshim import supervisor
from tests.e2e.conftest import eventually


def ip(*arguments, check=True):
    return subprocess.run(["ip", *arguments], check=check, capture_output=True, text=True).stdout


def ended(process, seconds=120):
    """Ends a child that we started, and waits for it."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Link:
    """A switch: a bridge in a namespace of its own."""

    def __init__(self, name):
        self.name = name
        ip("netns", "add", name)
        ip("-n", name, "link", "add", "br0", "type", "bridge")
        ip("-n", name, "link", "set", "br0", "up")

    def plug(self, namespace, interface, address):
        """Connects a namespace by ``interface`` with ``address`` (``192.0.2.1/24``)."""
        port = f"p-{namespace}"[:15]
        ip("-n", self.name, "link", "add", port, "type", "veth", "peer", "name", interface, "netns", namespace)
        ip("-n", self.name, "link", "set", port, "master", "br0", "up")
        ip("-n", namespace, "address", "add", address, "dev", interface)
        ip("-n", namespace, "link", "set", interface, "up")

    def cut(self, namespace):
        ip("-n", self.name, "link", "set", f"p-{namespace}"[:15], "down")

    def mend(self, namespace):
        ip("-n", self.name, "link", "set", f"p-{namespace}"[:15], "up")


def connect_by_router(name, one, address, other, other_address):
    """A machine that forwards between two links."""
    ip("netns", "add", name)
    one.plug(name, "eth0", address)
    other.plug(name, "eth1", other_address)
    subprocess.run(["nsenter", f"--net=/run/netns/{name}", "sysctl", "-qw", "net.ipv4.ip_forward=1"], check=True)


def remove_namespaces(*names):
    for name in names:
        ip("netns", "del", name, check=False)


@dataclasses.dataclass
class Host:
    """A machine: commands run in its namespace, with its engine and its directory."""

    name: str
    directory: pathlib.Path
    engine: subprocess.Popen | None = None

    @classmethod
    def make(cls, name, directory):
        ip("netns", "add", name)
        ip("-n", name, "link", "set", "lo", "up")
        directory.mkdir(parents=True)
        return cls(name, directory)

    @property
    def socket(self):
        return self.directory / "docker.sock"

    @property
    def root(self):
        return self.directory / "lib"

    @property
    def environment(self):
        return {**os.environ, "DOCKER_HOST": f"unix://{self.socket}", "KUBESHIM_ROOT": str(self.root)}

    def command(self, *arguments):
        return ["nsenter", f"--net=/run/netns/{self.name}", *arguments]

    def run(self, *arguments, check=True, timeout=300, **options):
        done = subprocess.run(
            self.command(*arguments),
            env=self.environment, capture_output=True, text=True, timeout=timeout, check=False, **options,
        )  # fmt: skip
        if check and done.returncode:
            raise AssertionError(f"{self.name}: {' '.join(arguments)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def kubeshim(self, *arguments, **options):
        return self.run(sys.executable, "-m", "kubeshim", *arguments, **options)

    def start_engine(self):
        """Its own everything: a containerd too, for that of this machine has other containers of the same kind."""
        for stale in self.directory.glob("*.pid"):
            stale.unlink()
        with open(self.directory / "dockerd.log", "ab") as log:
            self.engine = subprocess.Popen(
                self.command(
                    "dockerd",
                    f"--data-root={self.directory / 'data'}",
                    f"--exec-root={self.directory / 'exec'}",
                    f"--pidfile={self.directory / 'docker.pid'}",
                    f"--host=unix://{self.socket}",
                    "--bip=172.17.0.1/24",
                ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        ping = ["docker", "version", "--format", "{{.Server.Version}}"]
        eventually(lambda: self.run(*ping, check=False).returncode == 0)

    def stop_engine(self):
        if self.engine is not None:
            ended(self.engine)
            self.engine = None

    def load_images(self, archive):
        self.run("docker", "load", "-i", str(archive))

    def take_down(self, cluster):
        """After a test that failed half-way; nothing there is no error."""
        if self.engine is not None and (self.root / cluster).exists():
            self.kubeshim("down", "--name", cluster, "--kubeconfig", str(self.directory / "none"), check=False)

    def remove(self):
        """Ends what the engine may have left, then the namespace and the files."""
        self.stop_engine()
        ip("netns", "del", self.name, check=False)
        mounts = pathlib.Path("/proc/self/mountinfo").read_text()
        for line in reversed(mounts.splitlines()):
            if line.split()[4].startswith(f"{self.directory}/"):
                subprocess.run(["umount", "-l", line.split()[4]], check=False, capture_output=True)
        shutil.rmtree(self.directory, ignore_errors=True)

    def component_pid(self, cluster, component):
        """0 while it does not run."""
        state = json.loads((self.root / cluster / "run" / "state.json").read_text())
        entries = {"supervisor": state["supervisor"], **state["components"]}
        running = (e["pid"] for n, e in entries.items() if n.startswith(component) and supervisor.is_running(e))
        return next(running, 0)

    def left(self, cluster):
        """What of a cluster is still here: containers, networks, links, routes, rules, files."""
        found = []
        if self.engine is not None:
            label = f"label=io.kubeshim.cluster={cluster}"
            found += self.run("docker", "ps", "-aq", "--filter", label).stdout.split()
            found += self.run("docker", "network", "ls", "-q", "--filter", label).stdout.split()
        routes = ip("-n", self.name, "route").splitlines()
        found += [line for line in routes if "unreachable" in line or "proto 84" in line or "ks-" in line]
        found += [line for line in self.run("iptables-save").stdout.splitlines() if "kubeshim" in line]
        found += [line for line in ip("-n", self.name, "-o", "link").splitlines() if "ks-" in line or "vxlan" in line]
        found += [str(path) for path in self.root.glob("*")]
        return found
