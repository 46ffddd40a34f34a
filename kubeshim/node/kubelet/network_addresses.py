"""Which pod has which address: the node's ``spec.podCIDR``, handed out one by one.

Addresses are taken in rising order and go round, so that one just freed is the last to be given again: clients
that still hold a dead pod's address then reach nobody rather than somebody else. The state is rebuilt after a
restart by ``adopt``-ing what the running sandboxes have.
"""

import ipaddress
import threading

from kubeshim.machinery import joining


class Exhausted(Exception):
    """Every address of the range is in use."""


class AddressPool:
    """Addresses of one range, by pod UID. All methods may be called from any thread."""

    def __init__(self, cidr: str, node_address: str = "") -> None:
        """``node_address`` lies in the range where the node has joined from another machine."""
        self._network = ipaddress.IPv4Network(cidr)
        # .0 names the network and .1 is what other network plugins use for the node's own end: leave both.
        self._first = int(self._network.network_address) + 2
        if node_address and ipaddress.IPv4Address(node_address) in self._network:
            self._first = int(ipaddress.IPv4Network(joining.link_network(cidr)).broadcast_address) + 1
        self._last = int(self._network.broadcast_address) - 1
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
            for _ in range(self._last - self._first + 1):
                candidate = str(ipaddress.IPv4Address(self._next))
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
            if ipaddress.IPv4Address(address) not in self._network:
                return False
            if self._owners.get(address, uid) != uid:
                return False
            before = self._by_uid.get(uid)
            if before is not None and before != address:
                self._owners.pop(before, None)
            self._by_uid[uid] = address
            self._owners[address] = uid
            self._next = max(self._next, int(ipaddress.IPv4Address(address)) + 1)
            if self._next > self._last:
                self._next = self._first
            return True
