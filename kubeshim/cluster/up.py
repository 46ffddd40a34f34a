"""Brings a cluster up: an ordered list of steps, each of which finds what is there and adds what is missing.

So the same list starts a new cluster, takes over components after the supervisor died, and brings a cluster back
with its state after a reboot. If a step of a *new* cluster fails, all is undone by ``down``.

Order matters twice: the ranges are made unreachable before anything could send to them, and the API server starts
as early as it can (its sockets need only the node network), because everything else waits for it.
"""

import concurrent.futures
import contextlib
import dataclasses
import ipaddress
import os
import pathlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from kubeshim import clock, fast_yaml
from kubeshim.cluster import (
    api,
    components,
    configuration,
    dns_service,
    down,
    host,
    layout,
    lock,
    nodes,
    processes,
    publishing,
    ranges,
    storage,
)
from kubeshim.node.container_runtime import engine_http, holders
from kubeshim.node.kubelet import network_host

READY_SECONDS = 60.0
HOPELESS = 3
"""A component that ended this often while starting will not come up."""


class UpFailed(Exception):
    """A step failed; the message says which, why, and what to do."""


@dataclasses.dataclass(slots=True)
class Options:
    """What the user asked for on the command line."""

    name: str
    config: pathlib.Path | None = None
    nodes: int = 1
    simulated_nodes: int | None = None
    """How many there shall be; a cluster keeps what it has where nothing is said."""
    port: int = 0
    pod_range: str = ""
    service_range: str = ""
    node_range: str = ""
    ip_family: str = ""
    """``ipv4`` or ``dual``; empty follows from the configuration file and the ranges."""
    kubeconfig: pathlib.Path | None = None
    """Where to merge the context; None for the calling user's own file."""
    merge_kubeconfig: bool = True
    ingress: bool = False
    """Run the Ingress controller; a cluster that has it keeps it."""
    publish: tuple[str, ...] = ()
    """Ports of this machine: ``[ADDRESS:]PORT:80|443`` for the Ingress controller, others as ``publishing`` says."""
    advertise: str = ""
    """Address of this machine at which others reach the API server; a cluster that has one keeps it."""
    listen: tuple[str, ...] = ()
    """Further addresses for the API server."""


