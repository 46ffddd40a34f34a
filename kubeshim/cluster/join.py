"""Makes this machine a node of a cluster that another one has started, and brings it back after a reboot.

In order: who is the cluster (``discovery``); what are its ranges and do they fit here; the kubelet's certificate, for
which the token is good; the Node, whose range of addresses the cluster then decides, and in which the node stands
itself (``joining``); the other certificates; network, holder and agent as ``up`` makes them. The token is never
written down. What ``down`` takes away here is only what is here: the Node stays, as upstream's does, until
``kubeshim node remove`` on the first machine.
"""

import dataclasses
import ipaddress
import pathlib
import socket
import time
import urllib.parse
from collections.abc import Callable, Iterator

from kubeshim import clock, pki
from kubeshim.client import kinds, kubeconfig, rest
from kubeshim.cluster import (
    components,
    configuration,
    discovery,
    host,
    layout,
    machines,
    nodes,
    processes,
    ranges,
    renewal,
    up,
)
from kubeshim.machinery import errors, joining, objects
from kubeshim.machinery.objects import Object
from kubeshim.node.container_runtime import engine_http, holders
from kubeshim.node.kubelet import network_host, network_links

READY_SECONDS = 60.0


class JoinFailed(Exception):
    """A step failed; the message says why, and what to do."""


@dataclasses.dataclass(slots=True)
class Options:
    """What the user asked for on the command line."""

    name: str = ""
    """What the cluster is called here; by default what it is called there."""
    server: str = ""
    token: str = ""
    hashes: tuple[str, ...] = ()
    unsafe: bool = False
    file: pathlib.Path | None = None
    node: str = ""
    """By default this machine's own name."""
    address: str = ""
    """This machine's; by default the one that packets to the API server carry."""


