"""The Node objects and Leases of simulated nodes, and keeping both fresh.

A node that somebody deletes stays away until the process starts anew. Leases are renewed every ``RENEW`` seconds, well
within the time after which silence counts as loss; statuses as seldom as a kubelet whose status does not change.
"""

import concurrent.futures
import contextlib
import ipaddress
import logging
import threading
import time
from collections.abc import Mapping, Sequence

from kubeshim import clock
from kubeshim.client import kinds, rest
from kubeshim.machinery import errors, objects
from kubeshim.machinery.objects import Object
from kubeshim.node.kubelet import node_status

_log = logging.getLogger(__name__)

LABEL = "kubeshim.example/simulated"
TAINT = {"key": "kwok.x-k8s.io/node", "value": "fake", "effect": "NoSchedule"}
LEASES = "kube-node-lease"
RENEW = 20.0
REPORT = 300.0
_LEASE_SECONDS = 40
_PREFIX = 26
_RESERVED = 3
"""Addresses of a range that no pod gets: its first two and its last."""
_AT_ONCE = 8


def node(name: str, cidr: str, host_ip: str, port: int, now: str) -> Object:
    pods = ipaddress.ip_network(cidr).num_addresses - _RESERVED
    capacity = {"cpu": "32", "memory": "256Gi", "ephemeral-storage": "1Ti", "pods": str(min(110, pods))}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "type": "kwok",
                LABEL: "true",
            },
            "annotations": {"kwok.x-k8s.io/node": "fake", "node.alpha.kubernetes.io/ttl": "0"},
        },
        "spec": {"podCIDR": cidr, "podCIDRs": [cidr], "taints": [TAINT]},
        "status": {
            "capacity": capacity,
            "allocatable": capacity,
            "conditions": conditions(now, now),
            # no InternalIP: the API server finds who answers for the node's kubelet, and nobody routes to it
            "addresses": [{"type": "ExternalIP", "address": host_ip}, {"type": "Hostname", "address": name}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
            "nodeInfo": {
                "architecture": "amd64",
                "bootID": "",
                "containerRuntimeVersion": "fake://1.0.0",
                "kernelVersion": "",
                "kubeProxyVersion": "",
                "kubeletVersion": node_status.VERSION,
                "machineID": "",
                "operatingSystem": "linux",
                "osImage": "simulated",
                "systemUUID": "",
            },
        },
    }


def conditions(now: str, since: str) -> list[Object]:
    """All is well."""
    found = [
        ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    ]
    return [
        {
            "type": kind,
            "status": status,
            "reason": reason,
            "message": message,
            "lastHeartbeatTime": now,
            "lastTransitionTime": since,
        }
        for kind, status, reason, message in found
    ]


def ranges(names: Sequence[str], present: Mapping[str, str], pods: str) -> dict[str, str]:
    """``{name: range}`` for those that have none: out of the upper half of the cluster's, away from what others have.

    Real nodes get theirs from below. Raises ``ValueError`` where there is no room for all.
    """
    four = next(part for part in pods.split(",") if ":" not in part)
    half = list(ipaddress.IPv4Network(four).subnets(prefixlen_diff=1))[1]
    prefix = max(_PREFIX, half.prefixlen + max(0, len(names) - 1).bit_length())
    taken = [ipaddress.ip_network(cidr) for cidr in present.values()]
    busy = [(int(each.network_address), int(each.broadcast_address)) for each in taken if each.version == 4]
    free = (
        subnet
        for subnet in (half.subnets(new_prefix=prefix) if prefix <= 29 else ())
        if not any(
            first <= int(subnet.broadcast_address) and int(subnet.network_address) <= last for first, last in busy
        )
    )
    wanted = [name for name in names if name not in present]
    found = dict(zip(wanted, map(str, free), strict=False))
    if len(found) < len(wanted):
        raise ValueError(f"the upper half of {pods} has no room for {len(names)} simulated nodes")
    return found