class Up:
    """One run of ``up``. Attributes are filled by the steps, in order."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.where = layout.Layout.of(options.name)
        self.engine: engine_http.Engine
        self.config: configuration.Configuration
        self.fresh = not self.where.configuration.exists()
        self.holders: dict[str, int] = {}
        self.admin: api.API
        self.already_running = False
        self.reachable_anew = False
        self.beginning: set[str] = set()
        self.began = ""

    # -- steps, in order ---------------------------------------------------------------------------------------

    def check_machine(self) -> str:
        host.check()
        socket = host.engine_socket() if self.fresh else configuration.load(self.where.configuration).engine
        if not self.fresh and os.environ.get("DOCKER_HOST") and host.engine_socket() != socket:
            raise UpFailed(f"cluster {self.options.name!r} stands on the engine at {socket}; unset DOCKER_HOST")
        self.engine = host.ensure_engine(socket)
        found = holders.agree(self.engine)
        return f"Docker {found.engine_version}, cgroup v{found.cgroup_version}"

    def choose(self) -> str:
        if not self.fresh:
            self.config = configuration.load(self.where.configuration)
            asked = self.options
            if asked.config or asked.pod_range or asked.service_range or asked.node_range or asked.ip_family:
                raise UpFailed(
                    f"cluster {self.options.name!r} exists already; its configuration cannot change. "
                    f"Remove it first: kubeshim down --name {self.options.name}"
                )
            before = self.config
            self._add_outward()
            self._add_addresses()
            self._simulate()
            self.reachable_anew = before.machine_address != self.config.machine_address
            if self.config != before:
                configuration.save(self.config, self.where.configuration)
            return self._summary()
        with lock.choosing():
            self._choose_anew()
        return self._summary()

    def _choose_anew(self) -> None:
        document = configuration.read_user_file(self.options.config)
        networking = document.get("networking", {})
        family = self.options.ip_family or networking.get("ipFamily", "")
        chosen = ranges.choose(
            ranges_in_use(self.engine),
            dual=family == "dual",
            pods=self.options.pod_range or networking.get("podSubnet", ""),
            services=self.options.service_range or networking.get("serviceSubnet", ""),
            nodes=self.options.node_range or networking.get("nodeSubnet", ""),
        )
        if chosen.second and family == "ipv4":
            raise UpFailed("an IPv6 range was given, but the address family asked for is ipv4 alone")
        if chosen.second and not host.has_ipv6():
            raise UpFailed(
                "this machine has no IPv6 (it is not in the kernel, or switched off): leave ipFamily at ipv4"
            )
        port = self.options.port or host.free_port(taken={other.port for other in _others()})
        made = configuration.complete(self.options.name, document, chosen, port, self.options.nodes)
        _check_shutdown(made)
        self.config = dataclasses.replace(made, engine=host.engine_socket())
        self._add_outward()
        self._add_addresses()
        self._simulate()
        self.where.prepare()
        configuration.save(self.config, self.where.configuration)

    def _simulate(self) -> None:
        wanted = self.options.simulated_nodes
        if wanted is None:
            return
        if wanted < 0:
            raise UpFailed(f"--simulated-nodes {wanted}: a number from 0 on is expected")
        self.config = dataclasses.replace(self.config, simulated_nodes=wanted)

    def _add_outward(self) -> None:
        """The Ingress controller and published ports, as far as they are asked for and not there yet."""
        of_ingress = [text for text in self.options.publish if publishing.is_for_ingress(text)]
        others = [text for text in self.options.publish if text not in of_ingress]
        if of_ingress or self.options.ingress:
            self._add_ingress(of_ingress)
        if others:
            found = publishing.published(others, self.config.published_services)
            self.config = dataclasses.replace(self.config, published_services=found)

    def _add_ingress(self, asked: Sequence[str]) -> None:
        from kubeshim.cluster import ingress

        ingress.program()
        wanted = dict.fromkeys(ingress.published(entry) for entry in asked)
        new = [entry for entry in wanted if entry not in self.config.published]
        for entry in new:
            port = int(entry.split(":")[1])
            if not host.can_listen(port):
                raise UpFailed(f"TCP port {port} is taken by another process: publish another one")
        published = (*self.config.published, *new)
        self.config = dataclasses.replace(self.config, ingress=True, published=published)

    def _add_addresses(self) -> None:
        """Those asked for, which must be this machine's."""
        from kubeshim.node.kubelet import network_links

        advertise = self.options.advertise or self.config.advertise
        if advertise and self.config.ranges.second:
            raise UpFailed("--advertise: other machines can join only a cluster of IPv4 alone")
        listen = tuple(dict.fromkeys((*self.config.listen, *self.options.listen)))
        for address in filter(None, (advertise, *listen)):
            if address != components.ANY and network_links.link_with_address(address) is None:
                raise UpFailed(f"{address} is not an address of this machine")
        self.config = dataclasses.replace(self.config, advertise=advertise, listen=listen)

    def _summary(self) -> str:
        chosen = self.config.ranges
        return f"pods {chosen.text('pods')}, services {chosen.text('services')}, nodes {chosen.text('nodes')}"

    def make_identities_and_network(self) -> str:
        """Keys and the Docker network do not need each other; the engine works while we compute."""
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            network = pool.submit(self._make_network)
            self._make_identities()
            network.result()
        return f"in {self.where.pki}"

    def _make_network(self) -> None:
        from kubeshim.cluster import machines

        chosen, bridge = self.config.ranges, machines.bridge(self.config)
        # IPv6 is laid over it by the nodes' agents: the engine would turn the machine into an IPv6 router.
        holders.ensure_network(
            self.engine, self.config.network, str(chosen.nodes), chosen.gateway, self.config.labels, bridge
        )

    def _make_identities(self) -> None:
        from kubeshim import pki

        chosen = self.config.ranges
        pki.create_all(
            self.where.pki,
            server=f"https://127.0.0.1:{self.config.port}",
            service_range=str(chosen.services),
            cluster_domain=self.config.domain,
            nodes=[pki.Node(node.name, (node.address,)) for node in self.config.nodes],
            ips=[address for address in components.listened(self.config) if address != components.ANY]
            + [chosen.gateway, *filter(None, [self.config.advertise])],
            cluster_name=self.config.name,
        )

    def start_api_server(self) -> str:
        self.already_running = self._everything_runs()
        if not self.already_running:
            port = self.config.port
            if not processes.running(self.where).get("api-server") and not host.can_listen(port):
                free = "choose another with --port" if self.fresh else "end that process, or remove the cluster"
                raise UpFailed(f"TCP port {port} is taken by another process: {free}")
            current = processes.wanted(self.where)
            first = components.api_server(self.config, self.where)
            processes.want(self.where, [first, *(c for c in current if c["name"] != first["name"])])
        return f"https://127.0.0.1:{self.config.port}"

    def _everything_runs(self) -> bool:
        """Whether the supervisor and all it was told to run are there; a cluster is more than one component."""
        now = processes.running(self.where)
        names = ["supervisor", *(c["name"] for c in processes.wanted(self.where))]
        return len(names) > 2 and all(now.get(name, False) for name in names)

    def protect_ranges(self) -> str:
        chosen = self.config.ranges
        network_host.protect_ranges(*map(str, chosen.every))
        return "unmatched packets end on this machine"

    def start_nodes(self) -> str:
        holders.ensure_pause_image(self.engine)
        for node in nodes.lost_power(self.engine, self.config, self.where):
            nodes.power_off(self.engine, self.config, self.where, node.name)
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            pids = list(pool.map(lambda node: nodes.ensure_holder(self.engine, self.config, node), self.config.nodes))
        for node, pid in zip(self.config.nodes, pids, strict=True):
            self.holders[node.name] = pid
            network_host.join_again(pid, node.address)  # one that was isolated
        return ", ".join(node.name for node in self.config.nodes)

    def start_components(self) -> str:
        wanted = components.everything(self.config, self.where, self.holders)
        present, running = processes.wanted(self.where), processes.running(self.where)
        self.beginning = {
            component["name"]
            for component in wanted
            if component not in present or not running.get(component["name"], False)
        }
        if self.reachable_anew:  # agents tell others where they are, which they read when they begin
            for node in self.config.nodes:
                nodes.stop_agent(self.where, node.name)
            nodes.stop_component(self.where, "controller-manager")
            present, self.beginning = processes.wanted(self.where), {component["name"] for component in wanted}
        self.began = clock.rfc3339(clock.SYSTEM.now())
        if wanted != present or not running["supervisor"]:
            processes.want(self.where, wanted)
        return ", ".join(component["name"] for component in wanted)

    def wait_api(self) -> str:
        from kubeshim import pki

        self.admin = api.API(pki.Files(self.where.pki).kubeconfig("admin"), self.config.port, READY_SECONDS)
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                self.admin.wait_ready(2.0)
                return "answers"
            except api.APIError as error:
                deaths = processes.restarts(self.where, "api-server")
                if deaths >= HOPELESS:
                    raise UpFailed(f"the API server ended {deaths} times") from error
                if time.monotonic() > deadline:
                    raise

    def install_dns(self) -> str:
        self.admin.apply(dns_service.SERVICE_PATH, dns_service.service(self.config))
        if self.fresh:  # from then on the controller manager keeps it
            self.admin.apply(dns_service.SLICE_PATH, dns_service.endpoint_slice(self.config))
        return self.config.ranges.dns_service

    def install_metrics(self) -> str:
        from kubeshim import pki
        from kubeshim.cluster import metrics_service

        metrics_service.install(self.admin, self.config, pki.Files(self.where.pki).ca)
        return "kubectl top"

    def install_storage(self) -> str:
        if self.fresh:  # from then on the classes are the user's
            for path, obj in storage.classes():
                self.admin.apply(path, obj)
        return "StorageClass " + storage.DEFAULT

    def install_ingress(self) -> str:
        from kubeshim.cluster import ingress

        for path, obj in ingress.manifests():
            self.admin.apply(path, obj)
        address = self.config.nodes[0].address
        return ", ".join([f"http://{address}", *(f"{e.rpartition(':')[0]}" for e in self.config.published)])

    def let_others_join(self) -> str:
        from kubeshim.cluster import discovery

        discovery.publish(self.admin, self.config, self.where.pki / "ca.crt")
        return f"kubeshim token create --name {self.config.name} --print-join-command"

    def write_kubeconfig(self) -> str:
        if not self.options.merge_kubeconfig:
            return str(self.where.pki / "admin.conf")
        from kubeshim.cluster import user_kubeconfig

        path, owner = user_kubeconfig.location(self.options.kubeconfig)
        config = fast_yaml.load((self.where.pki / "admin.conf").read_text())
        user_kubeconfig.merge(path, config, self.options.name, owner=owner)
        return f"{path}, context {self.options.name}"

    def wait_nodes(self) -> str:
        waiting = {node.name for node in self.config.nodes}
        first = {node.name for node in self.config.nodes if node.control_plane}
        deadline = time.monotonic() + READY_SECONDS
        for event in self.admin.watch("/api/v1/nodes", READY_SECONDS):
            node = event["object"]
            # what a node said before its agent began anew does not count
            since = self.began if f"agent-{node['metadata']['name']}" in self.beginning else ""
            if nodes.is_ready(node, since):
                if node["metadata"]["name"] in first & waiting:
                    nodes.label_control_plane(self.admin, node)
                waiting.discard(node["metadata"]["name"])
            if not waiting:
                return "Ready"
            if time.monotonic() > deadline:
                break
        raise UpFailed(
            f"not Ready after {READY_SECONDS:.0f} s: {', '.join(sorted(waiting))}; "
            f"see kubeshim logs --name {self.options.name} agent-{min(waiting)}. A firewall of this machine must let "
            f"{self.config.ranges.nodes} reach {self.config.ranges.gateway}:{self.config.port}"
        )

    def _wants_ingress(self) -> bool:
        return self.options.ingress or any(map(publishing.is_for_ingress, self.options.publish))

    def wait_simulated_nodes(self) -> str:
        from kubeshim.cluster import simulation

        count = self.config.simulated_nodes
        if not count:
            self.admin.call("DELETE", simulation.NODES_PATH)
            return "gone"
        return f"{simulation.wait(self.admin, count, READY_SECONDS)} Ready"

    def steps(self) -> Iterator[tuple[str, Callable[[], str]]]:
        """What comes late may depend on what was chosen early."""
        yield "check the machine", self.check_machine
        yield "choose addresses", self.choose
        yield "keys, certificates, node network", self.make_identities_and_network
        yield "start the API server", self.start_api_server
        yield "route the cluster's ranges nowhere else", self.protect_ranges
        yield "start the nodes", self.start_nodes
        yield "start the components", self.start_components
        yield "wait for the API", self.wait_api
        yield "install cluster DNS", self.install_dns
        yield "install resource metrics", self.install_metrics
        yield "install local volumes", self.install_storage
        if self._wants_ingress():
            yield "install the Ingress controller", self.install_ingress
        if self.config.advertise:
            yield "let other machines join", self.let_others_join
        yield "write the kubeconfig", self.write_kubeconfig
        yield "wait for the nodes", self.wait_nodes
        if self.options.simulated_nodes is not None:
            yield "wait for the simulated nodes", self.wait_simulated_nodes


