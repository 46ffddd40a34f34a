"""From our specs to the bodies of the engine's create and update calls. Pure.

A container joins its sandbox's network and IPC namespaces by name (``container:ID``); in that mode the engine
refuses host name, DNS and port settings, and takes host name, ``/etc/hosts`` and ``/etc/resolv.conf`` from the
sandbox unless they are mounted over. Privileged without CAP_SYS_RESOURCE in the engine is composed of its parts.
"""

import os
import stat
from collections.abc import Mapping, Sequence
from typing import Any

from kubeshim.node.container_runtime import cgroups, dialect, pause, runtime

KIND = "io.kubeshim.kind"
SANDBOX = "io.kubeshim.sandbox"
NETWORK = "io.kubeshim.network"

_LOGS = {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "5"}}
"""The kubelet's own bounds of a container's log."""


def sandbox(spec: runtime.SandboxSpec, speech: dialect.Dialect, node_container: str) -> dict[str, Any]:
    """Body of ``POST /containers/create`` for a sandbox."""
    own = spec.network == "own"
    joins_node = not own and bool(node_container)
    host: dict[str, Any] = {
        "NetworkMode": f"container:{node_container}" if joins_node else "host",
        "CapDrop": ["ALL"],
        "CapAdd": ["SYS_ADMIN"] if own else [],
        "IpcMode": "host" if spec.host_ipc else "shareable",
        "PidMode": "host" if spec.host_pid else "",
        "LogConfig": {"Type": "none", "Config": {}},
        "CgroupParent": cgroups.parent_for_engine(spec.cgroup_parent, speech.cgroup_driver),
        "OomScoreAdj": max(-998, speech.oom_score_floor),
        "ReadonlyRootfs": True,
        "Sysctls": {name: value for name, value in spec.sysctls.items() if not name.startswith("net.")},
    }
    if spec.shm_size:
        host["ShmSize"] = spec.shm_size
    if spec.runtime_handler:
        host["Runtime"] = spec.runtime_handler
    body: dict[str, Any] = {
        "Image": pause.IMAGE,
        "Labels": {**spec.labels, KIND: "sandbox", NETWORK: spec.network},
        "HostConfig": host,
    }
    if spec.hostname and not joins_node:
        body["Hostname"] = spec.hostname
    return body


def container(
    sandbox_id: str, cgroup_parent: str, spec: runtime.ContainerSpec, speech: dialect.Dialect, handler: str = ""
) -> dict[str, Any]:
    """Body of ``POST /containers/create`` for a container; ``cgroup_parent`` is the sandbox's, as the engine has it."""
    host: dict[str, Any] = {
        "NetworkMode": f"container:{sandbox_id}",
        "IpcMode": f"container:{sandbox_id}",
        "PidMode": _pid_mode(spec.share_pid_with, sandbox_id),
        "LogConfig": _LOGS,
        "CgroupParent": cgroup_parent,
        "Mounts": [_mount(mount) for mount in spec.mounts],
        "Devices": [_device(mount) for mount in spec.devices],
        "OomScoreAdj": max(spec.resources.oom_score_adj, speech.oom_score_floor),
        **limits(spec.resources),
        **_security(spec.security, speech),
    }
    if spec.security.privileged and not speech.full_privileges:
        host["Devices"] += [_device(runtime.Mount(path, path)) for path in host_devices()]
    if speech.cgroup_version == 2:
        host["CgroupnsMode"] = "host" if spec.security.privileged else "private"
    if handler:
        host["Runtime"] = handler
    body: dict[str, Any] = {
        "Image": spec.image,
        "Labels": {**spec.labels, KIND: "container", SANDBOX: sandbox_id},
        "Env": [f"{name}={value}" for name, value in spec.env],
        "OpenStdin": spec.stdin,
        "StdinOnce": spec.stdin_once,
        "Tty": spec.tty,
        "User": spec.security.user,
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": host,
    }
    if spec.command is not None:
        body["Entrypoint"] = list(spec.command)
    if spec.args is not None:
        body["Cmd"] = list(spec.args)
    if spec.working_dir:
        body["WorkingDir"] = spec.working_dir
    if spec.stop_signal:
        body["StopSignal"] = spec.stop_signal
    return body


