"""Gives every node its range of pod addresses, ``spec.podCIDR``.

Which ranges are taken is read from the nodes themselves, so there is nothing to lose. One worker: two must not
pick the same range.
"""

import ipaddress
import logging
from collections.abc import Iterable

from kubeshim.client import kinds
from kubeshim.control_plane.controller_manager import controller
from kubeshim.machinery import errors, objects
from kubeshim.machinery.objects import Object

_log = logging.getLogger(__name__)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class NodeIPAMController(controller.Controller):
    name = "node-ipam"
    component = "cidrAllocator"
    workers = 1

    def register(self) -> None:
        options = self.context.options
        self._ranges = [ipaddress.ip_network(text.strip()) for text in options.cluster_cidr.split(",") if text.strip()]
        self._services = [ipaddress.ip_network(text) for text in options.service_cidr.split(",") if text]
        self._sizes = {4: options.node_cidr_mask_size, 6: options.node_cidr_mask_size_ipv6}
        self._given: dict[str, list[str]] = {}
        """What was written and the cache may not show yet; kept where no answer came: it may have been written."""
        self._unanswered: set[str] = set()
        self._nodes = self.informer(kinds.NODES)
        if options.allocate_node_cidrs:
            self._nodes.add_handler(added=self._seen, updated=lambda _, new: self._seen(new), deleted=self._gone)

    def _seen(self, node: Object) -> None:
        if not node.get("spec", {}).get("podCIDR"):
            self.enqueue(node)

    def _gone(self, node: Object) -> None:
        self._given.pop(objects.name(node), None)
        for other in self._nodes.list():  # may be waiting for the range that became free
            self._seen(other)

    def sync(self, key: str) -> None:
        node = self._nodes.get(key)
        if node is None or node.get("spec", {}).get("podCIDR"):
            return
        if key in self._given and key not in self._unanswered:
            return
        chosen = self._given.get(key) or self._choose(node)
        if not chosen:
            return
        self._given[key] = chosen
        self._unanswered.discard(key)
        try:
            patch = {"metadata": {"uid": objects.uid(node)}, "spec": {"podCIDR": chosen[0], "podCIDRs": chosen}}
            self.client.patch(kinds.NODES, key, patch, kind="strategic")
        except errors.NotFound:
            self._given.pop(key, None)
        except errors.APIStatusError:
            self._given.pop(key, None)
            raise
        except OSError:
            self._unanswered.add(key)
            raise

    def _choose(self, node: Object) -> list[str]:
        """A range of each family; none where there is none left."""
        key = objects.name(node)
        taken = [cidr for other in self._nodes.list() for cidr in other.get("spec", {}).get("podCIDRs") or ()]
        taken += [cidr for name, cidrs in list(self._given.items()) if name != key for cidr in cidrs]
        chosen = []
        for cluster in self._ranges:
            free = first_free(cluster, self._sizes[cluster.version], taken, self._services)
            if free is None:
                text = f"Node {key} status is now: CIDRNotAvailable"
                self.recorder.event(node, "Normal", "CIDRNotAvailable", text)
                _log.error("no range of %s is left for node %s", cluster, key)
                return []
            chosen.append(str(free))
        return chosen


def first_free(cluster: Network, size: int, taken: Iterable[str], reserved: Iterable[Network]) -> Network | None:
    """The lowest ``/size`` of ``cluster`` that overlaps nothing taken or reserved."""
    if size < cluster.prefixlen:
        raise ValueError(f"a node's range /{size} is larger than the cluster's {cluster}")
    busy = [network for text in taken if (network := ipaddress.ip_network(text)).version == cluster.version]
    busy += [network for network in reserved if network.version == cluster.version]
    exact = {network for network in busy if network.prefixlen == size}
    odd = [network for network in busy if network.prefixlen != size]
    for candidate in cluster.subnets(new_prefix=size):
        if candidate not in exact and not any(candidate.overlaps(other) for other in odd):
            return candidate
    return None
