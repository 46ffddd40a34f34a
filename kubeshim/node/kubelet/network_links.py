"""Links, addresses and routes by netlink: the only file that knows pyroute2, besides ``remote_links``
and ``kube_proxy/conntrack``.

Each function opens its own netlink socket in the namespace of the calling thread (under a millisecond) and is
idempotent: what stands already as wanted is left, what stands otherwise is replaced. pyroute2 is imported when
first used, because it takes a process 150 ms that only an agent needs to spend.
"""

import contextlib
import errno
import ipaddress
from collections.abc import Iterator
from typing import Any

GATEWAY = "169.254.1.1"
"""Every pod's gateway: an address nobody has, resolved by a permanent neighbour entry to the host end's MAC."""
GATEWAY6 = "fe80::1"
HOST_END_MAC = "ee:ee:ee:ee:ee:ee"

_SCOPE_LINK = 253
_NUD_PERMANENT = 0x80
_TYPE_UNREACHABLE = 7
_IFF_UP = 1
_IFA_F_NODAD = 2
_INET, _INET6 = 2, 10

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _family(text: str) -> int:
    return _INET6 if ":" in text else _INET


@contextlib.contextmanager
def netlink() -> Iterator[Any]:
    """A routing socket in the calling thread's network namespace. The kernel's refusals come out as ``OSError``."""
    from pyroute2 import IPRoute, NetlinkError

    socket = IPRoute()
    try:
        yield socket
    except NetlinkError as error:
        raise OSError(error.code, f"netlink: {error}") from error
    finally:
        socket.close()


def index_of(socket: Any, name: str) -> int | None:
    found = socket.link_lookup(ifname=name)
    return int(found[0]) if found else None


def link_with_address(address: str) -> tuple[int, str, int] | None:
    """``(index, name, MTU)`` of the link that has an address, if any."""
    with netlink() as socket:
        for entry in socket.get_addr(family=_family(address)):
            if entry.get_attr("IFA_LOCAL") == address or entry.get_attr("IFA_ADDRESS") == address:
                link = socket.get_links(entry["index"])[0]
                return int(entry["index"]), str(link.get_attr("IFLA_IFNAME")), int(link.get_attr("IFLA_MTU"))
    return None


def prefix_of(address: str) -> int:
    """Length of the prefix an address of this namespace was given with; 32 for one that is not there."""
    with netlink() as socket:
        for entry in socket.get_addr(family=2):
            if entry.get_attr("IFA_LOCAL") == address:
                return int(entry["prefixlen"])
    return 32


def add_address(address: str, prefix: int, *, beside: str) -> None:
    """An IPv6 address more on the link that has ``beside``. Raises ``OSError`` where there is none."""
    link = link_with_address(beside)
    if link is None:
        raise OSError(errno.ENODEV, f"no link has the address {beside}")
    with netlink() as socket:
        socket.addr("replace", family=_INET6, index=link[0], address=address, prefixlen=prefix, flags=_IFA_F_NODAD)


def create_pair(name: str, mtu: int, peer: str, peer_pid: int) -> None:
    """A veth pair: ``name`` here and up, ``peer`` in the namespace of a process. Replaces a stale one of that name."""
    with netlink() as socket:
        wanted = {
            "ifname": name,
            "kind": "veth",
            "mtu": mtu,
            "address": HOST_END_MAC,
            "state": "up",
            "peer": {"ifname": peer, "mtu": mtu, "net_ns_pid": peer_pid},
        }
        try:
            socket.link("add", **wanted)
        except Exception as error:
            if _code(error) != errno.EEXIST:
                raise
            # An earlier sandbox of the same pod: its namespace is dying, or its end lies in a pod that is no more.
            index = index_of(socket, name)
            if index is not None:
                socket.link("del", index=index)
            socket.link("add", **wanted)


def route_to_link(destination: str, name: str) -> None:
    """``destination`` is directly behind the link ``name``."""
    with netlink() as socket:
        index = index_of(socket, name)
        if index is None:
            raise OSError(errno.ENODEV, f"no link {name}")
        socket.route("replace", family=_family(destination), dst=destination, oif=index, scope=_SCOPE_LINK)


def neighbour(address: str, mac: str, name: str) -> None:
    """Who has ``address`` on the link ``name`` is not asked for: it is ``mac``, for good."""
    with netlink() as socket:
        index = index_of(socket, name)
        if index is None:
            raise OSError(errno.ENODEV, f"no link {name}")
        socket.neigh("replace", family=_family(address), dst=address, lladdr=mac, ifindex=index, state=_NUD_PERMANENT)


def mac_of(name: str) -> str:
    """Of a link of this namespace."""
    with netlink() as socket:
        index = index_of(socket, name)
        if index is None:
            raise OSError(errno.ENODEV, f"no link {name}")
        return str(socket.get_links(index)[0].get_attr("IFLA_ADDRESS"))


def route_via(destination: str, gateway: str, *, keep_existing: bool = False) -> bool:
    """Routes a range through a neighbour. With ``keep_existing`` a route that stands is left (and False returned)."""
    with netlink() as socket:
        try:
            verb = "add" if keep_existing else "replace"
            socket.route(verb, family=_family(destination), dst=destination, gateway=gateway)
        except Exception as error:
            if keep_existing and _code(error) == errno.EEXIST:
                return False
            raise
    return True


def route_on_bridge(destination: str, bridge: str, source: str) -> None:
    """Routes a range into a bridge without ports, so that it never leaves through the default route."""
    with netlink() as socket:
        index = index_of(socket, bridge)
        if index is None:
            try:
                socket.link("add", ifname=bridge, kind="bridge", state="up")
            except Exception as error:
                if _code(error) != errno.EEXIST:
                    raise
            index = index_of(socket, bridge)
        socket.link("set", index=index, state="up")
        family = _family(destination)
        socket.route("replace", family=family, dst=destination, oif=index, prefsrc=source, scope=_SCOPE_LINK)


