"""Forgets UDP flows that lead to endpoints a Service no longer has.

The kernel keeps sending an established flow where it first went, and a UDP client that keeps its socket (a resolver,
a sender of statistics) never starts another. So after a change the flows of changed UDP frontends are looked
through, and those that lead elsewhere than to a present endpoint are deleted. Speaks ctnetlink itself: a dump of
thousands of flows is parsed in milliseconds, and no program needs to be installed.
"""

import dataclasses
import errno
import os
import socket
import struct
from collections.abc import Iterable, Iterator

from kubeshim.node.kube_proxy import endpoints, services

UDP = 17

_NETLINK_NETFILTER = 12
_GET, _DELETE = 0x0101, 0x0102
_REQUEST, _ACK, _DUMP = 0x001, 0x004, 0x300
_DONE, _ERROR = 3, 2
_TUPLE_ORIGINAL, _TUPLE_REPLY = 1, 2
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_FAMILY = struct.Struct("=BBH")
_ADDRESSES = {4: (1, 2, socket.AF_INET), 16: (3, 4, socket.AF_INET6)}
"""Length of an address → attributes of source and destination, and the family."""
_TYPE_MASK = 0x3FFF

Wanted = dict[endpoints.Address, frozenset[endpoints.Address]]
"""Address and port of UDP frontends → the endpoints that flows there may lead to."""


@dataclasses.dataclass(frozen=True, slots=True)
class Flow:
    """A tracked flow: whom the client addressed, and who answers."""

    protocol: int
    to: endpoints.Address
    answered_by: str
    answer_port: int
    original: bytes
    """The kernel's own form of the original tuple, to name the flow by."""


def targets(frontends: Iterable[services.Frontend], node: services.Node) -> Wanted:
    """Address and port of UDP frontends → the endpoints flows there may lead to (pure)."""
    found: Wanted = {}
    for frontend in frontends:
        if frontend.protocol != "udp":
            continue
        allowed = frozenset(frontend.cluster) | frozenset(frontend.local)
        for address in node.addresses if frontend.kind == "node-port" else (frontend.address,):
            found[(address, frontend.port)] = allowed
    return found


def stale(flows: Iterable[Flow], wanted: Wanted) -> Iterator[Flow]:
    """UDP flows to those frontends that are answered by none of their endpoints (pure)."""
    for flow in flows:
        if flow.protocol != UDP or flow.to not in wanted:
            continue
        if (flow.answered_by, flow.answer_port) not in wanted[flow.to]:
            yield flow


def forget(wanted: Wanted) -> int:
    """Deletes stale flows of the calling thread's namespace; returns how many. Raises ``OSError``."""
    if not wanted:
        return 0
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as connection:
        connection.bind((0, 0))
        doomed = list(stale(_dump(connection), wanted))
        for flow in doomed:
            _delete(connection, flow)
    return len(doomed)


def _dump(connection: socket.socket) -> list[Flow]:
    every = _FAMILY.pack(socket.AF_UNSPEC, 0, 0)
    connection.send(_HEADER.pack(_HEADER.size + len(every), _GET, _REQUEST | _DUMP, 1, 0) + every)
    found: list[Flow] = []
    while True:
        for kind, body in _messages(connection.recv(1 << 18)):
            if kind == _DONE:
                return found
            if kind == _ERROR:
                _raise(body)
            flow = parse(body[4:])
            if flow is not None:
                found.append(flow)


def _delete(connection: socket.socket, flow: Flow) -> None:
    attribute = _ATTRIBUTE.pack(4 + len(flow.original), _TUPLE_ORIGINAL | 0x8000) + flow.original
    family = socket.AF_INET6 if ":" in flow.to[0] else socket.AF_INET
    body = _FAMILY.pack(family, 0, 0) + attribute
    connection.send(_HEADER.pack(_HEADER.size + len(body), _DELETE, _REQUEST | _ACK, 2, 0) + body)
    for kind, answer in _messages(connection.recv(1 << 16)):
        if kind == _ERROR:
            _raise(answer, but=errno.ENOENT)


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _HEADER.size:
        length, kind, _, _, _ = _HEADER.unpack_from(data)
        yield kind, data[_HEADER.size : length]
        data = data[(length + 3) & ~3 :]


def _raise(body: bytes, but: int = 0) -> None:
    code = -struct.unpack_from("=i", body)[0]
    if code and code != but:
        raise OSError(code, f"conntrack: {os.strerror(code)}")


def parse(body: bytes) -> Flow | None:
    """One flow from its attributes; None for what has no ports."""
    attributes = _attributes(body)
    original, reply = attributes.get(_TUPLE_ORIGINAL), attributes.get(_TUPLE_REPLY)
    if original is None or reply is None:
        return None
    asked, answered = _tuple(original), _tuple(reply)
    if asked is None or answered is None:
        return None
    return Flow(asked[0], (asked[2], asked[4]), answered[1], answered[3], original)


def _tuple(data: bytes) -> tuple[int, str, str, int, int] | None:
    """``(protocol, source, destination, source port, destination port)``."""
    parts = _attributes(data)
    addresses, protocol = _attributes(parts.get(1, b"")), _attributes(parts.get(2, b""))
    if 2 not in protocol or 3 not in protocol:
        return None
    for size, (source, destination, family) in _ADDRESSES.items():
        if len(addresses.get(source, b"")) == len(addresses.get(destination, b"")) == size:
            return (
                protocol[1][0],
                socket.inet_ntop(family, addresses[source]),
                socket.inet_ntop(family, addresses[destination]),
                int.from_bytes(protocol[2][:2]),
                int.from_bytes(protocol[3][:2]),
            )
    return None


def _attributes(data: bytes) -> dict[int, bytes]:
    found = {}
    while len(data) >= 4:
        length, kind = _ATTRIBUTE.unpack_from(data)
        if length < 4:
            break
        found[kind & _TYPE_MASK] = data[4:length]
        data = data[(length + 3) & ~3 :]
    return found
