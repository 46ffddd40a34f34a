"""A machine to break: a Docker engine of its own inside a network namespace of its own, and a cluster on it.

The namespace plays the machine: it has loopback and nothing else, so no packet can leave it. The engine must stand
in it, not only for that: a second dockerd beside the first would take its docker0 away. All runs in one temporary
directory, of short paths because a socket's has 108 bytes at most.
"""

import contextlib
import fcntl
import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import sys
import tempfile

from kubeshim import supervisor
from kubeshim.node import namespaces
from tests.e2e.conftest import PATIENCE, Cluster, eventually

_SIOCGSKNS = 0x894C


class Machine:
    """``boot`` first, ``scrap`` last. ``name`` is the namespace's, of at most 12 characters."""

    def __init__(self, name):
        self.name = name
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix=f"{name}-", dir="/tmp"))
        self.root = self.directory / "clusters"
        self.socket = self.directory / "docker.sock"
        self.engine = None
        (self.directory / "daemon.json").write_text("{}")  # the machine's own engine may have one

    # -- power

    def boot(self, *, live_restore=False):
        subprocess.run(["ip", "netns", "add", self.name], check=True)
        self.run("ip", "link", "set", "lo", "up")
        self.start_engine(live_restore=live_restore)

    def scrap(self):
        self.stop_engine()
        self._end_what_runs_inside()
        subprocess.run(["ip", "netns", "delete", self.name], check=True)
        self._unmount()
        shutil.rmtree(self.directory)

    def lose_power(self):
        """Everything dies at once, and with it all that a kernel forgets: links, routes, rules, mounts, processes."""
        self.kill_engine()
        self._end_what_runs_inside()
        subprocess.run(["ip", "netns", "delete", self.name], check=True)
        self._unmount()
        shutil.rmtree(self.directory / "run", ignore_errors=True)

    def _end_what_runs_inside(self):
        """Shims first: they would write down how their containers ended. Those are elsewhere, but their children."""
        shims = [pid for pid in processes() if str(self.directory) in command_line(pid)]
        inside = subprocess.run(["ip", "netns", "pids", self.name], capture_output=True, text=True, check=True)
        doomed = {*shims, *(child for shim in shims for child in descendants(shim)), *map(int, inside.stdout.split())}
        kill_all(doomed - {os.getpid()})

    def _unmount(self):
        lines = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
        points = [line.split()[4] for line in lines if f" {self.directory}/" in line]
        for point in sorted(points, key=len, reverse=True):
            # one may go with another; what is left makes the removal of the directory fail
            subprocess.run(["umount", "-l", point], check=False, capture_output=True)

    # -- the engine

    def start_engine(self, *, live_restore=False):
        assert self.engine is None
        run = self.directory / "run"
        for pid_file in (run / "docker.pid", run / "exec" / "containerd" / "containerd.pid"):
            pid_file.unlink(missing_ok=True)  # a killed one's: its number may be a zombie's still
        run.mkdir(exist_ok=True)
        with open(self.directory / "dockerd.log", "ab") as log:
            self.engine = self.popen(
                "dockerd", "--host", f"unix://{self.socket}", "--data-root", str(self.directory / "data"),
                "--exec-root", str(run / "exec"), "--pidfile", str(run / "docker.pid"),
                "--config-file", str(self.directory / "daemon.json"), *(["--live-restore"] if live_restore else []),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        eventually(self._engine_answers)

    def _engine_answers(self):
        assert self.engine.poll() is None, (self.directory / "dockerd.log").read_text()[-2000:]
        return self.docker("version", check=False).returncode == 0

    def stop_engine(self):
        self._end_engine(signal.SIGTERM)

    def kill_engine(self):
        self._end_engine(signal.SIGKILL)

    def _end_engine(self, number):
        if self.engine is not None:
            self.engine.send_signal(number)
            self.engine.wait(PATIENCE)
            self.engine = None

    # -- work on it

    @property
    def environment(self):
        return {
            **os.environ,
            "DOCKER_HOST": f"unix://{self.socket}",
            "KUBESHIM_ROOT": str(self.root),
            "HOME": str(self.directory),
        }

    def _inside(self, arguments):
        # not "ip netns exec": that mounts a /sys without cgroups
        return ["nsenter", f"--net=/run/netns/{self.name}", *arguments]

    def popen(self, *arguments, **options):
        return subprocess.Popen(self._inside(arguments), env=self.environment, **options)

    def run(self, *arguments, check=True, timeout=300, **options):
        done = subprocess.run(
            self._inside(arguments), env=self.environment, capture_output=True, text=True, timeout=timeout,
            check=False, **options,
        )  # fmt: skip
        if check and done.returncode:
            raise AssertionError(f"{' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def docker(self, *arguments, **options):
        return self.run("docker", *arguments, **options)

    def kubeshim(self, *arguments, **options):
        return self.run(sys.executable, "-m", "kubeshim", *arguments, **options)

    def within(self, function):
        """The result of a call made on this machine's network."""
        return namespaces.run_in(f"/run/netns/{self.name}", function)

    def load(self, *images):
        """Copies images of the machine's own engine."""
        with subprocess.Popen(["docker", "save", *images], stdout=subprocess.PIPE) as saved:
            self.run("docker", "load", stdin=saved.stdout)
        assert saved.returncode == 0

    def cluster(self, name, kubectl_path, settings=None, *arguments):
        """Starts one, or brings back the one of that name."""
        kubeconfig, config = self.directory / "config", self.directory / "cluster.json"
        given = []
        if not (self.root / name).exists():
            config.write_text(json.dumps({"networking": {"upstreamDNS": False}, **(settings or {})}))
            given = ["--config", str(config), *arguments]
        self.kubeshim("up", "--name", name, "--kubeconfig", str(kubeconfig), *given)
        return There(self, name, kubeconfig, kubectl_path)

    # -- looking at it

    def containers(self, *filters, running=True):
        """Ids of containers."""
        wanted = [word for each in filters for word in ("--filter", each)]
        return self.docker("ps", "-q", "--no-trunc", *([] if running else ["-a"]), *wanted).stdout.split()

    def processes(self):
        """Processes of clusters on it."""
        return [pid for pid in processes() if f"{self.root}/" in command_line(pid) and pid != os.getpid()]


class There(Cluster):
    """A cluster on a ``Machine``."""

    def __init__(self, machine, name, kubeconfig, kubectl_path):
        super().__init__(name, kubeconfig, kubectl_path)
        self.machine = machine

    def kubectl(self, *arguments, stdin=None, check=True, timeout=300):
        given = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
        words = [self.kubectl_path, "--kubeconfig", str(self.kubeconfig), *arguments]
        return self.machine.run(*words, check=check, timeout=timeout, **given)

    def state(self):
        return json.loads((self.machine.root / self.name / "run" / "state.json").read_text())

    def component_pid(self, component):
        state = self.state()
        if component == "supervisor":
            return state["supervisor"]["pid"]
        running = state["components"].items()
        return next((entry["pid"] for name, entry in running if name.startswith(component)), 0)

    def down(self):
        return self.machine.kubeshim("down", "--name", self.name, "--kubeconfig", str(self.kubeconfig))


def processes():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def command_line(pid):
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def descendants(pid):
    found = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            for child in pathlib.Path(f"/proc/{pid}/task/{thread}/children").read_text().split():
                found += [int(child), *descendants(int(child))]
    return found


def kill_all(pids):
    """Returns when they are gone."""
    waiting = []
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            waiting.append(os.pidfd_open(pid))
            os.kill(pid, signal.SIGKILL)
    for descriptor in waiting:
        assert select.select([descriptor], [], [], PATIENCE)[0]
        os.close(descriptor)


def sockets_of_the_dead(machine):
    """Descriptors of the clusters' processes that keep a network namespace which no process stands in any more."""
    alive = set()
    for pid in processes():
        with contextlib.suppress(OSError):
            alive.add(os.stat(f"/proc/{pid}/ns/net").st_ino)
    found = []
    for pid in machine.processes():
        for number in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{pid}/fd/{number}").startswith("socket:") and belongs(pid, number) not in alive:
                    found.append(f"{command_line(pid)}: {number}")
    return found


def belongs(pid, descriptor):
    """The network namespace that another process's socket is of, as an inode."""
    with contextlib.closing(supervisor.take_socket(pid, int(descriptor))) as taken:
        namespace = fcntl.ioctl(taken.fileno(), _SIOCGSKNS)
    try:
        return os.fstat(namespace).st_ino
    finally:
        os.close(namespace)
