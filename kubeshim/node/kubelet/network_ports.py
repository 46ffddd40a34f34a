"""Applies ``network_rules`` inside a node's namespace: masquerading, and host ports pod by pod.

What is published lives in the kernel; this object reads it once at the start and keeps a copy to compute changes.
"""

import shutil
import subprocess
import threading
from collections.abc import Sequence
from typing import Protocol

from kubeshim.node import nftables
from kubeshim.node.kubelet import network_rules


class Applier(Protocol):
    def set_up(self, pod_cidr: str, kept: Sequence[str]) -> list[network_rules.HostPort]:
        """Makes the rules stand and returns the host ports found published."""

    def change(self, old: list[network_rules.HostPort], new: list[network_rules.HostPort]) -> None: ...

    def close(self) -> None: ...


class Ports:
    """Host ports of a node's pods in one address family. Methods may be called from any thread."""

    def __init__(self, applier: Applier) -> None:
        self._applier = applier
        self._published: list[network_rules.HostPort] = []
        self._lock = threading.Lock()

    def set_up(self, pod_cidr: str, kept: Sequence[str]) -> None:
        with self._lock:
            self._published = self._applier.set_up(pod_cidr, kept)

    def publish(self, uid: str, ports: Sequence[network_rules.HostPort]) -> None:
        """Makes a pod's published ports exactly these (none: takes all back)."""
        with self._lock:
            others = [port for port in self._published if port.uid != uid]
            wanted = others + list(ports)
            if set(wanted) != set(self._published):
                self._applier.change(self._published, wanted)
                self._published = wanted

    def close(self) -> None:
        self._applier.close()


def applier_for(run_in_node: nftables.RunInNode, version: int = 4) -> Applier:
    """nftables where the machine has it, else iptables. Raises ``OSError`` where it has neither."""
    if nftables.available():
        return NftApplier(run_in_node, version)
    if shutil.which("iptables-restore") is None:
        raise FileNotFoundError("neither nftables nor iptables is installed (Debian: apt-get install nftables)")
    return IptablesApplier(run_in_node, version)


class NftApplier:
    def __init__(self, run_in_node: nftables.RunInNode, version: int = 4) -> None:
        self._nft = nftables.open_in(run_in_node)
        self._version = version

    def set_up(self, pod_cidr: str, kept: Sequence[str]) -> list[network_rules.HostPort]:
        self._nft.run(network_rules.nft_table(pod_cidr, kept))
        return network_rules.from_listing(self._nft.listing(f"list table {network_rules.nft_name(self._version)}"))

    def change(self, old: list[network_rules.HostPort], new: list[network_rules.HostPort]) -> None:
        self._nft.run(network_rules.nft_publish(old, new, self._version))

    def close(self) -> None:
        self._nft.close()


class IptablesApplier:
    def __init__(self, run_in_node: nftables.RunInNode, version: int = 4) -> None:
        self._run_in_node = run_in_node
        self._program = "ip6tables" if version == 6 else "iptables"
        self._jumps = network_rules.IPTABLES_JUMPS
        if version == 4:
            self._jumps = (*self._jumps, network_rules.IPTABLES_GUARD)
        self._pod_cidr = ""
        self._kept: Sequence[str] = ()

    def set_up(self, pod_cidr: str, kept: Sequence[str]) -> list[network_rules.HostPort]:
        self._pod_cidr, self._kept = pod_cidr, kept
        found = network_rules.from_iptables_save(self._call([f"{self._program}-save", "-t", "nat"]).stdout)
        self.change([], found)
        for table, chain, rule in self._jumps:
            command = [self._program, "-w", "-t", table]
            if self._call([*command, "-C", chain, *rule], check=False).returncode:
                self._call([*command, "-A", chain, *rule])
        return found

    def change(self, old: list[network_rules.HostPort], new: list[network_rules.HostPort]) -> None:
        text = network_rules.iptables_restore(self._pod_cidr, self._kept, new)
        self._call([f"{self._program}-restore", "-w", "--noflush"], text)

    def close(self) -> None:
        pass

    def _call(self, command: list[str], text: str = "", *, check: bool = True) -> subprocess.CompletedProcess[str]:
        done: subprocess.CompletedProcess[str] = self._run_in_node(
            lambda: subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        )
        if check and done.returncode:
            raise OSError(f"{command[0]}: {done.stderr.strip()[:2000]}")
        return done
