"""A pod's sandbox: made, connected, its two files written; found again after a restart; taken away."""

import logging
import os
import threading
from collections.abc import Sequence

from kubeshim.client import kinds
from kubeshim.machinery import errors, objects, quantity
from kubeshim.machinery.objects import Object
from kubeshim.node.container_runtime import runtime
from kubeshim.node.kubelet import (
    files,
    labels,
    network_addresses,
    network_rules,
    observation,
    parts,
    pod_spec,
    quality,
    seams,
    security,
)

_log = logging.getLogger(__name__)

_weighing = threading.Lock()
"""Who writes a class's weight last has counted all that were there when the others wrote theirs."""


class SandboxProblem(Exception):
    """No sandbox; the text of the FailedCreatePodSandBox event."""


def addresses(shared: parts.Parts, pod: Object, found: observation.Observation) -> list[str]:
    """The pod's addresses, as far as it has a running sandbox."""
    if not found.sandbox_ready or found.sandbox is None:
        return []
    if pod_spec.host_network(pod):
        return shared.config.node_ips
    if shared.addresses is None:
        return []
    return shared.addresses.take(objects.uid(pod))


def create(shared: parts.Parts, pod: Object, attempt: int) -> runtime.Sandbox:
    """Makes and connects a sandbox. Raises ``SandboxProblem``, ``runtime.Unavailable``."""
    try:
        host = pod_spec.host_network(pod)
        taken = shared.config.node_ips if host else _take(shared, pod)
        write_files(shared, pod, taken)
        with shared.starts:
            sandbox = shared.engine.run_sandbox(_spec(shared, pod, attempt))
    except runtime.Unavailable:
        raise
    except (runtime.RuntimeFailure, OSError, network_addresses.Exhausted) as problem:
        raise SandboxProblem(f"Failed to create pod sandbox: {problem}") from problem
    try:
        class_weight(shared, pod)
    except runtime.RuntimeFailure as problem:
        shared.engine.remove_sandbox(sandbox.id)
        raise SandboxProblem(f"Failed to create pod sandbox: {problem}") from problem
    connect(shared, pod, sandbox)
    return sandbox


def class_weight(shared: parts.Parts, pod: Object) -> None:
    """What the pod's class of service weighs against the others. Raises ``runtime.RuntimeFailure``.

    For every sandbox anew: the cgroup of a class goes with the last pod in it, and stays while this one is there.
    """
    kind = quality.qos_class(pod)
    if kind != quality.GUARANTEED:
        burstable = kind == quality.BURSTABLE
        parent = quality.class_parent(shared.cgroup_root, kind)
        with _weighing:
            weight = quality.class_shares(shared.pods()) if burstable else quality.shares(0)
            shared.engine.limit_cgroup(parent, runtime.Resources(cpu_shares=weight))


def _take(shared: parts.Parts, pod: Object) -> list[str]:
    if shared.addresses is None:
        raise SandboxProblem("Failed to create pod sandbox: network is not ready: the node has no podCIDR yet")
    return shared.addresses.take(objects.uid(pod))


def connect(shared: parts.Parts, pod: Object, sandbox: runtime.Sandbox) -> None:
    """Idempotent: gives the sandbox its link, addresses and published ports, or else removes it.

    Raises ``SandboxProblem``.
    """
    if pod_spec.host_network(pod):
        return
    try:
        taken = _take(shared, pod)
        ports = host_ports(pod, taken)
        shared.network.attach(sandbox.pid, taken[0], objects.uid(pod), ports, others=taken[1:])
    except (OSError, network_addresses.Exhausted) as problem:
        shared.engine.remove_sandbox(sandbox.id)
        raise SandboxProblem(
            f'Failed to create pod sandbox: failed to setup network for sandbox "{sandbox.id}": {problem}'
        ) from problem


_ANY = ("0.0.0.0", "::")


def host_ports(pod: Object, taken: Sequence[str]) -> list[seams.HostPort]:
    """In each family the pod has an address of, unless its ``hostIP`` is of the other one."""
    found: list[seams.HostPort] = []
    for container in pod_spec.every(pod):
        for port in container.get("ports") or ():
            for address in taken if port.get("hostPort") else ():
                host = port.get("hostIP") or ""
                if host and network_rules.version_of(host) != network_rules.version_of(address):
                    continue
                protocol = (port.get("protocol") or "TCP").lower()
                number, inner = int(port["hostPort"]), int(port["containerPort"])
                host = "" if host in _ANY else host
                found.append(seams.HostPort(objects.uid(pod), protocol, host, number, address, inner))
    return found


