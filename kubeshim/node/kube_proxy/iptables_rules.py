"""Services as ``iptables-restore`` text (pure), for machines without nftables.

One text holds the nat and filter tables' chains of ours whole; ``iptables-restore --noflush`` replaces each table's
in one step. A chain per frontend chooses among chains per endpoint by probability; client affinity is kept by
``recent`` lists, which last as long as the kernel module's settings allow.
"""

import hashlib
from collections.abc import Iterable

from kubeshim.node.kube_proxy import endpoints, services

MARK = "0x4000/0x4000"
FIXED = ("KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ")
FILTER = ("KUBE-REFUSE", "KUBE-PROXY-FIREWALL")
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


def restore(frontends: Iterable[services.Frontend], node: services.Node, chains_there: Iterable[str] = ()) -> str:
    """The whole text. ``chains_there`` are our chains of the nat table as it stands: those not needed are deleted."""
    chains: dict[str, list[str]] = {name: [] for name in FIXED}
    refuse: list[str] = []
    firewall: list[str] = []
    for frontend in sorted(frontends, key=lambda each: (each.kind, each.address, each.protocol, each.port)):
        firewall += _firewall(frontend)
        if not frontend.cluster and not frontend.local:
            how = " --reject-with tcp-reset" if frontend.protocol == "tcp" else ""
            refuse += [f"-A KUBE-REFUSE {match} -j REJECT{how}" for match in _matches(frontend, node)]
            continue
        if frontend.local_only and not frontend.local:
            # nat cannot drop: what it leaves alone comes to the filter table with its first address.
            refuse += [f"-A KUBE-REFUSE {match} -j DROP" for match in _matches(frontend, node)]
        _add(chains, frontend, node)
    chains["KUBE-SERVICES"].append("-m addrtype --dst-type LOCAL -j KUBE-NODEPORTS")
    chains["KUBE-POSTROUTING"] = [f"-m mark ! --mark {MARK} -j RETURN", "-j MARK --xor-mark 0x4000", "-j MASQUERADE"]
    chains["KUBE-MARK-MASQ"] = ["-j MARK --or-mark 0x4000"]
    for cidr in node.service_cidrs:
        # A reset, unlike an ICMP error, is not limited in number.
        refuse.append(f"-A KUBE-REFUSE -d {cidr} -p tcp -j REJECT --reject-with tcp-reset")
        refuse.append(f"-A KUBE-REFUSE -d {cidr} -j REJECT")
    stale = sorted(set(chains_there) - set(chains))
    nat = [f":{name} - [0:0]" for name in [*chains, *stale]]
    nat += [f"-A {name} {rule}" for name, rules in chains.items() for rule in rules]
    nat += [f"-X {name}" for name in stale]
    lines = ["*raw", ":KUBE-PROXY-FIREWALL - [0:0]", *firewall, "COMMIT"]
    lines += ["*filter", ":KUBE-REFUSE - [0:0]", *refuse, "COMMIT", "*nat", *nat, "COMMIT"]
    return "\n".join(lines) + "\n"


def _matches(frontend: services.Frontend, node: services.Node) -> list[str]:
    ports = f"-p {frontend.protocol} -m {frontend.protocol} --dport {frontend.port}"
    addresses = node.addresses if frontend.kind == "node-port" else (frontend.address,)
    return [f"-d {address}/32 {ports}" for address in addresses]


def _add(chains: dict[str, list[str]], frontend: services.Frontend, node: services.Node) -> None:
    name = _name("KUBE-SVC-", frontend, "")
    if frontend.kind == "node-port":
        chains["KUBE-NODEPORTS"] += [f"{match} -j {name}" for match in _matches(frontend, node)]
    else:
        chains["KUBE-SERVICES"] += [f"{match} -j {name}" for match in _matches(frontend, node)]
    here = chains.setdefault(name, [])
    if frontend.kind == "cluster":
        if node.masquerade_all:
            here.append("-j KUBE-MARK-MASQ")
        else:
            here.append(f"! -s {node.cluster_cidr} -j KUBE-MARK-MASQ")
        _spread(chains, name, frontend, frontend.local if frontend.local_only else frontend.cluster)
        return
    if not frontend.local_only:
        here.append("-j KUBE-MARK-MASQ")
        _spread(chains, name, frontend, frontend.cluster)
        return
    inside, outside = _name("KUBE-INT-", frontend, "cluster"), _name("KUBE-XLB-", frontend, "local")
    here.append(f"-s {node.cluster_cidr} -j {inside}")
    here.append("-m addrtype --src-type LOCAL -j KUBE-MARK-MASQ")
    here.append(f"-m addrtype --src-type LOCAL -j {inside}")
    here.append(f"-j {outside}")
    chains[inside], chains[outside] = [], []
    _spread(chains, inside, frontend, frontend.cluster or frontend.local)
    _spread(chains, outside, frontend, frontend.local)


def _spread(
    chains: dict[str, list[str]], name: str, frontend: services.Frontend, chosen: tuple[endpoints.Address, ...]
) -> None:
    """Chains for the endpoints, and the choice among them."""
    here = chains[name]
    named = [(_name("KUBE-SEP-", frontend, f"{name}{address}"), address) for address in chosen]
    if frontend.affinity:
        for chain, _ in named:
            recent = f"-m recent --name {chain} --rcheck --seconds {frontend.affinity} --reap"
            here.append(f"{recent} --mask 255.255.255.255 --rsource -j {chain}")
    for place, (chain, (address, port)) in enumerate(named):
        left = len(named) - place
        odds = f"-m statistic --mode random --probability {1 / left:.10f} " if left > 1 else ""
        here.append(f"{odds}-j {chain}")
        remember = f"-m recent --name {chain} --set --mask 255.255.255.255 --rsource " if frontend.affinity else ""
        chains[chain] = [
            f"-s {address}/32 -j KUBE-MARK-MASQ",
            f"-p {frontend.protocol} {remember}-m {frontend.protocol} -j DNAT --to-destination {address}:{port}",
        ]


def _firewall(frontend: services.Frontend) -> list[str]:
    if not frontend.sources:
        return []
    match = f"-d {frontend.address}/32 -p {frontend.protocol} -m {frontend.protocol} --dport {frontend.port}"
    allowed = [f"-A KUBE-PROXY-FIREWALL {match} -s {source} -j RETURN" for source in frontend.sources]
    return [*allowed, f"-A KUBE-PROXY-FIREWALL {match} -j DROP"]


def _name(prefix: str, frontend: services.Frontend, more: str) -> str:
    """At most 28 bytes, the same for the same frontend in every process."""
    identity = f"{frontend.kind} {frontend.address} {frontend.protocol} {frontend.port} {more}"
    return prefix + hashlib.sha256(identity.encode()).hexdigest()[:16].upper()
