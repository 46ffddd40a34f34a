"""Isolation as nftables (pure): what stands, and the text that takes it to what shall stand.

Two chains look at every new connection that is forwarded, one for each direction, so that a connection between two
pods of one node has to please both. A map leads an isolated pod's address to a chain for the very set of policies it
has; that jumps to each policy's own chain, where something allowed is accepted, and drops what comes back. Peers are
in a named set a rule, so that pods coming and going change elements and no rule.

What the node itself sends to its pods (probes) is not forwarded, and a pod always reaches itself.

    ingress → ingress-pods → set of policies → policy → accept
                                             ↘ drop
"""

import dataclasses
import hashlib
import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from kubeshim.node.network_policy import policies

TABLE = "kubeshim-policy"
_AT_ONCE = 2000
_WORDS = {4: ("ip", "ipv4_addr"), 6: ("ip6", "ipv6_addr")}
_ADDRESS = {"ingress": "saddr", "egress": "daddr"}
_SERVED_TYPE = "type {addr} . inet_proto . inet_service ;"
_ADDRESSES_TYPE = "type {addr} ;"
_FIXED_SETS: tuple[tuple[str, str, str], ...] = (
    ("map", "ingress-pods", "type {addr} : verdict ;"),
    ("map", "egress-pods", "type {addr} : verdict ;"),
    ("set", "itself", "type {addr} . {addr} ;"),
    ("set", "dns", _SERVED_TYPE),
)
_HOOKS = (("egress", "saddr", -6), ("ingress", "daddr", -5))
"""Before kube-proxy's filters (0), after its address rewriting."""


@dataclasses.dataclass(frozen=True, slots=True)
class State:
    """What stands in the table of one family: rules by chain, and elements by set or map (with the key first)."""

    chains: Mapping[str, tuple[str, ...]]
    sets: Mapping[str, tuple[str, frozenset[tuple[str, str]]]]
    """Name → its type, and elements as (key, value); sets have empty values."""
    version: int = 4


def empty(version: int = 4) -> State:
    """The table without any policy."""
    return State({}, {name: (f"{kind} {spec}", frozenset()) for kind, name, spec in _FIXED_SETS}, version)


def table(version: int = 4) -> str:
    """As nftables wants it named."""
    return f"{_WORDS[version][0]} {TABLE}"


def state(isolation: policies.Isolation) -> State:
    """What shall stand."""
    chains: dict[str, tuple[str, ...]] = {}
    version = isolation.version
    sets = {name: (kind, set(elements)) for name, (kind, elements) in empty(version).sets.items()}
    for (policy, direction), allowed in isolation.rules.items():
        chains[_policy_chain(policy, direction)] = tuple(
            line
            for index, rule in enumerate(allowed)
            for line in _lines(rule, direction, _name(f"{policy} {direction} {index}"), version, sets)
        )
    for (address, direction), names in isolation.selected.items():
        chain = f"{direction}-{_name(' '.join(names))}"
        chains[chain] = (*(f"jump {_policy_chain(name, direction)}" for name in names), "drop")
        sets[f"{direction}-pods"][1].add((address, f"goto {chain}"))
        sets["itself"][1].add((f"{address} . {address}", ""))
    sets["dns"][1].update((_served(found), "") for found in isolation.dns)
    return State(chains, {name: (kind, frozenset(elements)) for name, (kind, elements) in sets.items()}, version)


def _lines(
    rule: policies.Rule,
    direction: policies.Direction,
    name: str,
    version: int,
    sets: dict[str, tuple[str, set[tuple[str, str]]]],
) -> list[str]:
    """The rules of one entry of a policy; fills the sets they need."""
    peer = f"{_WORDS[version][0]} {_ADDRESS[direction]}"
    served = f"{_WORDS[version][0]} daddr . meta l4proto . th dport"
    peers = [""] if rule.anyone else []
    if rule.peers:
        sets[f"peers-{name}"] = (f"set {_ADDRESSES_TYPE}", {(address, "") for address in rule.peers})
        peers.append(f"{peer} @peers-{name} ")
    for block in rule.blocks:
        excepted = f"{peer} != {{ {', '.join(_disjoint(block.excepted))} }} " if block.excepted else ""
        peers.append(f"{peer} {block.cidr} {excepted}")
    ports = [""] if rule.any_port else _ports(rule.ports)
    if rule.named:
        sets[f"named-{name}"] = (f"set {_SERVED_TYPE}", {(_served(found), "") for found in rule.named})
        ports.append(f"{served} @named-{name} ")
    lines = [f"{who}{where}accept" for who in peers for where in ports]
    return [*lines, f"{served} @dns accept"] if rule.dns else lines