def _spec(shared: parts.Parts, pod: Object, attempt: int) -> runtime.SandboxSpec:
    spec = pod_spec.spec(pod)
    if spec.get("hostUsers") is False:
        raise SandboxProblem("Failed to create pod sandbox: runtime does not support user namespaces")
    name = shared.config.node_name if pod_spec.host_network(pod) else pod_spec.hostname(pod)
    if spec.get("setHostnameAsFQDN"):
        domain = pod_spec.domain(pod, shared.config.cluster_domain)
        name = f"{name}.{domain}" if domain else name
        if len(name) > 64:
            raise SandboxProblem(
                f"Failed to create pod sandbox: failed to construct FQDN from pod hostname and cluster domain, FQDN "
                f"{name} is too long (64 characters is the max, {len(name)} characters requested)"
            )
    return runtime.SandboxSpec(
        name=labels.sandbox_name(pod, attempt),
        hostname=name,
        labels={**shared.own_labels(), **labels.of_pod(pod), labels.RESTARTS: str(attempt)},
        network="node" if pod_spec.host_network(pod) else "own",
        sysctls=security.sysctls(pod),
        cgroup_parent=quality.cgroup_parent(shared.cgroup_root, pod),
        resources=quality.pod_resources(pod, shared.config.pod_pids_limit),
        shm_size=_shared_memory(pod),
        host_ipc=bool(spec.get("hostIPC")),
        host_pid=bool(spec.get("hostPID")),
        runtime_handler=_handler(shared, pod),
    )


def _handler(shared: parts.Parts, pod: Object) -> str:
    """The engine's runtime that the pod's RuntimeClass names; empty for the default one."""
    name = pod_spec.spec(pod).get("runtimeClassName")
    if not name:
        return ""
    prefix = "Failed to create pod sandbox: failed to get sandbox runtime"
    try:
        handler = str(shared.api.get(kinds.RUNTIME_CLASSES, name)["handler"])
    except errors.NotFound as error:
        raise SandboxProblem(f'Failed to create pod sandbox: RuntimeClass "{name}" not found') from error
    except (errors.APIStatusError, OSError) as error:
        raise SandboxProblem(f"{prefix}: {error}") from error
    details = shared.engine.info().details
    if handler not in (details.get("Runtimes") or {}):
        raise SandboxProblem(f'{prefix}: no runtime for "{handler}" is configured')
    return "" if handler == details.get("DefaultRuntime") else handler


def _shared_memory(pod: Object) -> int:
    """Memory volumes mounted at ``/dev/shm`` size it; else the engine's default."""
    for entry in pod_spec.spec(pod).get("volumes") or ():
        source = entry.get("emptyDir") or {}
        if source.get("medium") == "Memory" and source.get("sizeLimit") and _at_shm(pod, entry["name"]):
            return quantity.parse(str(source["sizeLimit"])).value()
    return 0


def _at_shm(pod: Object, volume: str) -> bool:
    return any(
        mount["name"] == volume and mount["mountPath"].rstrip("/") == "/dev/shm"
        for container in pod_spec.every(pod)
        for mount in container.get("volumeMounts") or ()
    )


def write_files(shared: parts.Parts, pod: Object, taken: Sequence[str]) -> None:
    """``etc-hosts`` and ``resolv.conf`` in the pod's directory; containers have them mounted."""
    directory = shared.pod_directory(objects.uid(pod))
    if pod_spec.host_network(pod):
        with open("/etc/hosts", encoding="utf-8", errors="replace") as file:
            text = files.node_hosts(pod, file.read())
    else:
        text = files.hosts(pod, taken, shared.config.cluster_domain)
    files.write(os.path.join(directory, "etc-hosts"), text)
    found = files.resolver(pod, shared.resolver, shared.config.cluster_dns, shared.config.cluster_domain)
    files.write(os.path.join(directory, "resolv.conf"), found.text())


def remove_old(shared: parts.Parts, found: observation.Observation) -> None:
    """Sandboxes that a newer one has replaced."""
    for sandbox in found.old_sandboxes:
        shared.engine.remove_sandbox(sandbox.id)


def remove_all(shared: parts.Parts, pod_uid: str, found: observation.Observation) -> None:
    """Sandboxes, link and address of a pod that has ended; what is gone already is no error."""
    left = [sandbox for sandbox in [found.sandbox, *found.old_sandboxes] if sandbox is not None]
    if left or shared.addresses is not None:
        shared.network.detach(pod_uid)
    for sandbox in left:
        shared.engine.remove_sandbox(sandbox.id)
    if shared.addresses is not None:
        shared.addresses.release(pod_uid)


def adopt(shared: parts.Parts, sandbox: runtime.Sandbox) -> None:
    """Records the address a sandbox of an earlier process has, before any new one is given out.

    Raises ``OSError`` where it cannot be found out: what it has must not be given to another.
    """
    if sandbox.state is not runtime.State.RUNNING or sandbox.network != "own" or shared.addresses is None:
        return
    found = shared.network.pod_addresses(sandbox.pid)
    uid = sandbox.labels.get(labels.POD_UID, "")
    if found and not shared.addresses.adopt(uid, found):
        _log.warning("sandbox %s has addresses %s, which are not free on this node", sandbox.name, found)