def unreachable(destination: str, metric: int) -> None:
    """What no better route matches within ``destination`` is answered with EHOSTUNREACH here."""
    with netlink() as socket:
        family = _family(destination)
        socket.route("replace", family=family, dst=destination, type=_TYPE_UNREACHABLE, priority=metric)


def remove_unreachable(destination: str, metric: int) -> None:
    with netlink() as socket:
        family = _family(destination)
        quietly(socket.route, "del", family=family, dst=destination, type=_TYPE_UNREACHABLE, priority=metric)


def remove_route(destination: str, gateway: str) -> None:
    with netlink() as socket:
        quietly(socket.route, "del", family=_family(destination), dst=destination, gateway=gateway)


def remove_link(name: str) -> None:
    with netlink() as socket:
        index = index_of(socket, name)
        if index is not None:
            quietly(socket.link, "del", index=index)


def peer_of(address: str) -> int | None:
    """The index, in its own namespace, of the other end of the veth that has an address here."""
    with netlink() as socket:
        for entry in socket.get_addr(family=2):
            if entry.get_attr("IFA_LOCAL") == address:
                peer = socket.get_links(entry["index"])[0].get_attr("IFLA_LINK")
                return int(peer) if peer is not None else None
    return None


def is_up(index: int) -> bool:
    with netlink() as socket:
        return bool(socket.get_links(index)[0]["flags"] & _IFF_UP)


def set_up_or_down(index: int, up: bool) -> None:
    with netlink() as socket:
        socket.link("set", index=index, state="up" if up else "down")


def loopback_up() -> None:
    with netlink() as socket:
        socket.link("set", index=1, state="up")


def configure_pod(interface: str, address: str) -> None:
    """Inside a pod: loopback up, everything through ``GATEWAY``, and last the address, which tells that all is done."""
    with netlink() as socket:
        socket.link("set", index=1, state="up")
        index = index_of(socket, interface)
        if index is None:
            raise OSError(errno.ENODEV, f"no link {interface}")
        for entry in socket.get_addr(family=2, index=index):
            if entry.get_attr("IFA_LOCAL") != address:
                socket.addr("del", index=index, address=entry.get_attr("IFA_LOCAL"), prefixlen=entry["prefixlen"])
        socket.link("set", index=index, state="up")
        socket.neigh("replace", dst=GATEWAY, lladdr=HOST_END_MAC, ifindex=index, state=_NUD_PERMANENT)
        socket.route("replace", dst=f"{GATEWAY}/32", oif=index, scope=_SCOPE_LINK)
        socket.route("replace", dst="default", gateway=GATEWAY, oif=index)
        socket.addr("replace", index=index, address=address, prefixlen=32)


def configure_pod_ipv6(interface: str, address: str) -> None:
    """The same for the second family; the address is nobody else's, so no time is spent on asking around."""
    with netlink() as socket:
        index = index_of(socket, interface)
        if index is None:
            raise OSError(errno.ENODEV, f"no link {interface}")
        for entry in socket.get_addr(family=_INET6, index=index):
            if entry["scope"] != _SCOPE_LINK and entry.get_attr("IFA_ADDRESS") != address:
                socket.addr("del", index=index, address=entry.get_attr("IFA_ADDRESS"), prefixlen=entry["prefixlen"])
        socket.addr("replace", family=_INET6, index=index, address=address, prefixlen=128, flags=_IFA_F_NODAD)
        socket.neigh("replace", family=_INET6, dst=GATEWAY6, lladdr=HOST_END_MAC, ifindex=index, state=_NUD_PERMANENT)
        socket.route("replace", family=_INET6, dst="default", gateway=GATEWAY6, oif=index)


def addresses(interface: str) -> list[str]:
    """Addresses of a link of this namespace but link-local ones, IPv4 first; none where the link is missing."""
    with netlink() as socket:
        index = index_of(socket, interface)
        if index is None:
            return []
        found = [str(entry.get_attr("IFA_LOCAL")) for entry in socket.get_addr(family=_INET, index=index)]
        second = socket.get_addr(family=_INET6, index=index)
        return found + [str(entry.get_attr("IFA_ADDRESS")) for entry in second if entry["scope"] != _SCOPE_LINK]


def routes(version: int = 4) -> list[tuple[Network, str, str]]:
    """``(destination, device or type, gateway)`` of this namespace's main table, the default route left out."""
    found: list[tuple[Network, str, str]] = []
    with netlink() as socket:
        names = {link["index"]: str(link.get_attr("IFLA_IFNAME")) for link in socket.get_links()}
        for route in socket.get_routes(family=_INET if version == 4 else _INET6, table=254):
            destination = route.get_attr("RTA_DST")
            if destination is None:
                continue
            network = ipaddress.ip_network(f"{destination}/{route['dst_len']}")
            through = (
                "unreachable" if route["type"] == _TYPE_UNREACHABLE else names.get(route.get_attr("RTA_OIF", 0), "")
            )
            found.append((network, through, str(route.get_attr("RTA_GATEWAY") or "")))
    return found


def quietly(function: Any, *arguments: Any, **options: Any) -> None:
    """Removing what is not there is no error."""
    try:
        function(*arguments, **options)
    except Exception as error:
        if _code(error) not in (errno.ESRCH, errno.ENODEV, errno.ENOENT, errno.ENETUNREACH):
            raise


def _code(error: Exception) -> int:
    """The errno of a NetlinkError (its ``code``) or an OSError."""
    return int(getattr(error, "code", 0) or getattr(error, "errno", 0) or 0)
