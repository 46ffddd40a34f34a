"""Keeps the components of one cluster running, and holds the sockets they listen on.

``components.json`` in the run directory says what shall run; SIGHUP makes the supervisor read it again, SIGTERM
ends everything in reverse order. The listening sockets are opened here, in the network namespace each belongs
to, and handed down by systemd's protocol (``LISTEN_FDS``, ``LISTEN_FDNAMES``: sd_listen_fds(3)): while a component
is restarted its sockets stay open, so connections queue instead of being refused.

Components are in sessions of their own and outlive the supervisor. A new one finds them by ``state.json`` (pid and
start time, so that a reused pid is never taken for a component) and gets the sockets back from the running process
with pidfd_getfd(2). Every component is watched through a pidfd, child or not; there is no polling and no thread.

Nothing of kubeshim is imported: this process lives as long as the cluster and shall weigh little.
"""

import contextlib
import ctypes
import errno
import hashlib
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

BACKLOG = 4096
QUICK = 5.0
"""A component that lived less than this many seconds is restarted with back-off."""
MAX_DELAY = 10.0
LOG_LIMIT = 16 << 20
FIRST_FD = 3
_SYS_PIDFD_GETFD = 438
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def start_time(pid: int) -> int:
    """When the process started, in clock ticks since boot; 0 where there is none (or only a zombie)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] == b"Z" else int(fields[19])


def digest(spec: dict[str, Any]) -> str:
    """Tells one description of a component from another."""
    return hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:16]


def is_running(entry: dict[str, Any] | None) -> bool:
    """Whether the process recorded as ``{"pid", "startTime"}`` is still that process."""
    return bool(entry) and entry is not None and start_time(entry["pid"]) == entry["startTime"] != 0


def open_process(entry: dict[str, Any] | None) -> int:
    """A pidfd of the process recorded in ``entry``; -1 where that is gone, or going in this very moment."""
    if not is_running(entry):
        return -1
    assert entry is not None
    try:
        descriptor = os.pidfd_open(entry["pid"])
    except ProcessLookupError:
        return -1
    if is_running(entry):  # else the number may have become another's before it was opened
        return descriptor
    os.close(descriptor)
    return -1


@contextlib.contextmanager
def network_namespace(pid: int | None) -> Iterator[None]:
    """Inside, new sockets belong to the network namespace of ``pid`` (None: stay here)."""
    if pid is None:
        yield
        return
    with open("/proc/self/ns/net", "rb") as home, open(f"/proc/{pid}/ns/net", "rb") as away:
        _setns(away.fileno())
        try:
            yield
        finally:
            _setns(home.fileno())


def _setns(descriptor: int) -> None:
    if _libc.setns(descriptor, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def open_socket(spec: dict[str, Any]) -> socket.socket:
    """A bound socket for ``{"address", "port", "type": "stream"|"dgram", "netnsPid"?}``; streams listen."""
    family = socket.AF_INET6 if ":" in spec["address"] else socket.AF_INET
    kind = socket.SOCK_DGRAM if spec.get("type") == "dgram" else socket.SOCK_STREAM
    with network_namespace(spec.get("netnsPid")):
        sock = socket.socket(family, kind)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((spec["address"], spec["port"]))
        if kind == socket.SOCK_STREAM:
            sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def take_socket(pid: int, descriptor: int) -> socket.socket | None:
    """A duplicate of another process's socket, or None where the kernel cannot (before Linux 5.6)."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return None
    try:
        taken = _libc.syscall(_SYS_PIDFD_GETFD, pidfd, descriptor, 0)
        if taken < 0:
            return None
        try:
            return socket.socket(fileno=taken)
        except OSError:  # it was about to be executed, and had not put the socket there yet
            os.close(taken)
            return None
    finally:
        os.close(pidfd)


