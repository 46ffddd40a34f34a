"""A node's agent, put together: the network namespace, kubelet, kube-proxy, network policies, DNS, and on the control
plane's node the resource metrics server.

Each has its own credentials, but for network policies, which use kube-proxy's.
"""

import contextlib
import dataclasses
import logging
import pathlib
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kubeshim import pki
from kubeshim.addons.dns import forwarder
from kubeshim.addons.dns import server as dns
from kubeshim.addons.metrics import cluster as metrics_view
from kubeshim.addons.metrics import server as metrics
from kubeshim.client import kubeconfig, recorder, rest
from kubeshim.cluster import configuration, layout, options
from kubeshim.node.container_runtime import docker, runtime
from kubeshim.node.kube_proxy import proxy
from kubeshim.node.kubelet import config as kubelet_config
from kubeshim.node.kubelet import kubelet, network, network_ipv6, network_peers, server, server_auth
from kubeshim.node.network_policy import enforcer

_log = logging.getLogger(__name__)

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
        chosen = config.ranges
        self._network = network.NodeNetwork(
            holder_pid,
            self._node.address,
            str(chosen.pods),
            str(chosen.services),
            chosen.gateway,
            node_network=str(chosen.nodes),
            caught=(str(chosen.load_balancers),),
            second=self._second(),
        )
        self._stops: list[Callable[[], None]] = []
        self._metrics: list[Callable[[], str]] = []

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

    def start(self, without: set[str]) -> None:
        """DNS first: questions may be waiting in its socket."""
        if "dns" not in without:
            self._start_dns()
        self._start_peers()
        if "kube-proxy" not in without:
            self._start_proxy()
        if "network-policy" not in without:
            self._start_network_policy()
        else:
            enforcer.remove(self._network.run_in_node)
        self._start_kubelet()
        if "metrics" in self._sockets and "metrics" not in without:
            self._start_metrics()

    def stop(self) -> None:
        """Pods and rules stay; the next agent takes them over."""
        for stop in reversed(self._stops):
            with contextlib.suppress(OSError):
                stop()

    def _client(self, identity: str) -> rest.Client:
        """Connects from inside the node, as a machine would: a node that is cut off loses the API server too."""
        loaded = kubeconfig.load(str(self._files.kubeconfig(identity)))
        server = f"https://{self._config.ranges.gateway}:{self._config.port}"
        return rest.Client(
            dataclasses.replace(loaded, server=server),
            user_agent=f"kubeshim-{identity}",
            within=self._network.run_in_node,
        )

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
        following = network_peers.Peers(self._client("kube-proxy"), self._network, self._node.name)
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

    def _start_kubelet(self) -> None:
        client = self._client(f"kubelet-{self._node.name}")
        engine: runtime.Runtime = docker.Docker(node_container=self._node.name)
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
        this = kubelet.Kubelet(settings, client, engine, self._network, events)
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

    def _kubelet_options(self) -> dict[str, Any]:
        given = options.given(self._config, "kubelet")
        given.setdefault("static_pod_path", str(self._where.node(self._node.name) / "manifests"))
        if self._node.dedicated:
            given["register_with_taints"] = (*given.get("register_with_taints", ()), CONTROL_PLANE_TAINT)
        return given

    def _serving_context(self) -> ssl.SSLContext:
        """Client certificates are asked for, not demanded: a bearer token will do as well."""
        certificate, key = self._files.kubelet_serving(self._node.name)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(certificate, key)
        context.load_verify_locations(self._files.ca)
        context.verify_mode = ssl.CERT_OPTIONAL
        return context
