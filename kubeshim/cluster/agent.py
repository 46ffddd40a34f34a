"""A node's agent, put together: the network namespace, kubelet, kube-proxy, network policies, DNS, volumes on
demand, and on the control plane's node the resource metrics server.

Each has its own credentials, but for network policies, which use kube-proxy's.
"""

import contextlib
import dataclasses
import logging
import pathlib
import socket
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kubeshim import pki
from kubeshim.addons.dns import forwarder
from kubeshim.addons.dns import server as dns
from kubeshim.addons.local_storage import directories, provisioner
from kubeshim.addons.metrics import cluster as metrics_view
from kubeshim.addons.metrics import server as metrics
from kubeshim.client import kubeconfig, recorder, rest
from kubeshim.cluster import configuration, layout, machines, options
from kubeshim.cluster import renewal as renewing
from kubeshim.machinery import joining
from kubeshim.node import namespaces
from kubeshim.node.container_runtime import counted, docker, engine_http, runtime
from kubeshim.node.kube_proxy import proxy
from kubeshim.node.kubelet import config as kubelet_config
from kubeshim.node.kubelet import kubelet, network, network_ipv6, network_peers, overlay, server, server_auth
from kubeshim.node.network_policy import enforcer
from kubeshim.wire import exposition

_log = logging.getLogger(__name__)

_ENGINE_RETRY = 0.5
CONTROL_PLANE_TAINT = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}


