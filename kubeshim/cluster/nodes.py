"""The nodes of a cluster one by one: switched off and on, cut off, added, removed.

A node's power switch is its holder: with it goes its network namespace, as a machine's does with its power, so its
containers are killed with it and its agent is ended first, which must not fight that. Its cable is the holder's link.
What the API knows of a node that is off or cut off is what upstream's would know: nothing but its silence.
"""

import contextlib
import dataclasses
import os
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from typing import Any

from kubeshim import clock, supervisor
from kubeshim.cluster import api, components, configuration, down, layout, processes
from kubeshim.node.container_runtime import engine_http, holders
from kubeshim.node.kubelet import network_host

ROLE_LABEL = "node-role.kubernetes.io/control-plane"
READY_SECONDS = 60.0
SHUTDOWN_SPARE = 20.0
"""Seconds beyond the groups' own until a graceful shutdown counts as stuck."""


class NodeFailed(Exception):
    """It cannot be done; the message says why."""


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One node for ``kubeshim node list``."""

    name: str
    status: str
    """``Ready``, ``NotReady`` or ``Unknown``, then what is unusual: ``stopped``, ``isolated``, ``unschedulable``."""
    roles: str
    address: str
    pods: str


class Nodes:
    """Of one cluster. Whoever changes anything holds the cluster's lock."""

    def __init__(self, name: str) -> None:
        self.where = layout.Layout.of(name)
        if not self.where.configuration.exists():
            raise NodeFailed(f"no cluster {name!r}; start one with kubeshim up --name {name}")
        self.config = configuration.load(self.where.configuration)
        if self.config.joined is not None:
            raise NodeFailed(f"this machine only joined {name!r}: the nodes are managed where it was started")
        self.engine = engine_http.Engine(self.config.engine)
        holders.agree(self.engine)

    @property
    def admin(self) -> api.API:
        return api.API(self.where.pki / "admin.conf", self.config.port, READY_SECONDS)

    def rows(self) -> list[Row]:
        known: dict[str, dict[str, Any]] = {}
        with contextlib.suppress(api.APIError, OSError):
            known = {node["metadata"]["name"]: node for node in self.admin.call("GET", "/api/v1/nodes")["items"]}
        own = [self._row(node, known.pop(node.name, {})) for node in self.config.nodes]
        return own + [_elsewhere(known[name]) for name in sorted(known)]

    def _row(self, node: configuration.Node, found: dict[str, Any]) -> Row:
        said = [readiness(found) if found else "Unknown"]
        pid = holders.holder_pid(self.engine, node.name)
        if not pid:
            said.append("stopped")
        elif network_host.is_cut_off(pid, node.address):
            said.append("isolated")
        spec = found.get("spec") or {}
        if spec.get("unschedulable"):
            said.append("unschedulable")
        roles = "control-plane" if node.control_plane else "worker"
        return Row(node.name, ",".join(said), roles, node.address, str(spec.get("podCIDR") or ""))

    def stop(self, name: str) -> None:
        """As if its power had gone."""
        power_off(self.engine, self.config, self.where, self._node(name).name)

    def end_pods(self, name: str) -> None:
        """Tells the agent that the power is about to go, and waits until it has ended the pods."""
        from kubeshim.cluster import options
        from kubeshim.node.kubelet import shutdown_manager

        node = self._node(name)
        entry = processes.state(self.where)["components"].get(f"agent-{node.name}")
        if not supervisor.is_running(entry):
            raise NodeFailed(f"the agent of {name} does not run, so nobody can end its pods")
        directory = str(self.where.node(node.name))
        groups = shutdown_manager.groups(options.kubelet(self.config, node_name=name, node_ip="", data_dir=directory))
        if not groups:
            raise NodeFailed("--graceful needs the kubelet's shutdownGracePeriod, or shutdownGracePeriodByPodPriority")
        since = clock.rfc3339(clock.SYSTEM.now())
        os.kill(entry["pid"], signal.SIGPWR)
        deadline = time.monotonic() + sum(group.seconds for group in groups) + SHUTDOWN_SPARE
        while not _is_over(shutdown_manager.state(directory), since):
            if time.monotonic() > deadline:
                raise NodeFailed(f"{name} does not say that its pods have ended; see its agent's log")
            time.sleep(0.1)

    def start(self, name: str) -> None:
        """Returns when it is Ready. One that runs is left as it is."""
        node = self._node(name)
        pid = ensure_holder(self.engine, self.config, node)
        if network_host.is_cut_off(pid, node.address):
            raise NodeFailed(f"{name} runs but is isolated: kubeshim node rejoin {name}")
        wanted = components.on_node(self.config, node, pid, self.where)
        present = processes.wanted(self.where)
        since = ""
        names = {spec["name"] for spec in wanted}
        running = processes.running(self.where)
        if any(spec not in present or not running.get(spec["name"], False) for spec in wanted):
            since = clock.rfc3339(clock.SYSTEM.now())
            others = [spec for spec in present if spec["name"] not in names]
            processes.want(self.where, [*others, *wanted])
        self.wait_ready(name, since)

    def isolate(self, name: str) -> None:
        network_host.cut_off(self._running(name), self._node(name).address)

    def rejoin(self, name: str) -> None:
        network_host.join_again(self._running(name), self._node(name).address)

    def add(self, name: str = "") -> configuration.Node:
        """Returns when it is Ready."""
        node = self._new(name)
        self._issue(node)
        self._save((*self.config.nodes, node))
        self.start(node.name)
        return node

    def simulate(self, more: int) -> int:
        """So many more simulated nodes; returns when all are Ready, and how many they are."""
        from kubeshim.cluster import simulation

        self.config = dataclasses.replace(self.config, simulated_nodes=self.config.simulated_nodes + more)
        configuration.save(self.config, self.where.configuration)
        wanted = components.simulated_nodes(self.config, self.where)
        names = {spec["name"] for spec in wanted}
        others = [spec for spec in processes.wanted(self.where) if spec["name"] not in names]
        processes.want(self.where, [*others, *wanted])
        return simulation.wait(self.admin, self.config.simulated_nodes, READY_SECONDS)

    def remove(self, name: str) -> None:
        """With its pods; whoever wants them elsewhere first drains it.

        Of a node on another machine only what the API knows of it: the rest is that machine's to take away.
        """
        if name not in {node.name for node in self.config.nodes} and self._is_elsewhere(name):
            self._forget_in_api(name)
            return
        node = self._node(name)
        if node.control_plane:
            raise NodeFailed(
                f"{name} has the control plane's role and stays; kubeshim down --name {self.config.name} removes all"
            )
        stop_agent(self.where, name)
        for entry in _containers(self.engine, self.config.name, name):
            holders.remove_container(self.engine, entry["Id"])
        self._forget_in_api(name)
        network_host.remove_routes_through(node.address, str(self.config.ranges.pods))
        if self.config.ranges.second is not None:
            second = self.config.ranges.second_address(node.address)
            network_host.remove_routes_through(second, str(self.config.ranges.second.pods))
        self._save(tuple(other for other in self.config.nodes if other.name != name))
        self._remove_files(name)

    def wait_ready(self, name: str, since: str = "") -> None:
        """Until the node says so, with ``since`` (RFC 3339) in a report not older than that."""
        path = f"/api/v1/nodes?fieldSelector=metadata.name%3D{name}"
        for event in self.admin.watch(path, READY_SECONDS):
            if event["type"] != "DELETED" and is_ready(event["object"], since):
                return
        raise NodeFailed(
            f"{name} is not Ready after {READY_SECONDS:.0f} s; see kubeshim logs --name {self.config.name} agent-{name}"
        )

    # -- parts ---------------------------------------------------------------------------------------------------

    def _node(self, name: str) -> configuration.Node:
        try:
            return self.config.node(name)
        except LookupError as error:
            if self._is_elsewhere(name):
                raise NodeFailed(f"{name} stands on another machine; here it can only be removed") from error
            raise NodeFailed(str(error)) from error

    def _is_elsewhere(self, name: str) -> bool:
        try:
            self.admin.call("GET", f"/api/v1/nodes/{name}")
        except api.APIError as error:
            if error.status != 404:
                raise
            return False
        return True

    def _running(self, name: str) -> int:
        pid = holders.holder_pid(self.engine, self._node(name).name)
        if not pid:
            raise NodeFailed(f"{name} is stopped; start it with kubeshim node start {name}")
        return pid

    def _new(self, name: str) -> configuration.Node:
        names = {node.name for node in self.config.nodes}
        if not name:
            numbers = range(1, len(names) + 2)
            name = next(f"{self.config.name}-node-{n}" for n in numbers if f"{self.config.name}-node-{n}" not in names)
        if name in names:
            raise NodeFailed(f"there is a node {name} already")
        address = self.config.ranges.free_node_address(node.address for node in self.config.nodes)
        return configuration.Node(name, address)

    def _issue(self, node: configuration.Node) -> None:
        from kubeshim import pki

        files = pki.Files(self.where.pki)
        authority = pki.Authority.load(files.ca, files.ca_key)
        server = f"https://127.0.0.1:{self.config.port}"
        pki.create_node(files, authority, pki.Node(node.name, (node.address,)), server, cluster_name=self.config.name)

    def _save(self, nodes: tuple[configuration.Node, ...]) -> None:
        self.config = dataclasses.replace(self.config, nodes=nodes)
        configuration.save(self.config, self.where.configuration)

    def _forget_in_api(self, name: str) -> None:
        """Deletes the Node and its pods: nobody is left who would end them and say so."""
        try:
            self.admin.call("DELETE", f"/api/v1/nodes/{name}")
        except api.APIError as error:
            if error.status != 404:
                raise NodeFailed(f"cannot delete node {name}: {error}") from error
        now = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0}
        for pod in self.admin.call("GET", f"/api/v1/pods?fieldSelector=spec.nodeName%3D{name}")["items"]:
            meta = pod["metadata"]
            with contextlib.suppress(api.APIError):  # gone by itself meanwhile
                self.admin.call("DELETE", f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}", now)

    def _remove_files(self, name: str) -> None:
        from kubeshim import pki
        from kubeshim.node.kubelet import mounts

        directory = self.where.node(name)
        mounts.unmount_all(str(directory))
        shutil.rmtree(directory, ignore_errors=True)
        down.remove_cgroups(f"{self.config.name}/{name}")
        files = pki.Files(self.where.pki)
        for path in (*files.kubelet_serving(name), files.kubeconfig(f"kubelet-{name}")):
            path.unlink(missing_ok=True)


