"""What differs between engines: one pure function of ``docker info`` and ``docker version``.

Asked API version: the oldest we know (1.41, Docker 20.10) wherever the engine still speaks it, so that Docker 20.10
to 28 answer alike; Docker 29 dropped all below 1.44, so it is asked in that. Engines that cannot carry a node are
refused by name.
"""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from kubeshim.node.container_runtime import runtime

_OLDEST_API = (1, 41)
_OLDEST_ENGINE = (20, 10)
_NEWEST_ENGINE = 29

CAPABILITIES = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
    "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
    "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
    "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
    "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
    "CHECKPOINT_RESTORE",
)  # fmt: skip
"""By bit number, as ``capability.h`` has them."""
_NEW_CAPABILITIES = ("PERFMON", "BPF", "CHECKPOINT_RESTORE")
"""Unknown to engines before 23."""


class Unsupported(runtime.RuntimeFailure):
    """An engine that cannot be used; the message says why and what to do."""


@dataclasses.dataclass(frozen=True, slots=True)
class Machine:
    """What the agent's own process may do, as ``/proc/self`` tells: what the engine may do on the same machine."""

    bounding: int
    """``CapBnd`` as a bit set."""
    oom_score_adj: int
    architecture: str


@dataclasses.dataclass(frozen=True, slots=True)
class Dialect:
    """How to speak to one engine."""

    api_version: str
    engine_version: str
    cgroup_version: int
    cgroup_driver: str
    """``cgroupfs`` or ``systemd``."""
    root_dir: str
    image_store: str
    """``graph`` or ``containerd``."""
    firewall: str
    """``iptables`` or ``nftables``: what the engine programs the host's own firewall with."""
    trusted_interfaces: bool
    """Whether networks take ``com.docker.network.bridge.trusted_host_interfaces`` (28.3 and later)."""
    live_restore: bool
    seccomp: bool
    apparmor: bool
    capabilities: tuple[str, ...]
    """What can be granted at all, without ``CAP_``."""
    full_privileges: bool
    """Whether the engine's own ``Privileged`` works; else privileged containers get ``capabilities`` by name."""
    oom_score_floor: int
    """No container can have a lower ``oom_score_adj``."""


def of(info: Mapping[str, Any], version: Mapping[str, Any], machine: Machine) -> Dialect:
    """Raises ``Unsupported``."""
    _refuse(info, machine)
    engine = str(version.get("Version") or info.get("ServerVersion") or "")
    number = _numbers(engine)
    if number[:2] < _OLDEST_ENGINE or number[0] > _NEWEST_ENGINE:
        raise Unsupported(f"Docker {engine} is not supported: kubeshim needs Docker 20.10 to {_NEWEST_ENGINE}")
    capabilities = tuple(
        name
        for bit, name in enumerate(CAPABILITIES)
        if machine.bounding >> bit & 1 and (number[0] >= 23 or name not in _NEW_CAPABILITIES)
    )
    unlimited = "SYS_RESOURCE" in capabilities
    security = {str(option).split(",")[0].removeprefix("name=") for option in info.get("SecurityOptions") or ()}
    return Dialect(
        api_version=_api_version(version),
        engine_version=engine,
        cgroup_version=int(info.get("CgroupVersion") or 1),
        cgroup_driver=str(info.get("CgroupDriver") or "cgroupfs"),
        root_dir=str(info.get("DockerRootDir") or "/var/lib/docker"),
        image_store="containerd" if _snapshotter(info) else "graph",
        firewall=_firewall(info),
        trusted_interfaces=number[:2] >= (28, 3),
        live_restore=bool(info.get("LiveRestoreEnabled")),
        seccomp="seccomp" in security,
        apparmor="apparmor" in security,
        capabilities=capabilities,
        full_privileges=unlimited,
        oom_score_floor=-1000 if unlimited else machine.oom_score_adj,
    )


def _refuse(info: Mapping[str, Any], machine: Machine) -> None:
    options = {str(option).split(",")[0].removeprefix("name=") for option in info.get("SecurityOptions") or ()}
    system = str(info.get("OperatingSystem") or "")
    if str(info.get("OSType") or "linux") != "linux":
        raise Unsupported("this Docker engine runs Windows containers: kubeshim needs a Linux engine")
    if "Docker Desktop" in system:
        raise Unsupported(
            "Docker Desktop keeps its containers in a virtual machine whose network the nodes cannot use: "
            "install the Docker engine of your Linux distribution"
        )
    if "rootless" in options:
        raise Unsupported("rootless Docker cannot give nodes their networks: start a rootful Docker engine")
    if "userns" in options:
        raise Unsupported(
            "this Docker engine remaps users (userns-remap), which pods that share namespaces cannot bear: "
            'remove "userns-remap" from daemon.json'
        )
    if machine.architecture not in ("x86_64", "amd64"):
        raise Unsupported(f"no pause program for {machine.architecture}: kubeshim runs on x86-64")


def _numbers(text: str) -> tuple[int, int, int]:
    parts: list[int] = []
    for part in re.split("[+-]", text, maxsplit=1)[0].split(".")[:3]:
        digits = "".join(c for c in part if c.isdigit())
        parts.append(int(digits) if digits else 0)
    parts += [0] * (3 - len(parts))
    return parts[0], parts[1], parts[2]


def _api_version(version: Mapping[str, Any]) -> str:
    highest = _numbers(str(version.get("ApiVersion") or "1.41"))[:2]
    lowest = _numbers(str(version.get("MinAPIVersion") or "1.12"))[:2]
    if highest < _OLDEST_API:
        raise Unsupported(f"the engine speaks Docker API {highest[0]}.{highest[1]} at most: 1.41 is needed")
    chosen = max(_OLDEST_API, lowest)
    return f"{chosen[0]}.{chosen[1]}"


def _snapshotter(info: Mapping[str, Any]) -> bool:
    status = info.get("DriverStatus") or ()
    return any(len(row) == 2 and row[0] == "driver-type" and "containerd.snapshotter" in row[1] for row in status)


def _firewall(info: Mapping[str, Any]) -> str:
    backend = info.get("FirewallBackend") or {}
    return "nftables" if str(backend.get("Driver") or "").startswith("nftables") else "iptables"
