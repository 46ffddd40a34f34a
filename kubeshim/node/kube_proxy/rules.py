"""Services as nftables maps (pure): frontends to elements, elements to text.

There is no chain per Service (but for session affinity). A verdict map leads an address and port to one of a few
shared chains, named after what they do and how many endpoints they choose among; that chain draws a number into the
packet's mark and a data map turns address, port and number into the endpoint. So a change is a few elements, and the
first packet of a connection takes the same time with 10 Services or 10,000.

Session affinity stores the endpoint's own number (a hash of its address, ``ids``), not its place in the list, so
that clients stay where they are when other endpoints come and go, and move when theirs is gone. Such a frontend has a
map of its own, from client to number: one key for all, with the frontend in it, is longer in IPv6 than nftables 1.0
can write in a rule (16 bytes).

Masquerading is decided in ``nat`` by the frontend's kind and carried in the connection's mark to ``postrouting``.
What has no endpoint is refused in the filter chains, as is every unknown port of the Service ranges.

    prerouting, output → services → (svc | node-ports) → chain → (eps | affinity → by-id)
"""

import dataclasses
import hashlib
from collections.abc import Iterable
from typing import NamedTuple

from kubeshim.node.kube_proxy import endpoints, families, services

MASQUERADE_MARK = "0x4000"
LOCAL_SLOT = 0x10000
"""Where the numbers of a Local policy's endpoints begin, beside those of all endpoints."""

_NODE_PORT_KEY = "meta l4proto . th dport"

MAPS: tuple[tuple[str, str, str], ...] = (
    ("map", "svc", "type {addr} . inet_proto . inet_service : verdict ;"),
    ("map", "node-ports", "type inet_proto . inet_service : verdict ;"),
    ("map", "eps", "type {addr} . inet_proto . inet_service . mark : {addr} . inet_service ;"),
    ("map", "np-eps", "type inet_proto . inet_service . mark : {addr} . inet_service ;"),
    ("map", "ids", "type {addr} . inet_proto . inet_service . mark : mark ;"),
    ("map", "np-ids", "type inet_proto . inet_service . mark : mark ;"),
    ("map", "by-id", "type {addr} . inet_proto . inet_service . mark : {addr} . inet_service ;"),
    ("map", "np-by-id", "type inet_proto . inet_service . mark : {addr} . inet_service ;"),
    ("set", "hairpin", "type {addr} . {addr} ;"),
    ("set", "no-endpoints", "type {addr} . inet_proto . inet_service ;"),
    ("set", "np-no-endpoints", "type inet_proto . inet_service ;"),
    ("set", "restricted", "type {addr} . inet_proto . inet_service ;"),
    ("set", "allowed", "type {addr} . inet_proto . inet_service . {addr} ; flags interval ;"),
)
"""Kind, name and type of each map and set whose elements follow from Services; ``{addr}`` is the family's."""
TARGETS = frozenset({"eps", "np-eps", "ids", "np-ids", "hairpin"})
"""Those that matter only to a packet which a verdict led there. ``by-id`` is none: clients remember what is in it."""
AFFINITY = "affinity-"
"""What the names of maps begin with that the kernel fills; kept when everything else is written anew."""
BASE_CHAINS = (
    "services", "refuse", "refuse-node-ports", "firewall", "prerouting", "output", "postrouting",
    "firewall-prerouting", "firewall-output", "filter-input", "filter-forward", "filter-output",
)  # fmt: skip


def table(node: services.Node) -> str:
    """The table of the node's family."""
    return f"{node.family.word} kube-proxy"


def _ip_key(family: families.Family) -> str:
    return f"{family.word} daddr . meta l4proto . th dport"


@dataclasses.dataclass(frozen=True, slots=True)
class Chain:
    """A shared chain. ``kind`` is ``cluster``, ``external`` or ``local`` (an external frontend's Local policy)."""

    kind: str
    node_port: bool
    count: int
    local_count: int = 0
    affinity: int = 0
    own: str = ""
    """With affinity: whose chain it is alone."""

    @property
    def name(self) -> str:
        parts = ["np" if self.node_port else "ip", self.kind, str(self.count)]
        if self.kind == "local":
            parts.append(str(self.local_count))
        if self.affinity:
            parts += [f"a{self.affinity}", self.own]
        return "-".join(parts)

    @property
    def needs(self) -> tuple["Chain", ...]:
        """Chains its rules go to."""
        if self.kind != "local":
            return ()
        return tuple(
            Chain(kind, self.node_port, self.count, 0, self.affinity, self.own) for kind in ("cluster", "external")
        )

    @property
    def map(self) -> str:
        """Where it remembers clients; empty where it does not."""
        if not self.affinity:
            return ""
        return f"{AFFINITY}local-{self.own}" if self.kind == "local" else f"{AFFINITY}{self.own}"