def _is_over(state: Mapping[str, str], since: str) -> bool:
    return state.get("startTime", "") >= since and "endTime" in state


def _ready(node: dict[str, Any]) -> dict[str, Any]:
    """The condition, or one that says Unknown."""
    conditions = (node.get("status") or {}).get("conditions") or ()
    found = {"type": "Ready", "status": "Unknown", "lastHeartbeatTime": ""}
    return next((dict(entry) for entry in conditions if entry["type"] == "Ready"), found)


def readiness(node: dict[str, Any]) -> str:
    return "Ready" if _ready(node)["status"] == "True" else "NotReady"


def _elsewhere(node: dict[str, Any]) -> Row:
    """One that joined from another machine."""
    spec, addresses = node.get("spec") or {}, (node.get("status") or {}).get("addresses") or ()
    said = [readiness(node), *(["unschedulable"] if spec.get("unschedulable") else [])]
    address = next((str(entry["address"]) for entry in addresses if entry["type"] == "InternalIP"), "")
    return Row(node["metadata"]["name"], ",".join(said), "worker", address, str(spec.get("podCIDR") or ""))


def is_ready(node: dict[str, Any], since: str = "") -> bool:
    """Whether it said so, at ``since`` (RFC 3339) or later."""
    condition = _ready(node)
    return condition["status"] == "True" and str(condition["lastHeartbeatTime"]) >= since