def ranges_in_use(engine: engine_http.Engine) -> list[ranges.AnyNetwork]:
    """What this machine routes, what the engine's networks have, and what other clusters have."""
    used = host.routed_networks()
    for network in holders.networks(engine):
        for entry in (network.get("IPAM") or {}).get("Config") or ():
            if entry.get("Subnet"):
                used.append(ipaddress.ip_network(entry["Subnet"], strict=False))
    for other in _others():
        used += other.ranges.every
    return used


def _others() -> Iterator[configuration.Configuration]:
    for name in layout.existing():
        with contextlib.suppress(FileNotFoundError):  # it is going away
            yield configuration.load(layout.Layout.of(name).configuration)


Report = Callable[[str, str, float], None]
"""Called after each step with its name, what it says, and its seconds."""


def run(options: Options, report: Report) -> Up:
    """Runs the steps. Raises ``UpFailed`` with the step's name; a new cluster is taken down again."""
    check_name(options.name)
    this = Up(options)
    host.check()
    take_steps(this, UpFailed, report)
    return this


class Steps(Protocol):
    """What is done step by step, and what it may have to take away again."""

    where: layout.Layout
    fresh: bool
    """Whether there is none of that name yet; judged once nobody else can be making or removing it."""

    def steps(self) -> Iterator[tuple[str, Callable[[], str]]]: ...


