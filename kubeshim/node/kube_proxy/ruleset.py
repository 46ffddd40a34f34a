"""Which elements and chains stand in the kernel, and the text that takes it to where it should be (pure).

Each Service puts in its elements; two that claim one key (an external IP with the same port) do not disturb each
other: the first of them by name has it, and the other when that one goes. ``changes`` gives the difference as one
transaction, ``whole`` everything; ``committed`` is told when the kernel took it. Nothing is presumed to stand that
was not committed.
"""

import collections
import dataclasses
import operator
from collections.abc import Iterable

from kubeshim.node.kube_proxy import rules, services

_AT_ONCE = 2000
"""Elements an ``add element`` line carries: one line for tens of thousands exceeds a netlink message."""

Key = tuple[str, str]
"""``(map, key)``."""


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """A transaction's text, and what stands when it went through."""

    text: str
    standing: dict[Key, rules.Element | None]
    whole: bool = False


class Ruleset:
    """The wanted and the standing state of one node's table."""

    def __init__(self, node: services.Node) -> None:
        self.node = node
        self._table = rules.table(node)
        self._claims: dict[Key, dict[str, rules.Element]] = {}
        self._by_owner: dict[str, frozenset[rules.Element]] = {}
        self._touched: set[Key] = set()
        self._standing: dict[Key, rules.Element] = {}
        self._chains: collections.Counter[rules.Chain] = collections.Counter()

    def replace(self, owner: str, elements: frozenset[rules.Element]) -> None:
        """What ``owner`` (``namespace/name`` of a Service) wants from now on."""
        before = self._by_owner.get(owner, frozenset())
        for element in before - elements:
            key = (element.map, element.key)
            if self._claims.get(key, {}).get(owner) == element:
                del self._claims[key][owner]
                if not self._claims[key]:
                    del self._claims[key]
            self._touched.add(key)
        for element in elements - before:
            key = (element.map, element.key)
            self._claims.setdefault(key, {})[owner] = element
            self._touched.add(key)
        if elements:
            self._by_owner[owner] = elements
        else:
            self._by_owner.pop(owner, None)

    def owners(self) -> set[str]:
        return set(self._by_owner)

    def changes(self) -> Change | None:
        """From what stands to what is wanted; None where that is the same."""
        standing: dict[Key, rules.Element | None] = {}
        removed, added = [], []
        chains = self._chains.copy()
        for key in sorted(self._touched):
            before, after = self._standing.get(key), self._wanted(key)
            if before == after:
                continue
            standing[key] = after
            if before is not None:
                removed.append(before)
                chains.subtract(_chains_of(before))
            if after is not None:
                added.append(after)
                chains.update(_chains_of(after))
        if not standing:
            self._touched.clear()
            return None
        new = [chain for chain, count in chains.items() if count > 0 and self._chains[chain] <= 0]
        old = [chain for chain, count in self._chains.items() if count > 0 and chains[chain] <= 0]
        table = self._table
        lines = [
            *_define(new, self.node),
            *_elements(table, "delete", removed),
            *_elements(table, "add", added),
            *_forget(table, old),
            *(f"delete map {table} {name}" for name in sorted(_maps(old) - _maps(+chains) if _maps(old) else ())),
        ]
        return Change("".join(f"{line}\n" for line in lines), standing)

    def whole(
        self, chains_there: Iterable[str] = (), maps_there: Iterable[str] = (), *, afresh: bool = False
    ) -> Change:
        """Everything, over whatever stands. ``chains_there`` and ``maps_there`` are names that the kernel has;
        ``afresh`` drops the whole table first, client affinities too."""
        wanted = {key: self._wanted(key) for key in self._claims}
        elements = [element for element in wanted.values() if element is not None]
        chains = list(dict.fromkeys(chain for element in elements for chain in _chains_of(element)))
        keep = {chain.name for chain in chains} | set(rules.BASE_CHAINS)
        stale = [] if afresh else sorted(set(chains_there) - keep)
        forgotten = {name for name in maps_there if name.startswith(rules.AFFINITY)} - _maps(chains)
        table = self._table
        head = f"add table {table}\ndelete table {table}\n" if afresh else ""
        lines = [
            *(f"flush chain {table} {name}" for name in stale),
            *_define(chains, self.node),
            *(f"delete chain {table} {name}" for name in stale),
            *(f"delete map {table} {name}" for name in sorted(() if afresh else forgotten)),
            *_elements(table, "add", sorted(elements, key=operator.itemgetter(0, 1))),
        ]
        text = head + rules.base(self.node) + "".join(f"{line}\n" for line in lines)
        return Change(text, dict(wanted), whole=True)

    def committed(self, change: Change) -> None:
        """The kernel took ``change``."""
        if change.whole:
            self._standing.clear()
            self._chains.clear()
        for key, element in change.standing.items():
            before = self._standing.pop(key, None)
            if before is not None:
                self._chains.subtract(_chains_of(before))
            if element is not None:
                self._standing[key] = element
                self._chains.update(_chains_of(element))
        self._chains = +self._chains
        self._touched.clear()

    def _wanted(self, key: Key) -> rules.Element | None:
        claims = self._claims.get(key)
        return claims[min(claims)] if claims else None


def _maps(chains: Iterable[rules.Chain]) -> set[str]:
    return {chain.map for chain in chains if chain.map}


def _chains_of(element: rules.Element) -> list[rules.Chain]:
    """The chain of a verdict and those it goes on to, these first."""
    if element.chain is None:
        return []
    return [*element.chain.needs, element.chain]


def _define(chains: Iterable[rules.Chain], node: services.Node) -> list[str]:
    table = rules.table(node)
    ordered = sorted(chains, key=lambda chain: (bool(chain.needs), chain.name))
    lines = [rules.affinity_map(name, node) for name in sorted(_maps(ordered))]
    lines += [f"add chain {table} {chain.name}" for chain in ordered]
    lines += [f"flush chain {table} {chain.name}" for chain in ordered]
    for chain in ordered:
        lines += [f"add rule {table} {chain.name} {rule}" for rule in rules.chain_rules(chain, node)]
    return lines


def _forget(table: str, chains: Iterable[rules.Chain]) -> list[str]:
    # Those with rules that go to others first, so that nothing deleted is still referred to.
    ordered = sorted(chains, key=lambda chain: (not chain.needs, chain.name))
    return [
        *(f"flush chain {table} {chain.name}" for chain in ordered),
        *(f"delete chain {table} {chain.name}" for chain in ordered),
    ]


def _elements(table: str, verb: str, elements: Iterable[rules.Element]) -> list[str]:
    by_map: dict[str, list[str]] = {}
    for element in elements:
        by_map.setdefault(element.map, []).append(element.key if verb == "delete" else element.text)
    return [
        f"{verb} element {table} {name} {{ {', '.join(texts[first : first + _AT_ONCE])} }}"
        for name, texts in by_map.items()
        for first in range(0, len(texts), _AT_ONCE)
    ]