def label_control_plane(admin: api.API, node: dict[str, Any]) -> None:
    """Puts the role's label on; a kubelet may not do that itself."""
    if ROLE_LABEL not in (node["metadata"].get("labels") or {}):
        patch = {"metadata": {"labels": {ROLE_LABEL: ""}}}
        path = f"/api/v1/nodes/{node['metadata']['name']}"
        admin.call("PATCH", path, patch, kind="application/merge-patch+json")


def power_off(engine: engine_http.Engine, config: configuration.Configuration, where: layout.Layout, name: str) -> None:
    """Ends the agent and what else runs inside, then kills every container of the node, the holder last."""
    stop_agent(where, name)
    if config.ingress and name == config.nodes[0].name:
        stop_component(where, "ingress")
    kill_containers(engine, config.name, name)


def kill_containers(engine: engine_http.Engine, cluster: str, name: str) -> None:
    """What runs of the node, the holder last."""
    found = _containers(engine, cluster, name)
    found.sort(key=lambda entry: entry["Labels"].get("io.kubeshim.role") == "node")
    for entry in found:
        if entry["State"] in ("running", "paused"):
            holders.kill_container(engine, entry["Id"])


def stop_agent(where: layout.Layout, name: str) -> None:
    stop_component(where, f"agent-{name}")


def stop_component(where: layout.Layout, name: str) -> None:
    """Returns when its process is gone."""
    wanted = processes.wanted(where)
    if any(spec["name"] == name for spec in wanted):
        processes.want(where, [spec for spec in wanted if spec["name"] != name])
    processes.wait_gone(where, name, 30.0)


def ensure_holder(engine: engine_http.Engine, config: configuration.Configuration, node: configuration.Node) -> int:
    """The pid of the node's holder, which is started where it does not run."""
    labels = {**config.labels, "io.kubeshim.node": node.name, "io.kubeshim.role": "node"}
    return holders.ensure_holder(engine, node.name, config.network, node.address, labels)


def lost_power(
    engine: engine_http.Engine, config: configuration.Configuration, where: layout.Layout
) -> Iterator[configuration.Node]:
    """Nodes whose holder has died while parts of them may go on: their namespace is not the next one's."""
    agents = {spec["name"]: spec for spec in processes.wanted(where)}
    for node in config.nodes:
        spec = agents.get(f"agent-{node.name}")
        pid = holders.holder_pid(engine, node.name)
        if spec is not None and (not pid or components.agent(node, pid, where)["sockets"] != spec["sockets"]):
            yield node


def _containers(engine: engine_http.Engine, cluster: str, node: str) -> list[dict[str, Any]]:
    return holders.containers(engine, {"io.kubeshim.cluster": cluster, "io.kubeshim.node": node})
