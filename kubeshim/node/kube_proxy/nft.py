"""Applies the rules by nftables inside the node's namespace.

The first write replaces what an earlier process left in one transaction: connections go on, client affinities stay,
and there is no moment without rules. After that only differences are written.
"""

import logging

from kubeshim.node import nftables
from kubeshim.node.kube_proxy import rules, ruleset, services

log = logging.getLogger(__name__)


class NftBackend:
    """kube-proxy's ``nftables`` mode. Not thread-safe: one thread owns it."""

    def __init__(self, run_in_node: nftables.RunInNode, node: services.Node) -> None:
        self._nft = nftables.open_in(run_in_node)
        self._rules = ruleset.Ruleset(node)
        self._table = rules.table(node)

    def replace(self, owner: str, frontends: list[services.Frontend]) -> None:
        self._rules.replace(owner, rules.elements(frontends))

    def sync(self, *, whole: bool) -> bool:
        """Writes differences, or everything. True where anything was written. Raises ``OSError``."""
        if whole:
            self._sync_whole()
            return True
        written = False
        for change in self._rules.changes():
            self._nft.run(change.text)
            self._rules.committed(change)
            written = True
        return written

    def lingers(self) -> bool:
        return self._rules.lingers()

    def stands(self) -> bool:
        """Whether the table is still there: somebody may have flushed the ruleset."""
        return rules.BASE_CHAINS[0] in self._names("chain")

    def close(self) -> None:
        self._nft.close()

    def remove(self) -> None:
        """Takes everything away."""
        self._nft.run(f"add table {self._table}\ndelete table {self._table}\n")

    def _sync_whole(self) -> None:
        change = self._rules.whole(self._names("chain"), self._names("map"))
        try:
            self._nft.run(change.text)
        except nftables.NftablesError as error:
            # A table of another version whose maps have other types cannot be written over.
            log.warning("replacing the service table whole: %s", str(error).splitlines()[0])
            change = self._rules.whole(afresh=True)
            self._nft.run(change.text)
        self._rules.committed(change)

    def _names(self, kind: str) -> list[str]:
        """Of the table's chains or maps that stand."""
        family, table = self._table.split()
        return [
            str(entry[kind]["name"])
            for entry in self._nft.listing(f"list {kind}s {family}")
            if entry.get(kind, {}).get("table") == table
        ]