class Element(NamedTuple):
    """An entry of a map or (with an empty value) of a set. A verdict's value names ``chain``."""

    map: str
    key: str
    value: str = ""
    chain: Chain | None = None

    @property
    def text(self) -> str:
        return f"{self.key} : {self.value}" if self.value else self.key

    @property
    def is_target(self) -> bool:
        """Whether it matters only to packets that a verdict led there."""
        return self.map in TARGETS


def elements(frontends: Iterable[services.Frontend]) -> frozenset[Element]:
    """What one Service's frontends put into the maps."""
    found: set[Element] = set()
    for frontend in frontends:
        found |= _elements(frontend)
    return frozenset(found)


def _elements(frontend: services.Frontend) -> set[Element]:
    node_port = frontend.kind == "node-port"
    prefix = "np-" if node_port else ""
    key = f"{frontend.protocol} . {frontend.port}"
    if not node_port:
        key = f"{frontend.address} . {key}"
    found: set[Element] = set()
    if frontend.sources:
        found.add(Element("restricted", key))
        found |= {Element("allowed", f"{key} . {source}") for source in frontend.sources}
    if not frontend.cluster and not frontend.local:
        return found | {Element(f"{prefix}no-endpoints", key)}
    verdicts = "node-ports" if node_port else "svc"
    chain, slots = _chain(frontend)
    if chain is None:
        return found | {Element(verdicts, key, "drop")}
    found.add(Element(verdicts, key, f"goto {chain.name}", chain))
    for first, chosen in slots:
        numbers = _numbers(chosen) if frontend.affinity else {}
        for place, address in enumerate(chosen, first):
            target = f"{address[0]} . {address[1]}"
            found.add(Element(f"{prefix}eps", f"{key} . {place}", target))
            found.add(Element("hairpin", f"{address[0]} . {address[0]}"))
            if numbers:
                found.add(Element(f"{prefix}ids", f"{key} . {place}", str(numbers[address])))
                found.add(Element(f"{prefix}by-id", f"{key} . {numbers[address]}", target))
    return found


def _chain(frontend: services.Frontend) -> tuple[Chain | None, list[tuple[int, tuple[endpoints.Address, ...]]]]:
    """The chain a frontend goes to (None: drop), and the lists its numbers choose from with their first number."""
    node_port, affinity = frontend.kind == "node-port", frontend.affinity
    own = _own(frontend) if affinity else ""
    if frontend.kind == "cluster":
        chosen = frontend.local if frontend.local_only else frontend.cluster
        return (Chain("cluster", False, len(chosen), 0, affinity, own), [(0, chosen)]) if chosen else (None, [])
    cluster = frontend.cluster or frontend.local
    if not frontend.local_only:
        return Chain("external", node_port, len(cluster), 0, affinity, own), [(0, cluster)]
    chain = Chain("local", node_port, len(cluster), len(frontend.local), affinity, own)
    return chain, [(0, cluster), (LOCAL_SLOT, frontend.local)]


def _own(frontend: services.Frontend) -> str:
    identity = f"{frontend.kind} {frontend.address} {frontend.protocol} {frontend.port}"
    return hashlib.sha256(identity.encode()).hexdigest()[:12]


def _numbers(addresses: Iterable[endpoints.Address]) -> dict[endpoints.Address, int]:
    """A number for each endpoint that depends on its address alone (but for the rare collision)."""
    taken: set[int] = set()
    found = {}
    for address in sorted(addresses):
        digest = hashlib.sha256(f"{address[0]}:{address[1]}".encode()).digest()
        number = 0x20000000 | int.from_bytes(digest[:4]) >> 3
        while number in taken:
            number += 1
        taken.add(number)
        found[address] = number
    return found


