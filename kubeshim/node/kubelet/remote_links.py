"""Netlink for what leads to other machines: the overlay's device, who is behind it, and routes marked as ours.

Beside ``network_links`` the other file that speaks to the kernel of links and routes, in its manner: each function
works in the calling thread's network namespace and is idempotent. Routes made here carry a protocol number of their
own, so that they are found again by it, whoever made them, and nobody else's is ever taken away.
"""

import dataclasses
import errno
import ipaddress
from collections.abc import Mapping, Sequence

from kubeshim.node.kubelet import network_links

PROTOCOL = 84
"""Of routes (``ip route`` shows ``proto 84``): a number that rt_protos leaves free."""
_NUD_PERMANENT = 0x80
_NTF_SELF = 2
_RTNH_ONLINK = 4


@dataclasses.dataclass(frozen=True, slots=True)
class Tunnel:
    """The overlay's device of one node."""

    local: str
    """This machine's address."""
    port: int
    mac: str
    mtu: int


@dataclasses.dataclass(frozen=True, slots=True)
class Neighbour:
    """A node behind the overlay."""

    mac: str
    machine: str
    """The address of the machine it is on."""
    vni: int


@dataclasses.dataclass(frozen=True, slots=True)
class Route:
    """``gateway`` through ``device``, or wherever that is, where no device is named."""

    gateway: str
    device: str = ""
    source: str = ""


def create_tunnel(name: str, vni: int, wanted: Tunnel, pid: int | None) -> bool:
    """Makes the device in the namespace of a process; its packets travel in the calling thread's.

    False where another device here has that number.
    """
    with network_links.netlink() as socket:
        attributes = {
            "ifname": name,
            "kind": "vxlan",
            "address": wanted.mac,
            "mtu": wanted.mtu,
            "vxlan_id": vni,
            "vxlan_local": wanted.local,
            "vxlan_port": wanted.port,
            "vxlan_learning": False,
        }
        if pid is not None:
            attributes["net_ns_pid"] = pid
        try:
            socket.link("add", **attributes)
        except Exception as error:
            if getattr(error, "code", 0) == errno.EEXIST:
                return False
            raise
    return True


def tunnel_number(name: str, wanted: Tunnel) -> int | None:
    """The number of a device that stands as wanted; one that stands otherwise is removed."""
    with network_links.netlink() as socket:
        index = network_links.index_of(socket, name)
        if index is None:
            return None
        link = socket.get_links(index)[0]
        data = link.get_attr("IFLA_LINKINFO").get_attr("IFLA_INFO_DATA")
        found = Tunnel(
            str(data.get_attr("IFLA_VXLAN_LOCAL")),
            int(data.get_attr("IFLA_VXLAN_PORT")),
            str(link.get_attr("IFLA_ADDRESS")),
            int(link.get_attr("IFLA_MTU")),
        )
        if found == wanted:
            return int(data.get_attr("IFLA_VXLAN_ID"))
        socket.link("del", index=index)
    return None


def up(name: str) -> None:
    with network_links.netlink() as socket:
        socket.link("set", index=network_links.index_of(socket, name), state="up")


def set_neighbours(name: str, wanted: Mapping[str, Neighbour]) -> None:
    """Makes ``{node address: where it is}`` all that is known behind the device."""
    with network_links.netlink() as socket:
        index = network_links.index_of(socket, name)
        if index is None:
            raise OSError(errno.ENODEV, f"no link {name}")
        behind = {(entry.mac, entry.machine, entry.vni) for entry in wanted.values()}
        for entry in socket.fdb("dump", ifindex=index):
            key = (entry.get_attr("NDA_LLADDR"), entry.get_attr("NDA_DST"), entry.get_attr("NDA_VNI"))
            if key in behind:
                behind.discard(key)
            elif key[1] is not None:
                socket.fdb("del", ifindex=index, lladdr=key[0], dst=key[1], vni=key[2], flags=_NTF_SELF)
        for mac, machine, vni in sorted(behind):
            socket.fdb("append", ifindex=index, lladdr=mac, dst=machine, vni=vni, state=_NUD_PERMANENT, flags=_NTF_SELF)
        for entry in socket.get_neighbours(family=2, ifindex=index):
            address = entry.get_attr("NDA_DST")
            if address not in wanted:
                network_links.quietly(socket.neigh, "del", dst=address, ifindex=index)
        for address, entry in wanted.items():
            socket.neigh("replace", dst=address, lladdr=entry.mac, ifindex=index, state=_NUD_PERMANENT)


def set_routes(wanted: Mapping[str, Route], within: Sequence[str]) -> None:
    """Makes them, by destination, all routes of this namespace into those ranges that carry our mark."""
    wider = [ipaddress.IPv4Network(cidr) for cidr in within]
    with network_links.netlink() as socket:
        standing: dict[str, Route] = {}
        names = {link["index"]: str(link.get_attr("IFLA_IFNAME")) for link in socket.get_links()}
        for route in socket.get_routes(family=2, table=254):
            destination = f"{route.get_attr('RTA_DST')}/{route['dst_len']}"
            if route["proto"] == PROTOCOL and any(map(ipaddress.IPv4Network(destination).subnet_of, wider)):
                device = names.get(route.get_attr("RTA_OIF", 0), "")
                source = str(route.get_attr("RTA_PREFSRC") or "")
                standing[destination] = Route(str(route.get_attr("RTA_GATEWAY") or ""), device, source)
        for destination, found in standing.items():
            if destination not in wanted:
                gateway = {"gateway": found.gateway} if found.gateway else {}
                network_links.quietly(socket.route, "del", dst=destination, proto=PROTOCOL, **gateway)
        for destination, route in wanted.items():
            if not _is(standing.get(destination), route):
                socket.route("replace", dst=destination, proto=PROTOCOL, **_attributes(socket, route))


def _is(standing: Route | None, wanted: Route) -> bool:
    """Where no device is asked for, any will do."""
    if standing is None:
        return False
    return wanted == (standing if wanted.device else dataclasses.replace(standing, device=""))


def _attributes(socket: object, route: Route) -> dict[str, object]:
    found: dict[str, object] = {"gateway": route.gateway}
    if route.device:
        index = network_links.index_of(socket, route.device)
        if index is None:
            raise OSError(errno.ENODEV, f"no link {route.device}")
        found |= {"oif": index, "flags": _RTNH_ONLINK}
    if route.source:
        found["prefsrc"] = route.source
    return found
