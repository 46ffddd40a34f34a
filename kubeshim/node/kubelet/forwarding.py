"""What lets packets of other machines' pods through to this machine's nodes, where machines route for each other.

The engine drops what comes from outside for its networks, and gives what leaves them the machine's own address. For
the cluster's ranges both is undone by rules before its own: in the chain ``DOCKER-USER``, which it leaves to others,
and at the head of ``POSTROUTING``. They carry the cluster's name as comment and are found again by it. Where an
engine filters in another way (nftables; ``raw`` rules for each container, as from 28 on) the machine cannot have
this, and packets come wrapped instead.
"""

import shlex
import shutil
import subprocess
from collections.abc import Iterator, Sequence

_CHAIN = "DOCKER-USER"


def rules(bridge: str, link_network: str, sources: Sequence[str], comment: str) -> Iterator[tuple[str, str, list[str]]]:
    """``(table, chain, rule)`` (pure)."""
    mark = ["-m", "comment", "--comment", comment]
    for source in sources:
        yield "filter", _CHAIN, ["-s", source, "-o", bridge, *mark, "-j", "ACCEPT"]
        yield "nat", "POSTROUTING", ["-s", link_network, "-d", source, *mark, "-j", "RETURN"]


def comment(cluster: str) -> str:
    return f"kubeshim:{cluster}"


def allow(cluster: str, bridge: str, link_network: str, node: str, sources: Sequence[str]) -> bool:
    """Makes the rules stand, before all others; False where that would not do. Raises ``OSError``."""
    if shutil.which("iptables") is None or _call(["iptables", "-w", "-n", "-L", _CHAIN], check=False).returncode:
        return False
    if drops_directly(_call(["iptables-save", "-t", "raw"]).stdout, node):
        return False
    for table, chain, rule in rules(bridge, link_network, sources, comment(cluster)):
        command = ["iptables", "-w", "-t", table]
        if _call([*command, "-C", chain, *rule], check=False).returncode:
            _call([*command, "-I", chain, "1", *rule])
    return True


def drops_directly(saved: str, node: str) -> bool:
    """Whether what comes for a node from outside is dropped before any chain (pure, over ``iptables-save`` text)."""
    return any(f"-d {node}/32 " in line and line.endswith("-j DROP") for line in saved.splitlines())


def revoke(cluster: str) -> int:
    """Takes all of a cluster's rules away; how many there were."""
    if shutil.which("iptables-save") is None:
        return 0
    found = list(standing(_call(["iptables-save"]).stdout, comment(cluster)))
    for table, rule in found:
        _call(["iptables", "-w", "-t", table, "-D", *rule])
    return len(found)


def standing(saved: str, mark: str) -> Iterator[tuple[str, list[str]]]:
    """``(table, rule)`` of those that carry the mark (pure, over ``iptables-save`` text)."""
    table = ""
    for line in saved.splitlines():
        if line.startswith("*"):
            table = line[1:]
        words = shlex.split(line) if line.startswith("-A ") else []
        if "--comment" in words and words[words.index("--comment") + 1] == mark:
            yield table, words[1:]


def _call(command: list[str], *, check: bool = True) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise OSError(f"{' '.join(command[:1])}: {done.stderr.strip()[:500]}")
    return done