def chain_rules(chain: Chain, node: services.Node) -> list[str]:
    """The rules of a shared chain."""
    family, ip = node.family, node.family.word
    key = _NODE_PORT_KEY if chain.node_port else _ip_key(family)
    client = f"{ip} saddr"
    prefix = "np-" if chain.node_port else ""
    rules = []
    first, count = 0, chain.count
    if chain.kind == "external" or node.masquerade_all:
        rules.append(f"ct mark set {MASQUERADE_MARK}")
    elif chain.kind == "cluster":
        rules.append(f"{ip} saddr != {node.cluster_cidr} ct mark set {MASQUERADE_MARK}")
    else:
        # Pods and the node itself are inside the cluster: a Local policy is for those who come from outside.
        cluster, external = chain.needs
        rules += [f"{ip} saddr {node.cluster_cidr} goto {cluster.name}", f"fib saddr type local goto {external.name}"]
        first, count = LOCAL_SLOT, chain.local_count
        if not count:
            return [*rules, "drop"]
    go, go_back = (f"dnat {ip} addr . port to {key} . meta mark map @{prefix}{name}" for name in ("eps", "by-id"))
    draw = f"meta mark set numgen random mod {count}" + (f" offset {first}" if first else "")
    if not chain.affinity:
        return [*rules, draw, go]
    remember = f"update @{chain.map} {{ {client} timeout {chain.affinity}s : meta mark }}"
    return [
        *rules,
        "meta mark set 0",
        f"meta mark set {client} map @{chain.map}",
        f"meta mark != 0 {remember}",
        f"meta mark != 0 {go_back}",
        draw,
        f"meta mark set {key} . meta mark map @{prefix}ids",
        # An update leaves the value of an entry that is there (of an endpoint that is gone) as it was.
        f"delete @{chain.map} {{ {client} : meta mark }}",
        remember,
        go_back,
        # That endpoint went at this very moment.
        draw,
        go,
    ]


def affinity_map(name: str, node: services.Node) -> str:
    """The text that makes it where it is not there."""
    spec = f"type {node.family.address_type} : mark ; flags dynamic,timeout ; size 65535 ;"
    return f"add map {table(node)} {name} {{ {spec} }}"


def base(node: services.Node) -> str:
    """Table, maps, hooks and fixed rules. Written over an older table of ours it empties all but affinities."""
    where, address = table(node), node.family.address_type
    lines = [f"add table {where}"]
    lines += [f"add {kind} {where} {name} {{ {spec.format(addr=address)} }}" for kind, name, spec in MAPS]
    for name, hook in _HOOKS:
        lines.append(f"add chain {where} {name}" + (f" {{ {hook} ; }}" if hook else ""))
    lines += [f"flush chain {where} {name}" for name in BASE_CHAINS]
    lines += [f"flush {kind} {where} {name}" for kind, name, _ in MAPS]
    lines += [f"add rule {where} {chain} {rule}" for chain, rule in _fixed_rules(node)]
    return "".join(f"{line}\n" for line in lines)


_HOOKS = (
    ("services", ""),
    ("refuse", ""),
    ("refuse-node-ports", ""),
    ("firewall", ""),
    ("prerouting", "type nat hook prerouting priority -100"),
    ("output", "type nat hook output priority -100"),
    ("postrouting", "type nat hook postrouting priority 100"),
    # Sources are judged before nat rewrites the address; what has no endpoint is refused after it.
    ("firewall-prerouting", "type filter hook prerouting priority -110"),
    ("firewall-output", "type filter hook output priority -110"),
    ("filter-input", "type filter hook input priority 0"),
    ("filter-forward", "type filter hook forward priority 0"),
    ("filter-output", "type filter hook output priority 0"),
)


def _fixed_rules(node: services.Node) -> list[tuple[str, str]]:
    here = ", ".join(node.addresses)
    ranges = ", ".join(node.service_cidrs)
    ip, key = node.family.word, _ip_key(node.family)
    # Both are ECONNREFUSED for the client; a reset, unlike an ICMP error, is not limited in number.
    refusals = ("meta l4proto tcp {} reject with tcp reset", f"{{}} reject with {node.family.refusal}")
    return [
        ("services", f"{key} vmap @svc"),
        ("services", f"{ip} daddr {{ {here} }} {_NODE_PORT_KEY} vmap @node-ports"),
        ("prerouting", "jump services"),
        ("output", "jump services"),
        ("postrouting", f"ct mark {MASQUERADE_MARK} masquerade fully-random"),
        ("postrouting", f"ct status & dnat == dnat {ip} saddr . {ip} daddr @hairpin masquerade fully-random"),
        *(("refuse", how.format(f"{key} @no-endpoints")) for how in refusals),
        *(("refuse", how.format(f"{ip} daddr {{ {ranges} }}")) for how in refusals),
        *(
            ("refuse-node-ports", how.format(f"{ip} daddr {{ {here} }} {_NODE_PORT_KEY} @np-no-endpoints"))
            for how in refusals
        ),
        ("firewall", f"{key} @restricted {key} . {ip} saddr != @allowed drop"),
        ("firewall-prerouting", "ct state new jump firewall"),
        ("firewall-output", "ct state new jump firewall"),
        ("filter-input", "ct state new jump refuse-node-ports"),
        ("filter-input", "ct state new jump refuse"),
        ("filter-forward", "ct state new jump refuse"),
        ("filter-output", "ct state new jump refuse"),
    ]
