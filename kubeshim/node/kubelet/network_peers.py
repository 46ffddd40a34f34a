"""Routes to the other nodes of the cluster: each node's pod range through that node's address.

Watches Nodes and has ``NodeNetwork.set_peers`` follow, as a routed network plugin's agent does. That is for nodes of
the same machine; for those of others see ``remote``.
"""

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from kubeshim.client import informer, kinds, rest
from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object
from kubeshim.node.kubelet import remote

log = logging.getLogger(__name__)

_RETRY = 1.0


class Routes(Protocol):
    """``network.NodeNetwork``."""

    def set_peers(self, peers: dict[str, str]) -> None: ...


class Peers:
    """From ``start`` to ``stop`` the node knows the way to every other node's pods."""

    def __init__(
        self,
        client: rest.Client,
        network: Routes,
        node_name: str,
        remote_ways: Callable[[list[Object]], None] | None = None,
    ) -> None:
        """``remote_ways``, where nodes may be on other machines, is told of all nodes when one has changed."""
        self._network = network
        self._remote_ways = remote_ways
        self._node_name = node_name
        self._nodes = informer.Informer(client, kinds.NODES)
        self._changed = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="network-peers", daemon=True)

    def start(self) -> None:
        self._nodes.add_handler(
            added=lambda _: self._changed.set(),
            updated=self._updated,
            deleted=lambda _: self._changed.set(),
        )
        self._nodes.start()
        self._thread.start()

    def stop(self) -> None:
        """The routes stay."""
        self._stopping = True
        self._changed.set()
        self._nodes.stop()
        self._thread.join()

    def _updated(self, old: Object, new: Object) -> None:
        if routes([old], "") != routes([new], "") or not remote.same(old, new):
            self._changed.set()

    def _run(self) -> None:
        while not self._nodes.wait_for_sync(0.5):
            if self._stopping:
                return
        self._changed.set()
        while self._changed.wait() and not self._stopping:
            self._changed.clear()
            try:
                nodes = self._nodes.list()
                self._network.set_peers(routes(remote.near(nodes, self._node_name), self._node_name))
                if self._remote_ways is not None:
                    self._remote_ways(nodes)
            except OSError as error:
                # The node may not be set up yet, or an address not be on its network.
                log.warning("routes to other nodes: %s", error)
                threading.Timer(_RETRY, self._changed.set).start()


def routes(nodes: list[Object], own_name: str) -> dict[str, str]:
    """``{podCIDR: InternalIP}`` of all nodes but one (pure)."""
    found = {}
    for node in nodes:
        if objects.name(node) == own_name:
            continue
        addresses = objects.dig(node, "status", "addresses", default=())
        internal = [a["address"] for a in addresses if a["type"] == "InternalIP"]
        spec = node.get("spec") or {}
        for cidr in spec.get("podCIDRs") or [spec.get("podCIDR")]:
            address = next((a for a in internal if cidr and (":" in a) == (":" in cidr)), None)
            if address:
                found[cidr] = address
    return found
