"""What differs between IPv4 and IPv6 in the words of the firewalls (pure)."""

import dataclasses
import ipaddress
from collections.abc import Iterable


@dataclasses.dataclass(frozen=True, slots=True)
class Family:
    version: int
    word: str
    """As nftables calls it: of a table, a header, a dnat statement."""
    address_type: str
    refusal: str
    address_kind: str
    """As an EndpointSlice calls it."""
    bits: int
    mask: str
    """Of one address, in full."""
    programs: str
    """What the names of iptables' programs begin with."""

    def of(self, addresses: Iterable[object]) -> list[str]:
        """Those of this family, each once."""
        found = (str(text) for text in addresses if text and text != "None")
        return list(dict.fromkeys(text for text in found if (":" in text) == (self.version == 6)))


IPV4 = Family(4, "ip", "ipv4_addr", "icmp type port-unreachable", "IPv4", 32, "255.255.255.255", "iptables")
IPV6 = Family(6, "ip6", "ipv6_addr", "icmpv6 type port-unreachable", "IPv6", 128, ":".join(["ffff"] * 8), "ip6tables")


def of_range(cidr: str) -> Family:
    return IPV6 if ipaddress.ip_network(cidr).version == 6 else IPV4
