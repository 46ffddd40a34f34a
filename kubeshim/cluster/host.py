"""The machine under a cluster: is it fit, is the engine there, what does it route, who is still connected."""

import ipaddress
import json
import os
import pathlib
import platform
import random
import select
import shutil
import socket
import subprocess
import time
from collections.abc import Collection, Iterable

from kubeshim import supervisor
from kubeshim.cluster import layout, ranges
from kubeshim.node.container_runtime import engine_http, holders


class Unfit(Exception):
    """This machine cannot run a cluster; the message says what to do."""


def check() -> None:
    """Linux and root, or ``Unfit``."""
    if platform.system() != "Linux":
        raise Unfit(f"kubeshim needs Linux; this is {platform.system()}. Use a Linux virtual machine.")
    if os.geteuid() != 0:
        raise Unfit("kubeshim up needs root, for network namespaces and mounts: run it with sudo.")


def routed_networks() -> list[ranges.AnyNetwork]:
    found: list[ranges.AnyNetwork] = list(ranges.routed(pathlib.Path("/proc/net/route").read_text()))
    second = pathlib.Path("/proc/net/ipv6_route")
    return found + list(ranges.routed6(second.read_text())) if second.exists() else found


def has_ipv6() -> bool:
    """Whether the kernel speaks it, and has not been told to leave it."""
    switch = pathlib.Path("/proc/sys/net/ipv6/conf/default/disable_ipv6")
    return pathlib.Path("/proc/net/if_inet6").exists() and switch.exists() and switch.read_text().strip() == "0"


def can_bind(address: str, port: int, protocol: str = "tcp") -> bool:
    """Whether the port of that address of this machine is free."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM) as sock:
        if protocol == "tcp":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((address, port))
        except OSError:
            return False
        return True


def can_listen(port: int) -> bool:
    """Whether nobody listens on the TCP port, on any of this machine's addresses."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("0.0.0.0", port))
        except OSError:
            return False
        return True


def free_port(preferred: int = 6443, taken: Collection[int] = ()) -> int:
    """A TCP port that nobody listens on and that is not ``taken``, ``preferred`` if possible.

    Others come from below Services' node ports and the ports that the kernel gives to connections: one of those could
    be a connection's own when the server is started, now or again after the machine was.
    """
    port = preferred
    while port in taken or not can_listen(port):
        port = random.randrange(20_000, 30_000)
    return port


# -- the engine ------------------------------------------------------------------------------------------------


def _record() -> pathlib.Path:
    return layout.ROOT / ".dockerd.json"


def engine_socket() -> str:
    """Where the engine for a new cluster listens: what ``DOCKER_HOST`` names, as for Docker's own programs."""
    named = os.environ.get("DOCKER_HOST", "")
    if not named:
        return engine_http.SOCKET
    if not named.startswith("unix:///"):
        raise Unfit(f"DOCKER_HOST={named}: nodes need an engine on this machine; name its socket as unix:///PATH")
    return named.removeprefix("unix://")


def ensure_engine(path: str = "", patience: float = 120.0, *, record: bool = True) -> engine_http.Engine:
    """A connection to the engine at that socket, once it answers; the machine's own is started where it does not run.

    With ``record`` the last cluster's ``down`` stops that engine again.
    """
    path = path or engine_socket()
    found = engine_http.Engine(path)
    if holders.answers(found):
        return found
    if path != engine_http.SOCKET:
        raise Unfit(f"no Docker engine answers at {path}: start it; kubeshim itself starts the machine's own only")
    if shutil.which("dockerd") is None:
        raise Unfit("the Docker engine is not installed: apt-get install docker.io (or run make up, which does it)")
    if pathlib.Path("/run/systemd/system").is_dir():
        subprocess.run(["systemctl", "start", "docker"], check=True)
    else:
        _start_engine(record=record)
    deadline = time.monotonic() + patience
    while not holders.answers(found):
        if time.monotonic() > deadline:
            raise Unfit("dockerd was started but does not answer; see /var/log/dockerd.log")
        time.sleep(0.05)
    return found


_PID_FILES = {
    "dockerd": pathlib.Path("/var/run/docker.pid"),
    "containerd": pathlib.Path("/var/run/docker/containerd/containerd.pid"),
}


def _start_engine(*, record: bool) -> None:
    for program, path in _PID_FILES.items():
        forget_dead(path, program)
    with open("/var/log/dockerd.log", "ab") as log:
        process = subprocess.Popen(
            ["dockerd"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
        )
    if record:
        layout.ROOT.mkdir(parents=True, exist_ok=True)
        _record().write_text(json.dumps({"pid": process.pid, "startTime": supervisor.start_time(process.pid)}))


def forget_dead(path: pathlib.Path, program: str) -> None:
    """Removes a pid file whose process is gone, a zombie, or another program: the engine would refuse to start."""
    try:
        pid = int(path.read_text())
    except (FileNotFoundError, ValueError):
        return
    try:
        name = pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    except FileNotFoundError:
        name = ""
    if name != program or supervisor.start_time(pid) == 0:
        path.unlink(missing_ok=True)


def stop_engine() -> bool:
    """Stops the dockerd that ``ensure_engine`` started, when no cluster is left; says whether it did."""
    try:
        entry = json.loads(_record().read_text())
    except FileNotFoundError:
        return False
    running = supervisor.is_running(entry)
    if running:
        descriptor = os.pidfd_open(entry["pid"])
        os.kill(entry["pid"], 15)
        select.select([descriptor], [], [], 30)
        os.close(descriptor)
    _record().unlink()
    return running


# -- connections -----------------------------------------------------------------------------------------------


def connected(networks: Iterable[ranges.AnyNetwork], table: str | None = None) -> list[str]:
    """Established TCP connections from this host into ``networks``, as ``LOCAL → REMOTE``.

    ``table`` is text as of ``/proc/net/tcp`` and ``/proc/net/tcp6``, for tests.
    """
    wanted = list(networks)
    if table is None:
        table = "".join(path.read_text() for path in map(pathlib.Path, _TABLES) if path.exists())
    found = []
    for line in table.splitlines():
        fields = line.split()
        if len(fields) < 4 or fields[3] != "01":
            continue
        local, remote = _endpoint(fields[1]), _endpoint(fields[2])
        if any(remote[0] in network for network in wanted):
            found.append(f"{_text(local)} → {_text(remote)}")
    return found


_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_Endpoint = tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]


def _endpoint(text: str) -> _Endpoint:
    """In words of 32 bits, each in the machine's order."""
    address, _, port = text.partition(":")
    words = [int(address[at : at + 8], 16).to_bytes(4, "little") for at in range(0, len(address), 8)]
    return ipaddress.ip_address(b"".join(words)), int(port, 16)


def _text(endpoint: _Endpoint) -> str:
    address, port = endpoint
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
