"""Which address ranges a cluster takes: pure choices over what the host already routes."""

import dataclasses
import ipaddress
from collections.abc import Iterable, Iterator, Sequence

Network = ipaddress.IPv4Network
Address = ipaddress.IPv4Address


@dataclasses.dataclass(frozen=True, slots=True)
class Ranges:
    """Pods, Services, and the Docker network the nodes stand on."""

    pods: Network
    services: Network
    nodes: Network

    @property
    def gateway(self) -> str:
        """The host's own address on the nodes' network: where the API server listens."""
        return str(self.nodes[1])

    def node_address(self, index: int) -> str:
        """Of the node with that index, from 0."""
        return str(self.nodes[2 + index])

    @property
    def load_balancers(self) -> Network:
        """Addresses of Services of type LoadBalancer: the last quarter of the nodes' network."""
        return list(self.nodes.subnets(prefixlen_diff=2))[3]

    def free_node_address(self, taken: Iterable[str]) -> str:
        """The lowest one that no node has. Raises ``RangeTaken`` where there is none."""
        used = set(taken)
        for address in map(str, list(self.nodes.hosts())[1:]):
            if Address(address) in self.load_balancers:
                break
            if address not in used:
                return address
        raise RangeTaken(f"no address for another node is left in {self.nodes}")

    @property
    def kubernetes_service(self) -> str:
        return str(self.services[1])

    @property
    def dns_service(self) -> str:
        return str(self.services[10])


class RangeTaken(Exception):
    """A range that was asked for overlaps one the host uses."""


_PODS = [Network(f"10.{second}.0.0/16") for second in (*range(244, 255), *range(200, 244))]
_SERVICES = [Network(f"10.{second}.0.0/16") for second in range(96, 127)]
_NODES = [Network(f"172.30.{third}.0/24") for third in range(256)]


def choose(used: Iterable[Network], *, pods: str = "", services: str = "", nodes: str = "") -> Ranges:
    """The ranges asked for, or for each not asked for the first candidate that overlaps nothing in ``used``.

    Raises ``RangeTaken`` where one asked for overlaps, or where no candidate is free.
    """
    taken = list(used)
    return Ranges(
        _pick("pods", pods, _PODS, taken),
        _pick("services", services, _SERVICES, taken),
        _pick("nodes", nodes, _NODES, taken),
    )


def _pick(what: str, asked: str, candidates: Sequence[Network], taken: list[Network]) -> Network:
    options = [Network(asked)] if asked else candidates
    for option in options:
        rival = overlapped(option, taken)
        if rival is None:
            taken.append(option)
            return option
    if asked:
        raise RangeTaken(
            f"the range {asked} for {what} overlaps {rival}, which this machine already routes; "
            f"choose another with --{what.rstrip('s')}-range"
        )
    raise RangeTaken(f"no free range for {what}; give one with --{what.rstrip('s')}-range")


def overlapped(network: Network, taken: Iterable[Network]) -> Network | None:
    """The first of those it shares an address with."""
    return next((other for other in taken if other.overlaps(network)), None)


def routed(table: str) -> Iterator[Network]:
    """The networks of ``/proc/net/route`` text, the default route left out."""
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 8:
            continue
        address, mask = int(fields[1], 16), int(fields[7], 16)
        if not mask:
            continue
        packed = address.to_bytes(4, "little")
        prefix = bin(mask).count("1")
        yield Network((packed, prefix))
