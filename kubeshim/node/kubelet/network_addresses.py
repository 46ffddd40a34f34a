"""Which pod has which address: the node's ``spec.podCIDR``, handed out one by one.

Addresses are taken in rising order and go round, so that one just freed is the last to be given again: clients
that still hold a dead pod's address then reach nobody rather than somebody else. The state is rebuilt after a
restart by ``adopt``-ing what the running sandboxes have.
"""

import ipaddress
import threading
from collections.abc import Sequence

from kubeshim.machinery import joining


class Exhausted(Exception):
    """Every address of the range is in use."""


class AddressPool:
    """Addresses of one range, by pod UID. All methods may be called from any thread."""

    def __init__(self, cidr: str, node_address: str = "") -> None:
        """``node_address`` lies in the range where the node has joined from another machine."""
        self._network = ipaddress.ip_network(cidr)
        # .0 names the network and .1 is what other network plugins use for the node's own end: leave both.
        self._first = int(self._network.network_address) + 2
        if node_address and ipaddress.ip_address(node_address) in self._network:
            self._first = int(ipaddress.IPv4Network(joining.link_network(cidr)).broadcast_address) + 1
        self._last = int(self._network.broadcast_address) - 1
        self._address = type(self._network.network_address)
        self._next = self._first
        self._by_uid: dict[str, str] = {}
        self._owners: dict[str, str] = {}
        self._lock = threading.Lock()

    def take(self, uid: str) -> str:
        """The pod's address, a new one at the first call. Raises ``Exhausted``."""
        with self._lock:
            held = self._by_uid.get(uid)
            if held is not None:
                return held
            for _ in range(min(self._last - self._first, len(self._owners)) + 1):
                candidate = str(self._address(self._next))
                self._next = self._next + 1 if self._next < self._last else self._first
                if candidate not in self._owners:
                    self._by_uid[uid] = candidate
                    self._owners[candidate] = uid
                    return candidate
        raise Exhausted(f"no IP addresses available in range set: {self._network}")

    def release(self, uid: str) -> None:
        with self._lock:
            address = self._by_uid.pop(uid, None)
            if address is not None:
                self._owners.pop(address, None)

    def adopt(self, uid: str, address: str) -> bool:
        """Records what a running pod has already. False where another pod has it, or it is not of this range."""
        with self._lock:
            if ipaddress.ip_address(address) not in self._network:
                return False
            if self._owners.get(address, uid) != uid:
                return False
            before = self._by_uid.get(uid)
            if before is not None and before != address:
                self._owners.pop(before, None)
            self._by_uid[uid] = address
            self._owners[address] = uid
            self._next = max(self._next, int(self._address(address)) + 1)
            if self._next > self._last:
                self._next = self._first
            return True


class Pools:
    """A pool for each of the node's ranges (``spec.podCIDRs``): a pod has one address of each, the primary first."""

    def __init__(self, cidrs: Sequence[str], node_address: str = "") -> None:
        self._pools = [AddressPool(cidr, node_address) for cidr in cidrs]

    def take(self, uid: str) -> list[str]:
        """Raises ``Exhausted``, and then nothing is kept that was not before."""
        found: list[str] = []
        try:
            for pool in self._pools:
                found.append(pool.take(uid))
        except Exhausted:
            if len(found) < len(self._pools):
                self.release(uid)
            raise
        return found

    def release(self, uid: str) -> None:
        for pool in self._pools:
            pool.release(uid)

    def adopt(self, uid: str, addresses: Sequence[str]) -> bool:
        """Whether every address is of one of the ranges, and nobody else's."""
        return all(any(pool.adopt(uid, address) for pool in self._pools) for address in addresses)