class Join:
    """One run. Attributes are filled by the steps, in order."""

    def __init__(self, options: Options, engine: engine_http.Engine, found: discovery.Found | None, name: str) -> None:
        """``found`` is None where this machine has joined already and is only brought back."""
        self.options, self.engine, self._found = options, engine, found
        self.where = layout.Layout.of(name)
        self.files = pki.Files(self.where.pki)
        self.fresh = not self.where.configuration.exists()
        self.config: configuration.Configuration
        self.node = ""
        self.holder_pid = 0
        self.since = ""
        self.new_identity = False

    # -- steps ---------------------------------------------------------------------------------------------------

    def learn(self) -> str:
        """Ranges and options of the cluster, and whether they fit here."""
        if not self.fresh:
            self.config = configuration.load(self.where.configuration)
            if self.config.joined is None:
                raise JoinFailed(f"this machine has started the cluster {self.config.name!r} itself")
            if self._found is not None and self._found.authority != self.files.ca.read_bytes():
                raise JoinFailed(f"this machine has parts of another cluster of that name. {self._start_anew}")
            self.node = self.config.nodes[0].name
            return self._summary()
        assert self._found is not None
        client = rest.Client(self._found.client)
        theirs = discovery.configuration_of(client)
        client.close()
        self.node = self.options.node or socket.gethostname().partition(".")[0].lower()
        up.check_name(self.node)
        chosen = theirs.ranges
        ranges.choose(
            up.ranges_in_use(self.engine), pods=str(chosen.pods), services=str(chosen.services), nodes=str(chosen.nodes)
        )
        address = self.options.address or own_address(self._found.server)
        if network_links.link_with_address(address) is None:
            raise JoinFailed(f"{address} is not an address of this machine")
        if theirs.backend == "host-gw" and not on_link(address, self._found.server):
            raise JoinFailed(
                f"the cluster's machines route for each other (backend host-gw), but {address} is not on one link with "
                f"{self._found.server}; start the cluster with backend auto or vxlan"
            )
        joined = configuration.Joined(self._found.server, address, "")
        self.config = dataclasses.replace(
            theirs, name=self.where.directory.name, nodes=(), joined=joined, engine=host.engine_socket()
        )
        self.where.prepare()
        pki.write_file(self.files.ca, self._found.authority)
        return self._summary()

    def _summary(self) -> str:
        chosen = self.config.ranges
        return f"pods {chosen.pods}, services {chosen.services}, nodes {chosen.nodes}"

    def get_certificate(self) -> str:
        """The kubelet's: it makes this machine ``system:node:NAME``."""
        one = self._certificates("")[0]
        if not renewal.is_good(one.path):
            if self._found is None:
                raise JoinFailed("the node's certificate has expired: join again with a new token")
            client = rest.Client(self._found.client)
            self._refuse_a_living_namesake(client)
            pki.write_file(one.path, renewal.request(client, one.wanted))
            client.close()
            self.new_identity = True
        self._write_kubeconfig(one)
        return one.wanted.common_name

    def _refuse_a_living_namesake(self, client: rest.Client) -> None:
        try:
            found = client.get(kinds.NODES, self.node)
        except errors.NotFound:
            return
        if nodes.is_ready(found) and self.fresh:
            raise JoinFailed(
                f"there is a node {self.node} already, and it is Ready: remove it, or choose another name, --node-name"
            )

    def register(self) -> str:
        """Makes the Node and waits for its range."""
        joined = self.config.joined
        assert joined is not None
        client = rest.Client(kubeconfig.load(self.files.kubeconfig(f"kubelet-{self.node}")))
        try:
            cidr = self._range(client)
        except OSError as error:
            if self._found is not None or not joined.pod_cidr:
                raise
            return f"{self.node}, {joined.pod_cidr}, as before: {error}"  # the agent will wait for the API server
        finally:
            client.close()
        if joined.pod_cidr not in ("", cidr):
            raise JoinFailed(
                f"node {self.node} has got another range of addresses, {cidr}: it had been removed from the cluster. "
                f"{self._start_anew}"
            )
        try:
            joining.link_network(cidr)
        except ValueError as error:
            raise JoinFailed(str(error)) from error
        node = configuration.Node(self.node, joining.node_address(cidr))
        self.config = dataclasses.replace(self.config, nodes=(node,), joined=dataclasses.replace(joined, pod_cidr=cidr))
        configuration.save(self.config, self.where.configuration)
        return f"{self.node}, {cidr}"

    def _range(self, client: rest.Client) -> str:
        joined = self.config.joined
        assert joined is not None
        if self._found is not None:
            self._ensure_node(client, joined.address)
        elif not _exists(client, self.node):
            raise JoinFailed(f"node {self.node} was removed from the cluster. {self._start_anew}")
        for found in self._watched(client):
            if cidr := str(objects.dig(found, "spec", "podCIDR", default="") or ""):
                return cidr
        raise JoinFailed(
            f"node {self.node} got no range of addresses within {READY_SECONDS:.0f} s: does the controller manager run?"
        )

    @property
    def _start_anew(self) -> str:
        name = self.where.directory.name
        return f"Take away what is left here, then join again with a new token: kubeshim down --name {name}"

    def _ensure_node(self, client: rest.Client, address: str) -> None:
        annotations = {joining.JOINED: address}
        try:
            metadata = {"name": self.node, "annotations": annotations}
            client.create(kinds.NODES, {"apiVersion": "v1", "kind": "Node", "metadata": metadata})
        except errors.AlreadyExists:
            client.patch(kinds.NODES, self.node, {"metadata": {"annotations": annotations}})

    def get_other_certificates(self) -> str:
        client = rest.Client(kubeconfig.load(self.files.kubeconfig(f"kubelet-{self.node}")))
        address = self.config.nodes[0].address
        for one in self._certificates(address)[1:]:
            if not renewal.is_good(one.path):
                pki.write_file(one.path, renewal.request(client, one.wanted))
            if one.identity:
                self._write_kubeconfig(one)
        client.close()
        return f"in {self.where.pki}"

    def make_node(self) -> str:
        config, node = self.config, self.config.nodes[0]
        assert config.joined is not None
        holders.ensure_pause_image(self.engine)
        link = joining.link_network(config.joined.pod_cidr)
        holders.ensure_network(
            self.engine, config.network, link, config.gateway, config.labels, machines.bridge(config)
        )
        chosen = config.ranges
        network_host.protect_ranges(str(chosen.pods), str(chosen.services), str(chosen.nodes))
        for lost in nodes.lost_power(self.engine, config, self.where):
            nodes.power_off(self.engine, config, self.where, lost.name)
        self.holder_pid = nodes.ensure_holder(self.engine, config, node)
        network_host.join_again(self.holder_pid, node.address)
        return f"{node.name}, {node.address}"

    def start_agent(self) -> str:
        if self.new_identity:  # an agent that runs with an old one has no right left to find out
            nodes.stop_agent(self.where, self.node)
        wanted = [components.agent(self.config.nodes[0], self.holder_pid, self.where)]
        running = processes.running(self.where)
        if processes.wanted(self.where) != wanted or not all(running.get(c["name"], False) for c in wanted):
            self.since = clock.rfc3339(clock.SYSTEM.now())
        if self.since or not running["supervisor"]:
            processes.want(self.where, wanted)
        return f"agent-{self.node}"

    def wait_ready(self) -> str:
        client = rest.Client(kubeconfig.load(self.files.kubeconfig(f"kubelet-{self.node}")))
        try:
            if any(nodes.is_ready(found, self.since) for found in self._watched(client)):
                return "Ready"
        finally:
            client.close()
        raise JoinFailed(
            f"{self.node} is not Ready after {READY_SECONDS:.0f} s; "
            f"see kubeshim logs --name {self.where.directory.name} agent-{self.node}"
        )

    # -- parts ---------------------------------------------------------------------------------------------------

    def _watched(self, client: rest.Client) -> Iterator[Object]:
        """The Node, as it is and becomes, for so long and no longer; a watch that ends before is opened again."""
        selector = f"metadata.name={self.node}"
        deadline = time.monotonic() + READY_SECONDS
        while (left := int(deadline - time.monotonic())) > 0:
            with client.watch(kinds.NODES, field_selector=selector, timeout=left) as watch:
                for _, found in watch:
                    yield found
            time.sleep(0.1)

    def _certificates(self, address: str) -> tuple[machines.Certificate, ...]:
        return machines.certificates(self.files, self.node, address)

    def _write_kubeconfig(self, one: machines.Certificate) -> None:
        assert self.config.joined is not None
        machines.write_kubeconfig(self.files, one, self.config.joined.server)

    def steps(self) -> Iterator[tuple[str, Callable[[], str]]]:
        yield "learn the cluster's ranges", self.learn
        yield "get the node's certificate", self.get_certificate
        yield "register the node", self.register
        yield "get the other certificates", self.get_other_certificates
        yield "start the node", self.make_node
        yield "start the agent", self.start_agent
        yield "wait for the node", self.wait_ready