def _ports(ports: Iterable[tuple[str, int, int]]) -> list[str]:
    """One match a protocol, overlapping ranges joined (an anonymous set takes no overlaps)."""
    by_protocol: dict[str, list[tuple[int, int]]] = {}
    for protocol, first, last in sorted(ports):
        ranges = by_protocol.setdefault(protocol.lower(), [])
        if ranges and first <= ranges[-1][1] + 1:
            ranges[-1] = ranges[-1][0], max(last, ranges[-1][1])
        else:
            ranges.append((first, last))
    found = []
    for protocol, ranges in by_protocol.items():
        if ranges == [(0, 65535)]:
            found.append(f"meta l4proto {protocol} ")
            continue
        texts = [str(first) if first == last else f"{first}-{last}" for first, last in ranges]
        found.append(f"meta l4proto {protocol} th dport {{ {', '.join(texts)} }} ")
    return found


def _disjoint(cidrs: Iterable[str]) -> list[str]:
    networks: list[Any] = [ipaddress.ip_network(text, strict=False) for text in cidrs]
    return [str(network) for network in ipaddress.collapse_addresses(networks)]


def _served(found: tuple[str, str, int]) -> str:
    address, protocol, port = found
    return f"{address} . {protocol.lower()} . {port}"


def _name(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _policy_chain(policy: str, direction: policies.Direction) -> str:
    return f"{direction}-of-{_name(policy)}"


def whole(new: State) -> str:
    """Everything, in place of whatever stands."""
    where, word, fixed = table(new.version), _WORDS[new.version][0], empty(new.version)
    lines = [f"add table {where}", f"delete table {where}", f"add table {where}"]
    lines += [_made(where, name, kind, new.version) for name, (kind, _) in fixed.sets.items()]
    for name, side, priority in _HOOKS:
        lines.append(f"add chain {where} {name} {{ type filter hook forward priority {priority} ; }}")
        lines.append(f"add rule {where} {name} ct state established,related accept")
        lines.append(f"add rule {where} {name} {word} saddr . {word} daddr @itself accept")
        lines.append(f"add rule {where} {name} {word} {side} vmap @{name}-pods")
    return _text(lines) + "".join(change(fixed, new))


class Change(NamedTuple):
    """The texts of three transactions, each empty where it would do nothing.

    A packet on its way may meet the verdict of one state and the chain of another, and an empty chain lets it pass. So
    chains stand before a verdict leads there, and go when every packet that was on its way has arrived.
    """

    before: str
    switch: str
    after: str


def change(old: State, new: State) -> Change:
    """From one state to the other."""
    where = table(new.version)
    made = [name for name in new.sets if name not in old.sets]
    kept = [name for name in new.sets if name in old.sets]
    begun = [name for name in new.chains if name not in old.chains]
    changed = [name for name, rules in new.chains.items() if old.chains.get(name, rules) != rules]
    gone = [name for name in old.chains if name not in new.chains]
    elements = {name: found for name, (_, found) in new.sets.items()}
    standing = {name: found for name, (_, found) in old.sets.items()}
    before = [_made(where, name, new.sets[name][0], new.version) for name in made]
    for name in made:
        before += _elements(where, "add", name, elements[name])
    before += [f"add chain {where} {name}" for name in begun]
    before += _rules(where, begun, new)
    switch = []
    for name in kept:
        switch += _elements(where, "delete", name, standing[name] - elements[name])
    switch += [f"flush chain {where} {name}" for name in changed]
    for name in kept:
        switch += _elements(where, "add", name, elements[name] - standing[name])
    switch += _rules(where, changed, new)
    after = [f"flush chain {where} {name}" for name in gone]
    after += [f"delete chain {where} {name}" for name in gone]
    after += [f"delete set {where} {name}" for name in old.sets if name not in new.sets]
    return Change(_text(before), _text(switch), _text(after))


def _rules(where: str, chains: Iterable[str], new: State) -> list[str]:
    return [f"add rule {where} {name} {rule}" for name in chains for rule in new.chains[name]]


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _made(where: str, name: str, described: str, version: int) -> str:
    kind, _, spec = described.partition(" ")
    return f"add {kind} {where} {name} {{ {spec.format(addr=_WORDS[version][1])} }}"


def _elements(where: str, verb: str, name: str, elements: Iterable[tuple[str, str]]) -> list[str]:
    texts = [f"{key} : {value}" if value and verb == "add" else key for key, value in sorted(elements)]
    return [
        f"{verb} element {where} {name} {{ {', '.join(texts[first : first + _AT_ONCE])} }}"
        for first in range(0, len(texts), _AT_ONCE)
    ]
