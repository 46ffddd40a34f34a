"""``ip`` and ``cidr``: addresses and ranges, without zones and without IPv4 in IPv6."""

import dataclasses
import ipaddress
from typing import Any

from kubeshim.machinery.cel import functions, types, values
from kubeshim.machinery.cel.types import BOOL, INT, STRING
from kubeshim.machinery.validation import fields

IP = types.opaque("net.IP")
CIDR = types.opaque("net.CIDR")
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Interface | ipaddress.IPv6Interface


@dataclasses.dataclass(frozen=True, slots=True)
class Ip:
    address: _Address
    cel_type = IP

    @property
    def cel_size(self) -> int:
        return len(self.address.packed)

    def cel_json(self) -> str:
        return str(self.address)


@dataclasses.dataclass(frozen=True, slots=True)
class Cidr:
    network: _Network
    cel_type = CIDR

    @property
    def cel_size(self) -> int:
        return (self.network.network.prefixlen + 7) // 8

    def cel_json(self) -> str:
        return self.network.with_prefixlen


def _parse_ip(text: str) -> _Address:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(f"IP Address {fields.quote(text)} parse error during conversion from string: "
                         f"ParseAddr({fields.quote(text)}): unable to parse IP") from None  # fmt: skip
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            raise ValueError(f"IP address {fields.quote(text)} with zone value is not allowed")
        if address.ipv4_mapped is not None:
            raise ValueError(f"IPv4-mapped IPv6 address {fields.quote(text)} is not allowed")
    return address


def _parse_cidr(text: str) -> _Network:
    base, slash, length = text.partition("/")
    try:
        if not slash or not length.isdigit() or (len(length) > 1 and length[0] == "0") or "%" in base:
            raise ValueError
        network = ipaddress.ip_interface(text)
    except ValueError:
        raise ValueError(f"network address parse error during conversion from string: "
                         f"netip.ParsePrefix({fields.quote(text)}): bad prefix") from None  # fmt: skip
    if isinstance(network, ipaddress.IPv6Interface) and network.ip.ipv4_mapped is not None:
        raise ValueError(f"IPv4-mapped IPv6 address {fields.quote(text)} is not allowed")
    return network


def _ip(text: str) -> Ip:
    try:
        return Ip(_parse_ip(text))
    except ValueError as problem:
        raise values.EvaluationError(str(problem)) from None


def _cidr(text: str) -> Cidr:
    try:
        return Cidr(_parse_cidr(text))
    except ValueError as problem:
        raise values.EvaluationError(str(problem)) from None


def _parses(parse: Any) -> Any:
    def run(text: str) -> bool:
        try:
            parse(text)
        except ValueError:
            return False
        return True

    return run


def _is_canonical(text: str) -> bool:
    return str(_ip(text).address) == text


def _contains_ip(cidr: Cidr, ip: Ip) -> bool:
    return ip.address.version == cidr.network.version and ip.address in cidr.network.network


def _contains_cidr(cidr: Cidr, other: Cidr) -> bool:
    if other.network.version != cidr.network.version:
        return False
    longer = other.network.network.prefixlen >= cidr.network.network.prefixlen
    return longer and other.network.network.network_address in cidr.network.network


def _masked(cidr: Cidr) -> Cidr:
    return Cidr(ipaddress.ip_interface(cidr.network.network.with_prefixlen))


def _local_multicast(ip: Ip) -> bool:
    packed = ip.address.packed
    return packed[:3] == b"\xe0\x00\x00" if len(packed) == 4 else packed[0] == 0xFF and packed[1] & 0x0F == 2


def _global_unicast(ip: Ip) -> bool:
    address = ip.address
    broadcast = isinstance(address, ipaddress.IPv4Address) and int(address) == 0xFFFFFFFF
    return not (
        broadcast or address.is_unspecified or address.is_loopback or address.is_multicast or address.is_link_local
    )


LIBRARY = (
    functions.plain("ip", "string_to_ip", (STRING,), IP, _ip),
    functions.plain("isIP", "is_ip_string", (STRING,), BOOL, _parses(_parse_ip)),
    functions.plain("ip.isCanonical", "ip_is_canonical", (STRING,), BOOL, _is_canonical),
    functions.plain("string", "ip_to_string", (IP,), STRING, lambda ip: str(ip.address)),
    functions.member("family", "ip_family", (IP,), INT, lambda ip: ip.address.version),
    functions.member("isUnspecified", "ip_is_unspecified", (IP,), BOOL, lambda ip: ip.address.is_unspecified),
    functions.member("isLoopback", "ip_is_loopback", (IP,), BOOL, lambda ip: ip.address.is_loopback),
    functions.member("isLinkLocalMulticast", "ip_is_link_local_multicast", (IP,), BOOL, _local_multicast),
    functions.member("isLinkLocalUnicast", "ip_is_link_local_unicast", (IP,), BOOL,
                     lambda ip: ip.address.is_link_local),
    functions.member("isGlobalUnicast", "ip_is_global_unicast", (IP,), BOOL, _global_unicast),
    functions.plain("cidr", "string_to_cidr", (STRING,), CIDR, _cidr),
    functions.plain("isCIDR", "is_cidr", (STRING,), BOOL, _parses(_parse_cidr)),
    functions.plain("string", "cidr_to_string", (CIDR,), STRING, Cidr.cel_json),
    functions.member("containsIP", "cidr_contains_ip_string", (CIDR, STRING), BOOL,
                     lambda cidr, text: _contains_ip(cidr, _ip(text))),
    functions.member("containsIP", "cidr_contains_ip_ip", (CIDR, IP), BOOL, _contains_ip),
    functions.member("containsCIDR", "cidr_contains_cidr_string", (CIDR, STRING), BOOL,
                     lambda cidr, text: _contains_cidr(cidr, _cidr(text))),
    functions.member("containsCIDR", "cidr_contains_cidr", (CIDR, CIDR), BOOL, _contains_cidr),
    functions.member("ip", "cidr_ip", (CIDR,), IP, lambda cidr: Ip(cidr.network.ip)),
    functions.member("prefixLength", "cidr_prefix_length", (CIDR,), INT, lambda cidr: cidr.network.network.prefixlen),
    functions.member("masked", "cidr_masked", (CIDR,), CIDR, _masked),
)  # fmt: skip