def run(options: Options, report: up.Report) -> Join:
    """Raises ``JoinFailed`` with the step's name; what a first try has made is taken away again."""
    began = time.monotonic()
    host.check()
    engine = host.ensure_engine()
    holders.agree(engine)
    report("check the machine", "fit", time.monotonic() - began)
    began = time.monotonic()
    found = discover(options)
    name = options.name or called(found)
    report("find the cluster", f"{found.server}, {name}", time.monotonic() - began)
    return _run(Join(options, engine, found, name), report)


def bring_back(name: str, report: up.Report) -> Join:
    """The same without token, where this machine has joined already."""
    host.check()
    engine = host.ensure_engine(configuration.load(layout.Layout.of(name).configuration).engine)
    holders.agree(engine)
    return _run(Join(Options(name=name), engine, None, name), report)


def _run(this: Join, report: up.Report) -> Join:
    up.check_name(this.where.directory.name)
    up.take_steps(this, JoinFailed, report)
    return this


def discover(options: Options) -> discovery.Found:
    """Raises ``Untrusted``."""
    if options.file is not None:
        found = discovery.by_file(options.file, options.token)
        server = options.server or found.server
        client = dataclasses.replace(found.client, server=server)
        return dataclasses.replace(found, server=server, client=client)
    return discovery.by_token(options.server, options.token, options.hashes, unsafe=options.unsafe)


def called(found: discovery.Found) -> str:
    """The cluster's own name."""
    client = rest.Client(found.client)
    try:
        return discovery.configuration_of(client).name
    finally:
        client.close()


def _exists(client: rest.Client, node: str) -> bool:
    try:
        client.get(kinds.NODES, node)
    except errors.NotFound:
        return False
    return True


def on_link(address: str, server: str) -> bool:
    """Whether the server's address is in the network that ours is given in."""
    host = urllib.parse.urlsplit(server).hostname or ""
    network = ipaddress.ip_interface(f"{address}/{network_links.prefix_of(address)}").network
    return ipaddress.ip_address(socket.gethostbyname(host)) in network


def own_address(server: str) -> str:
    """The address of ours that packets to the server carry."""
    parts = urllib.parse.urlsplit(server)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((parts.hostname or "", parts.port or 443))  # sends nothing
        return str(probe.getsockname()[0])