class Component:
    """One process that shall run, its sockets, and when it may be started next."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        self.sockets: list[socket.socket] = []
        self.pid = 0
        self.started_ticks = 0
        self.pidfd = -1
        self.started_at = 0.0
        self.failures = 0
        self.due: float | None = None
        self.restarts = 0

    @property
    def name(self) -> str:
        return str(self.spec["name"])

    def adopt(self, entry: dict[str, Any]) -> bool:
        """Takes over a process that an earlier supervisor started; False where it is gone.

        One that was started from another description (its node has got a new network namespace) is ended.
        """
        descriptor = open_process(entry)
        if descriptor < 0:
            return False
        self.pid, self.started_ticks, self.pidfd = entry["pid"], entry["startTime"], descriptor
        if entry.get("spec", digest(self.spec)) != digest(self.spec):
            self.stop(float(self.spec.get("stopSeconds", 10)))
            return False
        self.restarts = entry.get("restarts", 0)
        self.started_at = time.monotonic()
        found = [take_socket(self.pid, FIRST_FD + index) for index in range(len(self.spec.get("sockets", ())))]
        self.sockets = [sock for sock in found if sock is not None]
        if len(self.sockets) != len(found):  # opened anew when the component is next started
            for sock in self.sockets:
                sock.close()
            self.sockets = []
        return True

    def start(self, log_path: str, record: Callable[[], None]) -> None:
        """Opens the sockets if need be, forks and executes.

        The program begins only once ``record`` has made the process known: where we die before that, it ends too, so
        that no component runs, and holds its sockets, of which a later supervisor knows nothing.
        """
        wanted = self.spec.get("sockets", ())
        if len(self.sockets) != len(wanted):
            self.sockets = [open_socket(spec) for spec in wanted]
        environment = {**os.environ, **self.spec.get("environment", {})}
        log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        gate, opener = os.pipe2(os.O_CLOEXEC)
        pid = os.fork()
        if pid == 0:
            os.close(opener)
            self._exec(environment, log, gate)
        os.close(gate)
        os.close(log)
        self.pid, self.started_ticks = pid, start_time(pid)
        self.pidfd = os.pidfd_open(pid)
        self.started_at = time.monotonic()
        self.due = None
        try:
            record()
            with contextlib.suppress(BrokenPipeError):  # it has been killed meanwhile
                os.write(opener, b"x")
        finally:
            os.close(opener)

    def _exec(self, environment: dict[str, str], log: int, gate: int) -> None:
        try:
            os.setsid()
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            if not os.read(gate, 1):
                os._exit(0)
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            null = os.open(os.devnull, os.O_RDONLY)
            # first out of the way of the fixed numbers, then onto them
            held = [os.dup(sock.fileno()) for sock in self.sockets]
            high = [_dup_above(descriptor, FIRST_FD + len(held)) for descriptor in held]
            out = _dup_above(log, FIRST_FD + len(held))
            os.dup2(null, 0)
            os.dup2(out, 1)
            os.dup2(out, 2)
            for index, descriptor in enumerate(high):
                os.dup2(descriptor, FIRST_FD + index, inheritable=True)
            os.closerange(FIRST_FD + len(high), 1024)
            if high:
                environment["LISTEN_PID"] = str(os.getpid())
                environment["LISTEN_FDS"] = str(len(high))
                environment["LISTEN_FDNAMES"] = ":".join(spec["name"] for spec in self.spec["sockets"])
            os.execve(self.spec["command"][0], self.spec["command"], environment)
        except BaseException as error:
            os.write(2, f"cannot start {self.name}: {error}\n".encode())
        finally:
            os._exit(127)

    def ended(self) -> float:
        """Forgets the process; returns in how many seconds the next may be started."""
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)
        os.close(self.pidfd)
        lived = time.monotonic() - self.started_at
        self.failures = self.failures + 1 if lived < QUICK else 0
        self.pid, self.pidfd = 0, -1
        self.restarts += 1
        return 0.0 if self.failures <= 1 else min(MAX_DELAY, 0.1 * 2 ** (self.failures - 2))

    def stop(self, grace: float) -> None:
        """SIGTERM, then SIGKILL after ``grace`` seconds; closes the sockets."""
        if self.pid and start_time(self.pid) == self.started_ticks:
            for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 10.0)):
                try:
                    signal.pidfd_send_signal(self.pidfd, number)
                except ProcessLookupError:
                    break
                if select.select([self.pidfd], [], [], patience)[0]:
                    break
        if self.pid:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.pid, os.WNOHANG)
            os.close(self.pidfd)
            self.pid, self.pidfd = 0, -1
        for sock in self.sockets:
            sock.close()
        self.sockets = []


def _dup_above(descriptor: int, lowest: int) -> int:
    import fcntl

    return fcntl.fcntl(descriptor, fcntl.F_DUPFD, lowest + 16)


class Supervisor:
    """The loop: start what is due, wait for a death or a signal."""

    def __init__(self, run_dir: str, log_dir: str) -> None:
        self.run_dir, self.log_dir = run_dir, log_dir
        self.told = ""
        """Digest of what was last read to be wanted."""
        self.components: dict[str, Component] = {}
        self.stopping = False
        self.reload = True

    def run(self) -> None:
        reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        signal.signal(signal.SIGHUP, self._on_signal)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())  # what was sent before we could hear it comes now
        previous = self._read("state.json", {}).get("components", {})
        while not self.stopping:
            if self.reload:
                self.reload = False
                self._reconcile(previous)
                previous = {}
            self._start_due()
            self._wait(reader)
        for component in reversed(list(self.components.values())):
            log(f"stopping {component.name}")
            component.stop(float(component.spec.get("stopSeconds", 10)))
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.run_dir, "state.json"))

    def _on_signal(self, number: int, _frame: object) -> None:
        if number == signal.SIGHUP:
            self.reload = True
        else:
            self.stopping = True

    def _reconcile(self, previous: dict[str, Any]) -> None:
        """Makes ``components`` match the file: adopts or schedules new ones, stops those taken out."""
        read = self._read("components.json", {"components": []})
        wanted = {spec["name"]: spec for spec in read["components"]}
        for name in [name for name in self.components if name not in wanted]:
            log(f"stopping {name}: no longer wanted")
            self.components.pop(name).stop(10)
        for name in [name for name in previous if name not in wanted]:
            Component({"name": name}).adopt(previous[name])  # of another description than nothing: it is ended
        for name, spec in wanted.items():
            component = self.components.get(name)
            if component is not None:
                if component.spec != spec:
                    self._renew(component, spec)
                elif component.due is not None:  # whoever says what shall run does not mean later
                    component.due = time.monotonic()
                continue
            component = self.components[name] = Component(spec)
            if component.adopt(previous.get(name, {})):
                log(f"took over {name}, pid {component.pid}")
            else:
                component.due = time.monotonic()
        self.told = digest(read)
        self._write_state()

    def _renew(self, component: Component, spec: dict[str, Any]) -> None:
        """Another description: the process is started again from it, with new sockets where those differ."""
        log(f"{component.name}: changed")
        kept = component.sockets if component.spec.get("sockets") == spec.get("sockets") else []
        if kept:
            component.sockets = []
        component.stop(float(component.spec.get("stopSeconds", 10)))
        component.spec, component.sockets = spec, kept
        component.failures, component.due = 0, time.monotonic()

    def _start_due(self) -> None:
        now = time.monotonic()
        for component in self.components.values():
            if component.due is None or component.due > now:
                continue
            path = os.path.join(self.log_dir, f"{component.name}.log")
            with contextlib.suppress(FileNotFoundError):
                if os.path.getsize(path) > LOG_LIMIT:
                    os.replace(path, f"{path}.1")
            try:
                component.start(path, self._write_state)
                log(f"started {component.name}, pid {component.pid}")
            except OSError as error:
                component.failures += 1
                delay = min(MAX_DELAY, 0.1 * 2**component.failures)
                component.due = now + delay
                log(f"cannot start {component.name}: {error}; again in {delay:.1f} s")

    def _wait(self, wakeup: int) -> None:
        poller = select.poll()
        poller.register(wakeup, select.POLLIN)
        by_descriptor = {c.pidfd: c for c in self.components.values() if c.pid}
        for descriptor in by_descriptor:
            poller.register(descriptor, select.POLLIN)
        due = [c.due for c in self.components.values() if c.due is not None]
        timeout = None if not due else max(0.0, (min(due) - time.monotonic()) * 1000)
        for descriptor, _ in poller.poll(timeout):
            if descriptor == wakeup:
                with contextlib.suppress(BlockingIOError):
                    os.read(wakeup, 4096)
                continue
            component = by_descriptor[descriptor]
            pid = component.pid
            delay = component.ended()
            component.due = time.monotonic() + delay
            log(f"{component.name}, pid {pid}, ended; starting it again in {delay:.1f} s")
            self._write_state()

    def _write_state(self) -> None:
        """For the next supervisor and for ``kubeshim status``."""
        state = {
            "supervisor": {"pid": os.getpid(), "startTime": start_time(os.getpid())},
            "told": self.told,
            "components": {
                name: {"pid": c.pid, "startTime": c.started_ticks, "restarts": c.restarts, "spec": digest(c.spec)}
                for name, c in self.components.items()
                if c.pid
            },
        }
        path = os.path.join(self.run_dir, "state.json")
        with open(f"{path}.new", "w") as file:
            json.dump(state, file)
        os.replace(f"{path}.new", path)

    def _read(self, name: str, default: dict[str, Any]) -> dict[str, Any]:
        try:
            with open(os.path.join(self.run_dir, name)) as file:
                found: dict[str, Any] = json.load(file)
                return found
        except FileNotFoundError:
            return default


def inherited_sockets() -> dict[str, list[socket.socket]]:
    """In a component: the sockets handed down, by name. Empty where nothing was."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        return {}
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")
    found: dict[str, list[socket.socket]] = {}
    for index in range(int(os.environ.get("LISTEN_FDS", "0"))):
        sock = socket.socket(fileno=FIRST_FD + index)
        sock.set_inheritable(False)
        found.setdefault(names[index] if index < len(names) else "", []).append(sock)
    for variable in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        os.environ.pop(variable, None)
    return found


def log(text: str) -> None:
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    print(f"{stamp}Z supervisor: {text}", flush=True)


def main(run_dir: str, log_dir: str, gate: str = "") -> int:
    """Runs until SIGTERM. Begins when ``gate``, a descriptor, is closed: when whoever started us has noted that."""
    if gate:
        os.read(int(gate), 1)
        os.close(int(gate))
    try:
        Supervisor(run_dir, log_dir).run()
    except OSError as error:
        if error.errno == errno.EPERM:
            log("needs root")
        raise
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
