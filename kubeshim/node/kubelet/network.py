"""The network of a node and its pods.

A node is the network namespace of a holder container on the cluster's own Docker network. A pod is behind a
point-to-point veth: its end ``eth0`` has one /32 address and sends everything to a gateway address nobody has,
resolved for ever to the host end's MAC; the node routes the /32 into the link. There is no bridge, so neither
hairpin mode nor bridge netfilter matters, and two pods of a node talk through the node's routing like any others.

Nothing may leave the machine by accident: Service addresses lead into a bridge without ports (kube-proxy's rules
rewrite what they know before it gets there), and what of the cluster's range has no pod is unreachable here.

Everything is found in the kernel again after a restart and every call is idempotent; the only state kept here is
that of open descriptors. Those keep a dead namespace alive, so ``close`` when the holder container is gone.

    agent (host namespace)               holder's namespace = the node           sandbox's namespace = a pod
    route podCIDR via nodeIP   ──eth0──  route IP/32 dev vethX        ──veth──   eth0 IP/32, default via 169.254.1.1
"""

import hashlib
import ipaddress
import pathlib
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from kubeshim.node import namespaces
from kubeshim.node.kubelet import network_addresses, network_ipv6, network_links, network_ports, network_rules

AddressPool = network_addresses.AddressPool
HostPort = network_rules.HostPort

T = TypeVar("T")

POD_INTERFACE = "eth0"
SERVICE_BRIDGE = "kube-null"
UNREACHABLE_METRIC = 9999

_SYSCTLS = {
    "net/ipv4/ip_forward": "1",
    "net/ipv4/conf/all/rp_filter": "0",
    "net/ipv4/conf/default/rp_filter": "0",
    # A redirect's rate limit for a peer also swallows the port-unreachable that a refused connection needs.
    "net/ipv4/conf/all/send_redirects": "0",
    "net/ipv4/conf/default/send_redirects": "0",
    # All ICMP errors but "unreachable" stay limited: each refused datagram is refused at once.
    "net/ipv4/icmp_ratemask": "6160",
    # Host ports bound to 127.0.0.1; the firewall's guard keeps others from sending to loopback addresses.
    "net/ipv4/conf/all/route_localnet": "1",
    # Host ends of pods' links need no IPv6 address of their own, nor the chatter that finding one makes.
    "net/ipv6/conf/default/disable_ipv6": "1",
}


