"""The firewall text of a node's pod network (pure): masquerading of what leaves the cluster, and host ports.

A table of its own, beside kube-proxy's, so that pods reach the outside and host ports work whether or not
kube-proxy runs. Pods keep their own address towards everything of the cluster: pods, Services, and the network the
nodes stand in (so that the API server sees who asks). Host ports are elements that carry the pod's UID as comment:
that is how a new process finds out what the old one had published.
"""

import dataclasses
from collections.abc import Iterable, Sequence

TABLE = "kubeshim-pods"
CHAIN_PORTS = "KUBESHIM-PORTS"
CHAIN_MASQUERADE = "KUBESHIM-MASQ"


@dataclasses.dataclass(frozen=True, slots=True)
class HostPort:
    """``hostIP:hostPort`` of the node leads to ``pod_ip:container_port``. An empty host_ip means every address."""

    uid: str
    protocol: str
    host_ip: str
    host_port: int
    pod_ip: str
    container_port: int


def version_of(text: str) -> int:
    """4 or 6: of an address or range."""
    return 6 if ":" in text else 4


def nft_name(version: int) -> str:
    """The table of a family, as nftables wants it named."""
    return f"{'ip6' if version == 6 else 'ip'} {TABLE}"


def nft_table(pod_cidr: str, kept: Sequence[str]) -> str:
    """Creates or renews the table of the range's family, leaving published host ports alone.

    ``kept`` are the ranges towards which pods keep their own address.
    """
    version = version_of(pod_cidr)
    table, ranges = nft_name(version), ", ".join(kept)
    ip, addr = ("ip6", "ipv6_addr") if version == 6 else ("ip", "ipv4_addr")
    text = f"""add table {table}
add map {table} ports {{ type inet_proto . inet_service : {addr} . inet_service ; }}
add map {table} ports-of-address {{ type {addr} . inet_proto . inet_service : {addr} . inet_service ; }}
add set {table} hairpin {{ type {addr} . {addr} ; }}
add chain {table} publish
add chain {table} prerouting {{ type nat hook prerouting priority -90 ; }}
add chain {table} output {{ type nat hook output priority -90 ; }}
add chain {table} postrouting {{ type nat hook postrouting priority 110 ; }}
add chain {table} guard {{ type filter hook prerouting priority -300 ; }}
flush chain {table} publish
flush chain {table} prerouting
flush chain {table} output
flush chain {table} postrouting
flush chain {table} guard
add rule {table} publish dnat {ip} addr . port to {ip} daddr . meta l4proto . th dport map @ports-of-address
add rule {table} publish dnat {ip} addr . port to meta l4proto . th dport map @ports
add rule {table} prerouting fib daddr type local jump publish
add rule {table} output fib daddr type local jump publish
add rule {table} postrouting ct status & dnat == dnat {ip} saddr . {ip} daddr @hairpin masquerade fully-random
"""
    if version == 4:  # what is sent to ::1 is never routed
        text += f"""add rule {table} guard iifname != "lo" ip daddr 127.0.0.0/8 drop
add rule {table} postrouting oifname != "lo" ip saddr 127.0.0.0/8 masquerade fully-random
"""
    return (
        text
        + f"add rule {table} postrouting {ip} saddr {pod_cidr} {ip} daddr != {{ {ranges} }} masquerade fully-random\n"
    )


def nft_publish(old: Iterable[HostPort], new: Iterable[HostPort], version: int = 4) -> str:
    """The change from one set of published ports to another, as one transaction."""
    before, after, table = _elements(old), _elements(new), nft_name(version)
    lines = [
        f"delete element {table} {name} {{ {key} }}"
        for (name, key), value in before.items()
        if after.get((name, key)) != value
    ]
    for (name, key), (value, comment) in after.items():
        if before.get((name, key)) != (value, comment):
            data = f" : {value}" if value else ""
            lines.append(f'add element {table} {name} {{ {key} comment "{comment}"{data} }}')
    return "".join(f"{line}\n" for line in lines)


