"""Keeps a node's ways to other machines: the overlay's device in the node, routes there and, where told so, here.

The device is made in the machine's namespace, where its UDP packets travel, and lives in the node's, with which it
goes. Each node has a number (VNI) of its own, told in its annotation, so that several nodes on one machine each
receive what is theirs although they share the port.
"""

import hashlib
import logging
import zlib
from collections.abc import Callable, Iterable
from typing import Any

from kubeshim.machinery import joining
from kubeshim.machinery.objects import Object
from kubeshim.node.kubelet import network_links, remote, remote_links

_log = logging.getLogger(__name__)

PORT = 8472
"""UDP: what Linux and other network plugins use for VXLAN."""
OVERHEAD = 50
"""Bytes that wrapping an Ethernet frame into VXLAN, UDP and IPv4 takes."""
_NUMBERS = 1 << 24
_ATTEMPTS = 64


class Overlay:
    """Of one node, whose namespace is that of ``holder_pid``. ``RunInNode`` enters it."""

    def __init__(
        self,
        node_name: str,
        node_address: str,
        machine_address: str,
        gateway: str,
        run_in_node: Callable[[Callable[[], Any]], Any],
        holder_pid: int,
        *,
        cluster_cidr: str,
        node_network: str,
        backend: str,
        direct: bool,
        services: str = "",
    ) -> None:
        """``direct``: the machine lets others' packets through to the node.

        ``services``: the Service range, where nobody else keeps the machine's own routes into the cluster.
        """
        self._name = node_name
        self._address = node_address
        self._machine = machine_address
        self._gateway = gateway
        self._run = run_in_node
        self._pid = holder_pid
        self._node_network = node_network
        self._within = (cluster_cidr, node_network)
        self._backend = backend
        self._direct = direct
        self._services = services
        self.mtu = 0
        """Of what goes through it, once set up."""

    def set_up(self) -> joining.Endpoint:
        """Makes the device; the endpoint is what others shall be told. Raises ``OSError``."""
        link = network_links.link_with_address(self._machine)
        if link is None:
            raise OSError(f"the address {self._machine} that other machines shall use is on no link of this machine")
        self.mtu = link[2] if self._backend == "host-gw" else link[2] - OVERHEAD
        mac = "02:" + ":".join(f"{byte:02x}" for byte in hashlib.sha256(self._name.encode()).digest()[:5])
        wanted = remote_links.Tunnel(self._machine, PORT, mac, self.mtu)
        number = self._run(lambda: remote_links.tunnel_number(remote.DEVICE, wanted))
        number = number or self._create(wanted)
        self._run(lambda: remote_links.up(remote.DEVICE))
        prefix = network_links.prefix_of(self._machine)
        return joining.Endpoint(self._machine, prefix, mac, number, PORT, self._direct)

    def _create(self, wanted: remote_links.Tunnel) -> int:
        first = zlib.crc32(self._name.encode())
        for step in range(_ATTEMPTS):
            number = (first + step) % (_NUMBERS - 1) + 1
            if remote_links.create_tunnel(remote.DEVICE, number, wanted, self._pid):
                return number
        raise OSError(f"no free VXLAN number from {first % (_NUMBERS - 1) + 1} on")

    def follow(self, nodes: Iterable[Object]) -> None:
        """Makes the ways be those to these nodes. Raises ``OSError``."""
        ways = remote.hops(nodes, self._name, self._node_network, self._backend)

        def inside() -> None:
            remote_links.set_neighbours(remote.DEVICE, remote.neighbours(ways))
            remote_links.set_routes(remote.node_routes(ways, self._address, self._gateway), self._within)

        self._run(inside)
        if self._services:
            # From the machine's own address, which kube-proxy takes for outside and replaces: answers from pods
            # elsewhere would else come to the machine directly, past the node that has to turn them back.
            into = {self._services: remote_links.Route(self._address, source=self._machine)}
            routes = {**remote.machine_routes(ways, self._address, self._gateway), **into}
            remote_links.set_routes(routes, (*self._within, self._services))