class Agent:
    """Everything of one node. ``sockets`` are those opened inside its namespace, by name."""

    def __init__(
        self,
        config: configuration.Configuration,
        where: layout.Layout,
        node: str,
        holder_pid: int,
        sockets: Mapping[str, Sequence[socket.socket]],
    ) -> None:
        self._config, self._where, self._sockets = config, where, sockets
        self._node = config.node(node)
        self._files = pki.Files(where.pki)
        self._holder_pid = holder_pid
        self._overlay, self._endpoint = self._make_overlay()
        chosen = config.ranges
        self._network = network.NodeNetwork(
            holder_pid,
            self._node.address,
            str(chosen.pods),
            str(chosen.services),
            config.gateway,
            node_network=str(chosen.nodes),
            caught=(str(chosen.load_balancers),),
            mtu_limit=self._overlay.mtu if self._overlay else 0,
            second=self._second(),
        )
        self._clients: dict[str, list[rest.Client]] = {}
        self._stops: list[Callable[[], None]] = []
        self._kubelet: kubelet.Kubelet | None = None
        self._metrics: list[Callable[[], str]] = []

    def _make_overlay(self) -> tuple[overlay.Overlay | None, joining.Endpoint | None]:
        """None where no other machine can reach this one: then there is none in the cluster."""
        config, node, pid = self._config, self._node, self._holder_pid
        if not config.machine_address:
            return None, None
        made = overlay.Overlay(
            node.name,
            node.address,
            config.machine_address,
            config.gateway,
            lambda function: namespaces.run_in(namespaces.of_process(pid), function),
            pid,
            cluster_cidr=str(config.ranges.pods),
            node_network=str(config.ranges.nodes),
            backend=config.backend,
            direct=machines.let_through(config, node),
            services=str(config.ranges.services) if config.joined else "",
        )
        try:
            return made, made.set_up()
        except OSError as error:
            if config.joined is not None:  # no node without its machine's address
                raise
            _log.warning("nodes of other machines cannot be reached: %s", error)
            return None, None

    def _second(self) -> network_ipv6.Second | None:
        chosen = self._config.ranges.second
        if chosen is None:
            return None
        return network_ipv6.Second(
            self._config.ranges.second_address(self._node.address),
            str(chosen.pods),
            str(chosen.services),
            str(chosen.nodes),
            chosen.gateway,
            (str(chosen.load_balancers),),
        )

    def _addresses(self) -> tuple[str, ...]:
        """The node's own, the primary first."""
        second = self._config.ranges.second_address(self._node.address)
        return (self._node.address, second) if second else (self._node.address,)

    def start(self, without: set[str], woken: threading.Event) -> None:
        """DNS first: questions may be waiting in its socket. ``woken`` ends the wait for an engine that is away."""
        if "dns" not in without:
            self._start_dns()
        self._start_peers()
        if "kube-proxy" not in without:
            self._start_proxy()
        if "network-policy" not in without:
            self._start_network_policy()
        else:
            enforcer.remove(self._network.run_in_node)
        self._start_kubelet(woken)
        if self._config.joined is not None:
            self._start_renewals()
        if "metrics" in self._sockets and "metrics" not in without:
            self._start_metrics()
        if "local-storage" not in without:
            self._start_local_storage()

    def stop(self) -> None:
        """Pods and rules stay; the next agent takes them over."""
        for stop in reversed(self._stops):
            with contextlib.suppress(OSError):
                stop()

    def shut_down(self) -> None:
        """The node's power is about to fail: its pods are ended in good order. Returns at once."""
        if self._kubelet is not None:
            self._kubelet.shut_down()

    def outside(self) -> rest.Client:
        """With the kubelet's rights, for what is to be said when the node's own network is gone."""
        return self._client(f"kubelet-{self._node.name}", inside=False)

    def _client(self, identity: str, *, inside: bool = True) -> rest.Client:
        """Connects from inside the node, as a machine would: a node that is cut off loses the API server too.

        A joined node has two identities: its kubelet's, and one for all its other parts.
        """
        name = identity
        if self._config.joined is not None and not identity.startswith("kubelet-"):
            name = machines.AGENT
        loaded = kubeconfig.load(str(self._files.kubeconfig(name)))
        made = rest.Client(
            dataclasses.replace(loaded, server=self._config.server),
            user_agent=_user_agent(identity),
            within=self._network.run_in_node if inside else None,
        )
        self._clients.setdefault(name, []).append(made)
        return made

    def _start_renewals(self) -> None:
        """With the kubelet's rights: a node asks for all its certificates itself."""
        asking = self._client(f"kubelet-{self._node.name}")
        for one in machines.certificates(self._files, self._node.name, self._node.address):
            told = [client.renew_identity for client in self._clients.get(one.identity, ())]
            if one.identity == "":
                told = [lambda path=one.path: self._tls.load_cert_chain(path)]  # type: ignore[misc]
            renewal = renewing.Renewal(one.path, one.wanted, asking, told)
            renewal.start()
            self._stops.append(renewal.stop)

    def _start_dns(self) -> None:
        sockets = [*self._sockets.get("dns-udp", ()), *self._sockets.get("dns-tcp", ())]
        upstreams = []
        if self._config.upstream_dns:
            upstreams = forwarder.upstreams_of(pathlib.Path("/etc/resolv.conf").read_text())
        serving = dns.DnsServer(self._client("dns"), sockets, self._config.domain, upstreams)
        serving.start()
        self._metrics.append(serving.metrics)
        self._stops.append(serving.stop)

    def _start_peers(self) -> None:
        """With kube-proxy's rights, which may watch Nodes; a kubelet may see its own only."""
        ways = self._overlay.follow if self._overlay else None
        following = network_peers.Peers(self._client("kube-proxy"), self._network, self._node.name, ways)
        following.start()
        self._stops.append(following.stop)

    def _start_proxy(self) -> None:
        chosen = self._config.ranges
        settings = proxy.ProxyConfig(
            node_addresses=self._addresses(),
            cluster_cidr=chosen.text("pods"),
            service_cidrs=tuple(
                str(network) for each in chosen.families for network in (each.services, each.load_balancers)
            ),
            **options.given(self._config, "proxy"),
        )
        serving = proxy.Proxy(self._client("kube-proxy"), self._network.run_in_node, self._node.name, settings)
        serving.start()
        self._stops.append(serving.stop)

    def _start_network_policy(self) -> None:
        """With kube-proxy's identity, which a role of our own lets watch what policies speak of."""
        versions = tuple(each.pods.version for each in self._config.ranges.families)
        serving = enforcer.Enforcer(self._client("kube-proxy"), self._network.run_in_node, self._node.name, versions)
        serving.start()
        self._network.before_attach = serving.admit
        self._metrics.append(serving.metrics)
        self._stops.append(serving.stop)

    def _engine(self, woken: threading.Event) -> runtime.Runtime | None:
        """None where the agent was to end before the engine answered."""
        while not woken.is_set():
            try:
                return docker.Docker(self._config.engine, node_container=self._node.name)
            except (runtime.Unavailable, engine_http.EngineError) as problem:
                _log.warning("container runtime: %s", problem)
                woken.wait(_ENGINE_RETRY)
        return None

    def _start_kubelet(self, woken: threading.Event) -> None:
        found = self._engine(woken)
        if found is None:
            return
        engine, operations = counted.counted(found)
        self._metrics.append(lambda: exposition.text(operations()))
        client = self._client(f"kubelet-{self._node.name}")
        settings = kubelet_config.KubeletConfig(
            node_name=self._node.name,
            node_ip=self._node.address,
            node_ip6=self._config.ranges.second_address(self._node.address),
            data_dir=str(self._where.node(self._node.name)),
            cluster_name=self._config.name,
            cluster_domain=self._config.domain,
            cluster_dns=(self._config.ranges.dns_service,),
            cgroup_root=f"kubeshim-{self._config.name}",
            **self._kubelet_options(),
        )
        events = recorder.Recorder(client, "kubelet", self._node.name)
        this = self._kubelet = kubelet.Kubelet(settings, client, engine, self._network, events)
        self._metrics.append(this.metrics)
        serving = server.KubeletServer(
            pods=this,
            runtime=engine,
            sockets=self._sockets.get("kubelet", ()),
            tls=self._serving_context(),
            authenticate=server_auth.Authenticator(client),
            authorize=server_auth.Authorizer(client, self._node.name),
            node_name=self._node.name,
            configuration=dataclasses.asdict(settings),
            healthy=this.healthy,
            metrics=lambda: "".join(text() for text in self._metrics),
            probe_metrics=this.probe_metrics,
        )
        serving.start()
        this.start()
        self._stops += [events.stop, engine.close, serving.stop, this.stop]

    def _start_metrics(self) -> None:
        certificate, key = self._files.pair("metrics-server")
        view = metrics_view.Cluster(self._client("metrics-server"), self._network.run_in_node)
        context = metrics.tls_context(str(certificate), str(key), str(self._files.front_proxy_ca))
        serving = metrics.MetricsServer(view, self._sockets["metrics"], context)
        serving.start()
        self._stops.append(serving.stop)

    def _start_local_storage(self) -> None:
        name = self._node.name
        serving = provisioner.Provisioner(
            self._client("local-storage"),
            lambda node: node == name,
            directories.OnDisk(self._where.node(name) / "local-path"),
            here=name,
            forgets=self._node.control_plane,
        )
        serving.start()
        self._stops.append(serving.stop)

    def _kubelet_options(self) -> dict[str, Any]:
        given = options.given(self._config, "kubelet")
        if self._endpoint is not None:
            given["node_annotations"] = {joining.ENDPOINT: self._endpoint.encoded()}
        if self._config.joined is not None:  # who joins makes the Node; removed, it shall stay so
            given["node_annotations"][joining.JOINED] = self._config.joined.address
            given["register_node"] = False
        given.setdefault("static_pod_path", str(self._where.node(self._node.name) / "manifests"))
        if self._node.dedicated:
            given["register_with_taints"] = (*given.get("register_with_taints", ()), CONTROL_PLANE_TAINT)
        return given

    def _serving_context(self) -> ssl.SSLContext:
        """Client certificates are asked for, not demanded: a bearer token will do as well."""
        certificate, key = machines.serving_files(self._config, self._files, self._node.name)
        context = self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(certificate, key)
        context.load_verify_locations(self._files.ca)
        context.verify_mode = ssl.CERT_OPTIONAL
        return context


def _user_agent(identity: str) -> str:
    """What stands as the manager of the fields that the part writes: upstream's name, where it has such a part."""
    if identity.startswith("kubelet-"):
        return "kubelet"
    return identity if identity == "kube-proxy" else f"kubeshim-{identity}"