def _elements(ports: Iterable[HostPort]) -> dict[tuple[str, str], tuple[str, str]]:
    """``(map, key)`` → ``(value, pod UID)``."""
    found: dict[tuple[str, str], tuple[str, str]] = {}
    for port in ports:
        target = f"{port.pod_ip} . {port.container_port}"
        if port.host_ip:
            key = ("ports-of-address", f"{port.host_ip} . {port.protocol} . {port.host_port}")
        else:
            key = ("ports", f"{port.protocol} . {port.host_port}")
        found.setdefault(key, (target, port.uid))
        found.setdefault(("hairpin", f"{port.pod_ip} . {port.pod_ip}"), ("", port.uid))
    return found


def from_listing(objects: Iterable[dict[str, object]]) -> list[HostPort]:
    """Host ports as ``list table`` in JSON shows them."""
    found = []
    for entry in objects:
        described = entry.get("map")
        if not isinstance(described, dict) or described.get("name") not in ("ports", "ports-of-address"):
            continue
        for key, value in described.get("elem") or ():
            inner, uid = (key["elem"]["val"], key["elem"].get("comment", "")) if "elem" in key else (key, "")
            parts = inner["concat"]
            address = str(parts[0]) if len(parts) == 3 else ""
            pod_ip, container_port = value["concat"]
            found.append(HostPort(uid, str(parts[-2]), address, int(parts[-1]), str(pod_ip), int(container_port)))
    return found


def iptables_restore(pod_cidr: str, kept: Sequence[str], ports: Iterable[HostPort]) -> str:
    """The same for a machine without nftables: both chains whole, for ``iptables-restore --noflush``."""
    version = version_of(pod_cidr)
    bits = 128 if version == 6 else 32
    lines = ["*nat", f":{CHAIN_PORTS} - [0:0]", f":{CHAIN_MASQUERADE} - [0:0]"]
    for port in ports:
        target = f"[{port.pod_ip}]" if version == 6 else port.pod_ip
        to = f"--to-destination {target}:{port.container_port}"
        match = f"-p {port.protocol} -m {port.protocol} --dport {port.host_port}"
        address = f"-d {port.host_ip}/{bits} " if port.host_ip else ""
        comment = f'-m comment --comment "{port.uid} {port.host_ip or "-"} {port.pod_ip} {port.container_port}"'
        lines.append(f"-A {CHAIN_PORTS} {address}{match} {comment} -j DNAT {to}")
        itself = f"-s {port.pod_ip}/{bits} -d {port.pod_ip}/{bits}"
        lines.append(f"-A {CHAIN_MASQUERADE} {itself} -m conntrack --ctstate DNAT -j MASQUERADE")
    if version == 4:
        lines.append(f"-A {CHAIN_MASQUERADE} -s 127.0.0.0/8 ! -o lo -j MASQUERADE")
    lines += [f"-A {CHAIN_MASQUERADE} -d {cidr} -j RETURN" for cidr in kept]
    lines.append(f"-A {CHAIN_MASQUERADE} -s {pod_cidr} -j MASQUERADE")
    lines.append("COMMIT")
    return "\n".join(lines) + "\n"


IPTABLES_JUMPS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("nat", "PREROUTING", ("-m", "addrtype", "--dst-type", "LOCAL", "-j", CHAIN_PORTS)),
    ("nat", "OUTPUT", ("-m", "addrtype", "--dst-type", "LOCAL", "-j", CHAIN_PORTS)),
    ("nat", "POSTROUTING", ("-j", CHAIN_MASQUERADE)),
)
"""Rules of the built-in chains, appended where missing: ``(table, chain, rule)``."""
IPTABLES_GUARD = ("raw", "PREROUTING", ("!", "-i", "lo", "-d", "127.0.0.0/8", "-j", "DROP"))
"""One more, of IPv4."""


def from_iptables_save(text: str) -> list[HostPort]:
    """Host ports as ``iptables-save -t nat`` shows them."""
    found = []
    for line in text.splitlines():
        if not line.startswith(f"-A {CHAIN_PORTS} ") or '"' not in line:
            continue
        words = line.split()
        uid, host_ip, pod_ip, container_port = line.split('"')[1].split()
        found.append(
            HostPort(
                uid,
                words[words.index("-p") + 1],
                "" if host_ip == "-" else host_ip,
                int(words[words.index("--dport") + 1]),
                pod_ip,
                int(container_port),
            )
        )
    return found