class NodeNetwork:
    """One node's namespace, opened by threads that enter it.

    ``holder_pid`` is a process in it (None: the calling process's own namespace is the node). ``gateway`` is the
    host's address on the cluster's Docker network.
    """

    def __init__(
        self,
        holder_pid: int | None,
        node_ip: str,
        cluster_cidr: str,
        service_cidr: str,
        gateway: str,
        *,
        node_network: str = "",
        caught: Sequence[str] = (),
        mtu_limit: int = 0,
        second: network_ipv6.Second | None = None,
    ) -> None:
        """``caught``: further ranges whose packets kube-proxy rewrites, and which lead nowhere otherwise.

        ``mtu_limit`` is what pods' links may have at most, where packets are wrapped on their way; 0 for no limit.
        """
        self.mtu_limit = mtu_limit
        self.second = second
        self.caught = tuple(caught)
        self.node_ip = node_ip
        self.cluster_cidr = cluster_cidr
        self.service_cidr = service_cidr
        self.gateway = gateway
        self.node_network = node_network or str(ipaddress.IPv4Interface(f"{node_ip}/24").network)
        self._path = namespaces.of_process(holder_pid) if holder_pid is not None else ""
        self._mtu = 1500
        self._ports: list[network_ports.Ports] = []
        """Of each family."""
        self._peers: dict[str, str] = {}
        self._lock = threading.Lock()
        self.before_attach: Callable[[str, Sequence[str]], None] | None = None
        """Told UID and addresses of a pod that is about to be connected; what it raises keeps the pod from it."""

    def set_up(self, pod_cidr: str, pod_cidr6: str = "") -> None:
        """Makes the node route for its pods, and the host for this node. Raises ``OSError``."""
        with self._lock:
            self.run_in_node(lambda: self._set_up_node(pod_cidr, pod_cidr6))
            kept = [(pod_cidr, [self.cluster_cidr, self.service_cidr, self.node_network])]
            if self.second is not None and pod_cidr6:
                kept.append((pod_cidr6, [self.second.cluster_cidr, self.second.service_cidr, self.second.node_network]))
            if not self._ports:
                self._ports = [
                    network_ports.Ports(network_ports.applier_for(self.run_in_node, network_rules.version_of(cidr)))
                    for cidr, _ in kept
                ]
            for ports, (cidr, ranges) in zip(self._ports, kept, strict=True):
                ports.set_up(cidr, ranges)
            if self._path:
                network_links.route_via(pod_cidr, self.node_ip)
                network_links.route_via(self.service_cidr, self.node_ip, keep_existing=True)
                if self.second is not None and pod_cidr6:
                    network_ipv6.address_machine(self.second, self.gateway)
                    network_links.route_via(pod_cidr6, self.second.node_ip)
                    network_links.route_via(self.second.service_cidr, self.second.node_ip, keep_existing=True)

    def attach(
        self,
        sandbox_pid: int,
        pod_ip: str,
        pod_uid: str,
        host_ports: Sequence[network_rules.HostPort] = (),
        *,
        others: Sequence[str] = (),
    ) -> None:
        """Gives a sandbox its address (and ``others``, of further families), link and published ports.

        Raises ``OSError``.
        """
        name = link_name(pod_uid)
        present = self._addresses_of(sandbox_pid)
        if not {pod_ip, *others} <= set(present):
            if self.before_attach is not None:
                self.before_attach(pod_uid, [pod_ip, *others])
            if not self._has_link(sandbox_pid):
                self.run_in_node(lambda: network_links.create_pair(name, self._mtu, POD_INTERFACE, sandbox_pid))
            self.run_in_pod(sandbox_pid, lambda: network_links.configure_pod(POD_INTERFACE, pod_ip))
        self.run_in_node(lambda: network_links.route_to_link(f"{pod_ip}/32", name))
        for other in others:
            in_pod: Callable[[Callable[[], str]], str] = lambda work: self.run_in_pod(sandbox_pid, work)  # noqa: E731
            network_ipv6.connect(other, name, POD_INTERFACE, self.run_in_node, in_pod)
        self._publish(pod_uid, host_ports)

    def pod_address(self, sandbox_pid: int) -> str | None:
        """The primary address a sandbox has, None where it has none or is gone."""
        return next(iter(self.pod_addresses(sandbox_pid)), None)

    def pod_addresses(self, sandbox_pid: int) -> list[str]:
        """All addresses a sandbox has, none where it is gone. Raises ``OSError`` where they cannot be read."""
        try:
            return self._addresses_of(sandbox_pid)
        except (FileNotFoundError, ProcessLookupError):
            return []

    def detach(self, pod_uid: str) -> None:
        """Takes back published ports. The link dies with the sandbox's namespace, and its route with it."""
        self._publish(pod_uid, ())

    def _publish(self, pod_uid: str, host_ports: Sequence[network_rules.HostPort]) -> None:
        for ports, version in zip(self._ports, (4, 6), strict=False):
            ports.publish(pod_uid, [port for port in host_ports if network_rules.version_of(port.pod_ip) == version])

    def set_peers(self, peers: Mapping[str, str]) -> None:
        """Routes other nodes' pod ranges through them: ``{podCIDR: node IP}``; what is not named any more goes."""
        with self._lock:
            own = (self.node_ip, self.second.node_ip if self.second else "")
            wanted = {cidr: address for cidr, address in peers.items() if address not in own}
            if wanted == self._peers:
                return
            before = self._peers
            self.run_in_node(lambda: _change_routes(before, wanted))
            self._peers = wanted

    def run_in_node(self, function: Callable[[], T]) -> T:
        """The result of ``function`` called in the node's namespace; sockets it makes stay there."""
        return namespaces.run_in(self._path, function) if self._path else function()

    def run_in_pod(self, sandbox_pid: int, function: Callable[[], T]) -> T:
        """The result of ``function`` called in a sandbox's namespace."""
        return namespaces.run_in(namespaces.of_process(sandbox_pid), function)

    def close(self) -> None:
        """Lets go of every descriptor into the namespace. Rules and routes stay."""
        with self._lock:
            for ports in self._ports:
                ports.close()
            self._ports = []

    def _set_up_node(self, pod_cidr: str, pod_cidr6: str) -> None:
        link = network_links.link_with_address(self.node_ip)
        if link is None:
            raise OSError(f"the node's address {self.node_ip} is on no link of its namespace")
        _, interface, mtu = link
        self._mtu = min(mtu, self.mtu_limit) if self.mtu_limit else mtu
        sysctls = {**_SYSCTLS, f"net/ipv4/conf/{interface}/send_redirects": "0"}
        if self.second is not None:
            sysctls |= network_ipv6.sysctls(interface)
        for name, value in sysctls.items():
            _write_sysctl(name, value)
        network_links.loopback_up()
        _lead_nowhere((self.service_cidr, *self.caught), (pod_cidr, self.cluster_cidr), self.node_ip)
        if self.second is not None:
            network_ipv6.address_node(self.second, self.node_ip)
            services, pods = (self.second.service_cidr, *self.second.caught), (pod_cidr6, self.second.cluster_cidr)
            _lead_nowhere(services, pods, self.second.node_ip)

    def _addresses_of(self, sandbox_pid: int) -> list[str]:
        return self.run_in_pod(sandbox_pid, lambda: network_links.addresses(POD_INTERFACE))

    def _has_link(self, sandbox_pid: int) -> bool:
        def look() -> bool:
            with network_links.netlink() as socket:
                return network_links.index_of(socket, POD_INTERFACE) is not None

        return self.run_in_pod(sandbox_pid, look)


def link_name(pod_uid: str) -> str:
    """The node's end of a pod's link: stable, at most 15 bytes, no two pods alike."""
    return "veth" + hashlib.sha256(pod_uid.encode()).hexdigest()[:10]


def _lead_nowhere(services: Sequence[str], pods: Sequence[str], node_ip: str) -> None:
    """What kube-proxy rewrites goes into a bridge without ports, what of pods' ranges has no pod ends here."""
    for cidr in services:
        network_links.route_on_bridge(cidr, SERVICE_BRIDGE, node_ip)
    for cidr in dict.fromkeys(filter(None, pods)):
        network_links.unreachable(cidr, UNREACHABLE_METRIC)


def _change_routes(before: Mapping[str, str], wanted: Mapping[str, str]) -> None:
    for cidr, address in before.items():
        if wanted.get(cidr) != address:
            network_links.remove_route(cidr, address)
    for cidr, address in wanted.items():
        network_links.route_via(cidr, address)


def _write_sysctl(name: str, value: str) -> None:
    """Of the calling thread's network namespace. Writes only what differs; IPv6 may be compiled out."""
    path = pathlib.Path("/proc/sys") / name
    if not path.exists():
        return
    if path.read_text().strip() != value:
        path.write_text(value)
