"""Applies the rules by iptables inside the node's namespace: the mode for machines without nftables.

A change writes the chains that differ, each table in one step.
"""

import re
import subprocess

from kubeshim.node import nftables
from kubeshim.node.kube_proxy import iptables_rules, services

_OURS = re.compile(r"^:(KUBE-(?:SVC|SEP|INT|XLB)-\S+)", re.MULTILINE)

_Key = tuple[str, str, str, int]


class IptablesBackend:
    """kube-proxy's ``iptables`` mode. Not thread-safe: one thread owns it."""

    def __init__(self, run_in_node: nftables.RunInNode, node: services.Node) -> None:
        self._run_in_node = run_in_node
        self._node = node
        self._programs = node.family.programs
        self._parts: dict[str, list[tuple[_Key, iptables_rules.Part]]] = {}
        self._standing: iptables_rules.Chains | None = None

    def replace(self, owner: str, frontends: list[services.Frontend]) -> None:
        if frontends:
            self._parts[owner] = [(_key(each), iptables_rules.part(each, self._node)) for each in frontends]
        else:
            self._parts.pop(owner, None)

    def sync(self, *, whole: bool) -> bool:
        """Writes differences, or everything. True where it wrote. Raises ``OSError``."""
        wanted = iptables_rules.whole(self._every(), self._node)
        if whole or self._standing is None:
            there = _OURS.findall(self._call([f"{self._programs}-save", "-t", "nat"]))
            text = iptables_rules.restore(wanted, None, there)
        else:
            text = iptables_rules.restore(wanted, self._standing)
        if not text:
            return False
        # Until it went through, nothing is known of what stands.
        before, self._standing = self._standing, None
        self._call([f"{self._programs}-restore", "-w", "5", "--noflush"], text)
        if whole or before is None:
            for table, chain, rule in iptables_rules.JUMPS:
                self._jump(table, chain, rule)
        self._standing = wanted
        return True

    def lingers(self) -> bool:
        """Never: a table is replaced in one go, and a packet goes through one or the other."""
        return False

    def stands(self) -> bool:
        """Whether the first jump is still there: somebody may have flushed the tables."""
        table, chain, rule = iptables_rules.JUMPS[0]
        return self._test([self._programs, "-w", "5", "-t", table, "-C", chain, *rule])

    def close(self) -> None:
        pass

    def remove(self) -> None:
        """Takes everything away."""
        for table, chain, rule in iptables_rules.JUMPS:
            self._test([self._programs, "-w", "5", "-t", table, "-D", chain, *rule])
        there = [*iptables_rules.FIXED, *_OURS.findall(self._call([f"{self._programs}-save", "-t", "nat"]))]
        lines = ["*nat", *(f":{name} - [0:0]" for name in there), *(f"-X {name}" for name in there), "COMMIT"]
        for table, name in (("filter", "KUBE-REFUSE"), ("raw", "KUBE-PROXY-FIREWALL")):
            lines += [f"*{table}", f":{name} - [0:0]", f"-X {name}", "COMMIT"]
        self._call([f"{self._programs}-restore", "-w", "5", "--noflush"], "\n".join(lines) + "\n")

    def _every(self) -> list[iptables_rules.Part]:
        """One for each address and port: the first owner by name has it."""
        found: dict[_Key, iptables_rules.Part] = {}
        for owner in sorted(self._parts):
            for key, part in self._parts[owner]:
                found.setdefault(key, part)
        return list(found.values())

    def _jump(self, table: str, chain: str, rule: tuple[str, ...]) -> None:
        command = [self._programs, "-w", "5", "-t", table]
        if not self._test([*command, "-C", chain, *rule]):
            self._call([*command, "-I", chain, *rule])

    def _test(self, command: list[str]) -> bool:
        return self._run(command, "").returncode == 0

    def _call(self, command: list[str], text: str = "") -> str:
        done = self._run(command, text)
        if done.returncode:
            raise OSError(f"{command[0]}: {done.stderr.strip()[:2000]}")
        return done.stdout

    def _run(self, command: list[str], text: str) -> subprocess.CompletedProcess[str]:
        done: subprocess.CompletedProcess[str] = self._run_in_node(
            lambda: subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        )
        return done


def _key(frontend: services.Frontend) -> _Key:
    return frontend.kind, frontend.address, frontend.protocol, frontend.port
