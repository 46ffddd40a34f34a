"""Which address ranges a cluster takes: pure choices over what the host already routes.

A dual-stack cluster has a second range of each kind, IPv6 and local to the machine (``fd00::/8``); IPv4 is primary.
"""

import dataclasses
import ipaddress
from collections.abc import Iterable, Iterator, Sequence

Network = ipaddress.IPv4Network
Network6 = ipaddress.IPv6Network
Address = ipaddress.IPv4Address
AnyNetwork = Network | Network6


@dataclasses.dataclass(frozen=True, slots=True)
class Ranges:
    """Pods, Services, and the Docker network the nodes stand on."""

    pods: Network
    services: Network
    nodes: Network
    second: "SecondRanges | None" = None

    @property
    def families(self) -> tuple["Ranges | SecondRanges", ...]:
        """What there is of each address family."""
        return (self,) if self.second is None else (self, self.second)

    @property
    def every(self) -> list[AnyNetwork]:
        """All ranges of the cluster."""
        return [network for family in self.families for network in (family.pods, family.services, family.nodes)]

    def text(self, what: str) -> str:
        """``pods``, ``services`` or ``nodes`` as upstream's options want them: one range, or two with a comma."""
        return ",".join(str(getattr(family, what)) for family in self.families)

    def second_address(self, address: str) -> str:
        """The IPv6 address of the node with an IPv4 one; empty in a cluster of one family."""
        if self.second is None:
            return ""
        return str(self.second.nodes[int(Address(address)) - int(self.nodes.network_address)])

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


@dataclasses.dataclass(frozen=True, slots=True)
class SecondRanges:
    """The same in IPv6."""

    pods: Network6
    services: Network6
    nodes: Network6

    @property
    def gateway(self) -> str:
        return str(self.nodes[1])

    @property
    def load_balancers(self) -> Network6:
        """Far from the nodes, whose addresses have the last number of their IPv4 one."""
        return Network6((int(self.nodes.network_address) + 0xFFFF0000, 112))


class RangeTaken(Exception):
    """A range that was asked for overlaps one the host uses, or is none that a cluster could have."""


_PODS = [Network(f"10.{second}.0.0/16") for second in (*range(244, 255), *range(200, 244))]
_SERVICES = [Network(f"10.{second}.0.0/16") for second in range(96, 127)]
_NODES = [Network(f"172.30.{third}.0/24") for third in range(256)]
_PODS6 = [Network6(f"fd00:10:{third}::/56") for third in (*range(244, 255), *range(200, 244))]
_SERVICES6 = [Network6(f"fd00:10:{third}::/112") for third in range(96, 127)]
_NODES6 = [Network6(f"fd00:172:30:{fourth}::/64") for fourth in range(256)]
_CANDIDATES: dict[tuple[str, int], Sequence[AnyNetwork]] = {
    ("pods", 4): _PODS, ("services", 4): _SERVICES, ("nodes", 4): _NODES,
    ("pods", 6): _PODS6, ("services", 6): _SERVICES6, ("nodes", 6): _NODES6,
}  # fmt: skip
_LIMITS = {"pods": (48, 64), "services": (64, 120), "nodes": (64, 64)}
"""Shortest and longest prefix of an IPv6 range: a node's pods have a /64, and a host's network always is one."""


def choose(
    used: Iterable[AnyNetwork], *, pods: str = "", services: str = "", nodes: str = "", dual: bool = False
) -> Ranges:
    """The ranges asked for, or for each not asked for the first candidate that overlaps nothing in ``used``.

    An IPv6 range asked for (after a comma) makes the cluster dual-stack as ``dual`` does. Raises ``RangeTaken`` where
    one asked for overlaps, or where no candidate is free.
    """
    taken = list(used)
    asked = {what: _asked(what, text) for what, text in (("pods", pods), ("services", services), ("nodes", nodes))}
    dual = dual or any(second for _, second in asked.values())
    picked = {
        (what, version): _pick(what, text, _CANDIDATES[what, version], taken)
        for what, texts in asked.items()
        for version, text in zip((4, 6) if dual else (4,), texts, strict=False)
    }
    second = None
    if dual:
        second = SecondRanges(
            Network6(picked["pods", 6]), Network6(picked["services", 6]), Network6(picked["nodes", 6])
        )
    return Ranges(Network(picked["pods", 4]), Network(picked["services", 4]), Network(picked["nodes", 4]), second)


def _asked(what: str, text: str) -> tuple[str, str]:
    """The IPv4 and the IPv6 range of an option's text; what is not given is empty."""
    if not text:
        return "", ""
    option, found = f"--{what.rstrip('s')}-range", text.split(",")
    try:
        networks = [ipaddress.ip_network(part.strip()) for part in found]
    except ValueError as error:
        raise RangeTaken(f"{option} {text}: {error}") from error
    if [network.version for network in networks] not in ([4], [4, 6]):
        raise RangeTaken(f"{option} {text}: what is expected is an IPv4 range, or one and after a comma an IPv6 range")
    if len(networks) == 1:
        return str(networks[0]), ""
    shortest, longest = _LIMITS[what]
    if not shortest <= networks[1].prefixlen <= longest:
        raise RangeTaken(f"{option} {text}: the IPv6 range of {what} must be from /{shortest} to /{longest}")
    return str(networks[0]), str(networks[1])


def _pick(what: str, asked: str, candidates: Sequence[AnyNetwork], taken: list[AnyNetwork]) -> AnyNetwork:
    options = [ipaddress.ip_network(asked)] if asked else candidates
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


def overlapped(network: AnyNetwork, taken: Iterable[AnyNetwork]) -> AnyNetwork | None:
    """The first of those it shares an address with."""
    return next((other for other in taken if other.version == network.version and other.overlaps(network)), None)


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


def routed6(table: str) -> Iterator[Network6]:
    """The networks of ``/proc/net/ipv6_route`` text; what every machine has is left out."""
    for line in table.splitlines():
        fields = line.split()
        if len(fields) < 10:
            continue
        network = Network6((int(fields[0], 16), int(fields[1], 16)))
        if network.prefixlen and not (network.is_link_local or network.is_multicast or network.is_loopback):
            yield network


def parse(pods: str, services: str, nodes: str) -> Ranges:
    """What ``Ranges.text`` gave."""
    found = [texts.split(",") for texts in (pods, services, nodes)]
    second = SecondRanges(*(Network6(texts[1]) for texts in found)) if len(found[0]) == 2 else None
    first = [Network(texts[0]) for texts in found]
    return Ranges(first[0], first[1], first[2], second)
