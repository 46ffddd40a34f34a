"""Services as ``iptables-restore`` text (pure), for machines without nftables.

A chain that is named in the text is replaced whole by ``iptables-restore --noflush``, each table's in one step; chains
that are as they were are left out, so a change of endpoints writes that Service's alone. A chain per frontend chooses
among chains per endpoint by probability; client affinity is kept by ``recent`` lists, which last as long as the
kernel module's settings allow.
"""

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

from kubeshim.node.kube_proxy import endpoints, families, services

MARK = "0x4000/0x4000"
FIXED = ("KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ")
JUMPS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("nat", "PREROUTING", ("-j", "KUBE-SERVICES")),
    ("nat", "OUTPUT", ("-j", "KUBE-SERVICES")),
    ("nat", "POSTROUTING", ("-j", "KUBE-POSTROUTING")),
    ("filter", "INPUT", ("-m", "conntrack", "--ctstate", "NEW", "-j", "KUBE-REFUSE")),
    ("filter", "FORWARD", ("-m", "conntrack", "--ctstate", "NEW", "-j", "KUBE-REFUSE")),
    ("filter", "OUTPUT", ("-m", "conntrack", "--ctstate", "NEW", "-j", "KUBE-REFUSE")),
    ("raw", "PREROUTING", ("-j", "KUBE-PROXY-FIREWALL")),
)
"""Rules that lead from the built-in chains to ours: ``(table, chain, rule)``."""


Chains = dict[str, dict[str, list[str]]]
"""Table → chain → rules."""


class Part(NamedTuple):
    """What one frontend adds: rules of the fixed chains by ``(table, chain)``, and nat chains of its own."""

    rules: list[tuple[str, str, str]]
    chains: dict[str, list[str]]


def part(frontend: services.Frontend, node: services.Node) -> Part:
    rules = [("raw", "KUBE-PROXY-FIREWALL", rule) for rule in _firewall(frontend, node)]
    refuse = ("filter", "KUBE-REFUSE")
    if not frontend.cluster and not frontend.local:
        how = " --reject-with tcp-reset" if frontend.protocol == "tcp" else ""
        return Part([*rules, *((*refuse, f"{match} -j REJECT{how}") for match in _matches(frontend, node))], {})
    if frontend.local_only and not frontend.local:
        # nat cannot drop: what it leaves alone comes to the filter table with its first address.
        rules += [(*refuse, f"{match} -j DROP") for match in _matches(frontend, node)]
    name, chains = _own_chains(frontend, node)
    entry = "KUBE-NODEPORTS" if frontend.kind == "node-port" else "KUBE-SERVICES"
    rules += [("nat", entry, f"{match} -j {name}") for match in _matches(frontend, node)]
    return Part(rules, chains)


def whole(parts: Iterable[Part], node: services.Node) -> Chains:
    """All chains of ours."""
    found: Chains = {
        "raw": {"KUBE-PROXY-FIREWALL": []},
        "filter": {"KUBE-REFUSE": []},
        "nat": {name: [] for name in FIXED},
    }
    for each in parts:
        for table, chain, rule in each.rules:
            found[table][chain].append(rule)
        found["nat"].update(each.chains)
    found["nat"]["KUBE-SERVICES"].append("-m addrtype --dst-type LOCAL -j KUBE-NODEPORTS")
    found["nat"]["KUBE-POSTROUTING"] = [
        f"-m mark ! --mark {MARK} -j RETURN",
        "-j MARK --xor-mark 0x4000",
        "-j MASQUERADE",
    ]
    found["nat"]["KUBE-MARK-MASQ"] = ["-j MARK --or-mark 0x4000"]
    for cidr in node.service_cidrs:
        # A reset, unlike an ICMP error, is not limited in number.
        found["filter"]["KUBE-REFUSE"].append(f"-d {cidr} -p tcp -j REJECT --reject-with tcp-reset")
        found["filter"]["KUBE-REFUSE"].append(f"-d {cidr} -j REJECT")
    return found