def take_steps(this: Steps, failed: type[Exception], report: Report) -> None:
    """Under the cluster's lock. Raises ``failed`` with the step's name; what is fresh is taken down again."""
    with lock.locked(this.where):
        this.fresh = not this.where.configuration.exists()
        for title, step in this.steps():
            began = time.monotonic()
            try:
                said = step()
            except Exception as error:
                kept = ""
                if this.fresh and this.where.directory.exists() and not os.environ.get("KUBESHIM_RETAIN"):
                    kept = keep_logs(this.where)
                    down.remove(this.where.directory.name, lambda *_: None)
                raise failed(f"{title}: {error}{kept}") from error
            report(title, said, time.monotonic() - began)


def _check_shutdown(config: configuration.Configuration) -> None:
    """The only options that can contradict each other: now, not in an agent's log."""
    if not any(name.startswith("shutdown") for name in config.section("kubelet")):
        return
    from kubeshim.cluster import options
    from kubeshim.node.kubelet import shutdown_manager

    try:
        shutdown_manager.groups(options.kubelet(config, node_name="", node_ip="", data_dir=""))
    except ValueError as error:
        raise configuration.ConfigurationError(f"kubelet: {error}") from error


def keep_logs(where: layout.Layout) -> str:
    """The last lines of the components' logs, before ``down`` takes them away."""
    tails: list[str] = []
    for path in sorted(where.logs.glob("*.log")):
        lines = path.read_text(errors="replace").splitlines()[-6:]
        tails += [f"{path.stem}: {line[:200]}" for line in lines]
    return "\n" + "\n".join(tails) if tails else ""


def check_name(name: str) -> None:
    """A DNS label of at most 40 characters, since it becomes part of host and link names."""
    import re

    if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?", name):
        raise UpFailed(
            f"{name!r} is not a usable name: lower-case letters, digits and '-', at most 40, not at the ends"
        )