class Nodes:
    """``names`` shall exist; other simulated nodes are of an earlier wish and go."""

    def __init__(self, client: rest.Client, names: Sequence[str], host_ip: str, port: int, pods: str) -> None:
        self._client, self._names, self._host_ip, self._port, self._pods = client, names, host_ip, port, pods
        self._ranges: dict[str, str] = {}
        self._known = False
        self._leases: dict[str, Object] = {}
        self._reported: dict[str, float] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="simulated-nodes", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()

    def range_of(self, name: str) -> str | None:
        """The node's range; empty where it is not one of ours, None while nothing is known yet."""
        if name in self._ranges:
            return self._ranges[name]
        return "" if self._known or name not in self._names else None

    def owns(self, name: str) -> bool:
        return name in self._ranges

    def _run(self) -> None:
        delay = 0.2
        while not self._stopping.is_set():
            try:
                self._register()
                break
            except (errors.APIStatusError, OSError) as error:
                _log.info("registering simulated nodes, will be tried again: %s", error)
                self._stopping.wait(delay)
                delay = min(delay * 2, 10.0)
        while not self._stopping.is_set():
            self._beat()

    def _register(self) -> None:
        every = list(self._client.pages(kinds.NODES))
        present = {
            objects.name(one): cidr for one in every if (cidr := objects.dig(one, "spec", "podCIDR", default=""))
        }
        ours = {objects.name(one) for one in every if objects.labels(one).get(LABEL) == "true"}
        for name in ours - set(self._names):
            with contextlib.suppress(errors.NotFound):
                self._client.delete(kinds.NODES, name)
        given = ranges(self._names, present, self._pods)
        with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as pool:
            made = pool.map(lambda name: self._one(name, given.get(name) or present[name], name in ours), self._names)
            for name, cidr in made:
                self._ranges[name] = cidr
        self._known = True
        _log.info("%d simulated nodes are there", len(self._ranges))

    def _one(self, name: str, cidr: str, is_there: bool) -> tuple[str, str]:
        if is_there:
            self._report(name)
        else:
            now = clock.rfc3339(clock.SYSTEM.now())
            self._client.create(kinds.NODES, node(name, cidr, self._host_ip, self._port, now))
        self._renew(name)
        self._reported[name] = time.monotonic()
        return name, cidr

    def _beat(self) -> None:
        """One round over all nodes, evenly spread."""
        began, names = time.monotonic(), list(self._ranges)
        for number, name in enumerate(names):
            if self._stopping.wait(max(0.0, began + RENEW * number / len(names) - time.monotonic())):
                return
            try:
                self._renew(name)
                if time.monotonic() - self._reported[name] > REPORT:
                    self._report(name)
                    self._reported[name] = time.monotonic()
            except errors.NotFound:
                self._forget(name)
            except (errors.APIStatusError, OSError) as error:
                self._leases.pop(name, None)
                _log.info("heartbeat of %s: %s", name, error)
        self._stopping.wait(max(0.1, began + RENEW - time.monotonic()))

    def _forget(self, name: str) -> None:
        """Its Node was deleted, or its Lease with it."""
        try:
            self._client.get(kinds.NODES, name)
            self._leases.pop(name, None)
        except errors.NotFound:
            self._ranges.pop(name, None)
            self._leases.pop(name, None)
        except (errors.APIStatusError, OSError) as error:
            _log.info("heartbeat of %s: %s", name, error)

    def _report(self, name: str) -> None:
        now = clock.rfc3339(clock.SYSTEM.now())
        found = self._client.get(kinds.NODES, name)
        ready = objects.condition(found, "Ready") or {}
        since = ready.get("lastTransitionTime", now) if ready.get("status") == "True" else now
        self._client.patch(
            kinds.NODES,
            name,
            {"status": {"conditions": conditions(now, since)}},
            kind="strategic",
            subresource="status",
        )

    def _renew(self, name: str) -> None:
        lease = self._leases.pop(name, None)
        now = clock.rfc3339_micro(clock.SYSTEM.now())
        spec = {"holderIdentity": name, "leaseDurationSeconds": _LEASE_SECONDS, "renewTime": now}
        if lease is None:
            with contextlib.suppress(errors.NotFound):
                lease = self._client.get(kinds.LEASES, name, LEASES)
        if lease is not None:
            self._leases[name] = slim(self._client.update(kinds.LEASES, {**lease, "spec": {**lease["spec"], **spec}}))
            return
        owner = self._client.get(kinds.NODES, name)
        metadata: Object = {"name": name, "namespace": LEASES, "ownerReferences": [_owner(owner)]}
        body: Object = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}
        self._leases[name] = slim(self._client.create(kinds.LEASES, body))


def _owner(found: Object) -> Object:
    return {"apiVersion": "v1", "kind": "Node", "name": objects.name(found), "uid": objects.uid(found)}


def slim(lease: Object) -> Object:
    """Without what the next update does not need: there are many of them."""
    metadata = {key: value for key, value in lease["metadata"].items() if key != "managedFields"}
    return {**lease, "metadata": metadata}


def names(cluster: str, count: int) -> list[str]:
    return [f"{cluster}-simulated-{number}" for number in range(1, count + 1)]


class Nowhere:
    """Where simulated nodes keep volumes: only their paths exist."""

    def make(self, name: str) -> str:
        return f"/var/lib/simulated/{name}"

    def remove(self, path: str) -> None:
        return

    def left_behind(self) -> list[str]:
        return []

    def remove_empty(self, name: str) -> None:
        return