def limits(resources: runtime.Resources) -> dict[str, Any]:
    """The fields of ``HostConfig`` and of ``POST /containers/ID/update``."""
    found: dict[str, Any] = {"CpuShares": resources.cpu_shares}
    if resources.cpu_quota:
        found |= {"CpuQuota": resources.cpu_quota, "CpuPeriod": resources.cpu_period}
    if resources.memory:
        found |= {"Memory": resources.memory, "MemorySwap": resources.memory}
    if resources.pids:
        found["PidsLimit"] = resources.pids
    return found


def _pid_mode(share: str, sandbox_id: str) -> str:
    if share in ("", "host"):
        return share
    return f"container:{sandbox_id if share == 'sandbox' else share}"


def _mount(mount: runtime.Mount) -> dict[str, Any]:
    """A private mount says nothing of propagation: then Docker chooses ``rprivate``, or ``rslave`` for what holds its
    own directory (``/``, which a debugging pod mounts), where it refuses anything else."""
    propagation = "" if mount.propagation == "private" else mount.propagation
    return {
        "Type": "bind",
        "Source": mount.host_path,
        "Target": mount.container_path,
        "ReadOnly": mount.read_only,
        **({"BindOptions": {"Propagation": propagation}} if propagation else {}),
    }


def _device(mount: runtime.Mount) -> dict[str, str]:
    allowed = "r" if mount.read_only else "rwm"
    return {"PathOnHost": mount.host_path, "PathInContainer": mount.container_path, "CgroupPermissions": allowed}


def _security(security: runtime.Security, speech: dialect.Dialect) -> dict[str, Any]:
    options: list[str] = []
    if security.no_new_privileges:
        options.append("no-new-privileges:true")
    if security.seccomp != "runtime/default" or security.privileged:
        profile = "unconfined" if security.privileged else security.seccomp
        if speech.seccomp:
            options.append(f"seccomp={profile}")
    if security.apparmor and speech.apparmor:
        options.append(f"apparmor={security.apparmor}")
    found: dict[str, Any] = {
        "CapAdd": _capabilities(security.add_capabilities, speech),
        "CapDrop": [_plain(name) for name in security.drop_capabilities],
        "SecurityOpt": options,
        "ReadonlyRootfs": security.read_only_root,
        "GroupAdd": [str(group) for group in security.groups],
    }
    if security.unmasked_proc or security.privileged:
        found |= {"MaskedPaths": [], "ReadonlyPaths": []}
    if security.privileged:
        if speech.full_privileges:
            found["Privileged"] = True
        else:
            found |= {"CapAdd": list(speech.capabilities), "CapDrop": [], "DeviceCgroupRules": ["a *:* rwm"]}
    return found


def _capabilities(names: Sequence[str], speech: dialect.Dialect) -> list[str]:
    wanted = [_plain(name) for name in names]
    if "ALL" in wanted and not speech.full_privileges:
        return [*speech.capabilities]
    return wanted


def _plain(name: str) -> str:
    return name.upper().removeprefix("CAP_")


def host_devices(root: str = "/dev") -> list[str]:
    """Device files directly in ``/dev`` that a privileged container is to see; terminals are its own."""
    found: list[str] = []
    for entry in sorted(os.scandir(root), key=lambda entry: entry.name):
        if entry.name in ("console", "ptmx", "tty") or entry.is_symlink() or entry.is_dir():
            continue
        mode = entry.stat(follow_symlinks=False).st_mode
        if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
            found.append(entry.path)
    return found


def filters(labels: Mapping[str, str], **more: Sequence[str]) -> dict[str, list[str]]:
    """The ``filters`` parameter: every label must match."""
    return {"label": [f"{key}={value}" for key, value in labels.items()], **{k: list(v) for k, v in more.items()}}