def restore(wanted: Chains, standing: Chains | None = None, there: Iterable[str] = ()) -> str:
    """The text that makes ``wanted`` of ``standing``: only chains that differ; None: everything.

    ``there`` are further chains of the nat table; those that are not wanted are deleted.
    """
    lines: list[str] = []
    for table, chains in wanted.items():
        before = standing.get(table, {}) if standing is not None else {}
        changed = [name for name, rules in chains.items() if before.get(name) != rules]
        stale = sorted(name for name in {*before, *(there if table == "nat" else ())} if name not in chains)
        if changed or stale:
            lines += [f"*{table}", *(f":{name} - [0:0]" for name in (*changed, *stale))]
            lines += [f"-A {name} {rule}" for name in changed for rule in chains[name]]
            lines += [*(f"-X {name}" for name in stale), "COMMIT"]
    return "".join(f"{line}\n" for line in lines)


def _matches(frontend: services.Frontend, node: services.Node) -> list[str]:
    ports = f"-p {frontend.protocol} -m {frontend.protocol} --dport {frontend.port}"
    addresses = node.addresses if frontend.kind == "node-port" else (frontend.address,)
    return [f"-d {address}/{node.family.bits} {ports}" for address in addresses]


def _own_chains(frontend: services.Frontend, node: services.Node) -> tuple[str, dict[str, list[str]]]:
    """The chain a frontend leads to, and all chains it needs."""
    name = _name("KUBE-SVC-", frontend, "")
    chains: dict[str, list[str]] = {name: []}
    here = chains[name]
    if frontend.kind == "cluster":
        if node.masquerade_all:
            here.append("-j KUBE-MARK-MASQ")
        else:
            here.append(f"! -s {node.cluster_cidr} -j KUBE-MARK-MASQ")
        _spread(chains, name, frontend, node.family, frontend.local if frontend.local_only else frontend.cluster)
        return name, chains
    if not frontend.local_only:
        here.append("-j KUBE-MARK-MASQ")
        _spread(chains, name, frontend, node.family, frontend.cluster)
        return name, chains
    inside, outside = _name("KUBE-INT-", frontend, "cluster"), _name("KUBE-XLB-", frontend, "local")
    here.append(f"-s {node.cluster_cidr} -j {inside}")
    here.append("-m addrtype --src-type LOCAL -j KUBE-MARK-MASQ")
    here.append(f"-m addrtype --src-type LOCAL -j {inside}")
    here.append(f"-j {outside}")
    chains[inside], chains[outside] = [], []
    _spread(chains, inside, frontend, node.family, frontend.cluster or frontend.local)
    _spread(chains, outside, frontend, node.family, frontend.local)
    return name, chains


def _spread(
    chains: dict[str, list[str]],
    name: str,
    frontend: services.Frontend,
    family: families.Family,
    chosen: tuple[endpoints.Address, ...],
) -> None:
    """Chains for the endpoints, and the choice among them."""
    here = chains[name]
    named = [(_name("KUBE-SEP-", frontend, f"{name}{address}"), address) for address in chosen]
    if frontend.affinity:
        for chain, _ in named:
            recent = f"-m recent --name {chain} --rcheck --seconds {frontend.affinity} --reap"
            here.append(f"{recent} --mask {family.mask} --rsource -j {chain}")
    for place, (chain, (address, port)) in enumerate(named):
        left = len(named) - place
        odds = f"-m statistic --mode random --probability {1 / left:.10f} " if left > 1 else ""
        here.append(f"{odds}-j {chain}")
        remember = f"-m recent --name {chain} --set --mask {family.mask} --rsource " if frontend.affinity else ""
        target = f"[{address}]:{port}" if family.version == 6 else f"{address}:{port}"
        chains[chain] = [
            f"-s {address}/{family.bits} -j KUBE-MARK-MASQ",
            f"-p {frontend.protocol} {remember}-m {frontend.protocol} -j DNAT --to-destination {target}",
        ]


def _firewall(frontend: services.Frontend, node: services.Node) -> list[str]:
    if not frontend.sources:
        return []
    return [
        rule
        for match in _matches(frontend, node)
        for rule in (*(f"{match} -s {source} -j RETURN" for source in frontend.sources), f"{match} -j DROP")
    ]


def _name(prefix: str, frontend: services.Frontend, more: str) -> str:
    """At most 28 bytes, the same for the same frontend in every process."""
    identity = f"{frontend.kind} {frontend.address} {frontend.protocol} {frontend.port} {more}"
    return prefix + hashlib.sha256(identity.encode()).hexdigest()[:16].upper()
