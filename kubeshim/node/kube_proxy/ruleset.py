"""Which elements and chains stand in the kernel, and the text that takes it to where it should be (pure).

Each Service puts in its elements; two that claim one key (an external IP with the same port) do not disturb each
other: the first of them by name has it, and the other when that one goes. ``changes`` gives the difference as
transactions, ``whole`` everything; ``committed`` is told when the kernel took one. Nothing is presumed to stand that
was not committed.

A packet that is on its way through the rules while a transaction is committed may have found the old verdict and
look for its endpoint among the new ones. So what verdicts lead to is written before them, and is taken away
``LINGER`` seconds after the last of them that led there.
"""

import collections
import dataclasses
import operator
import time
from collections.abc import Callable, Iterable, Iterator

from kubeshim.node.kube_proxy import rules, services

LINGER = 1.0
"""Seconds: longer than any packet is on its way, also on a virtual processor that is taken away meanwhile."""
_AT_ONCE = 2000
"""Elements an ``add element`` line carries: one line for tens of thousands exceeds a netlink message."""

Key = tuple[str, str]
"""``(map, key)``."""


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """A transaction's text, and what stands when it went through."""

    text: str
    standing: dict[Key, rules.Element | None]
    chains: dict[rules.Chain, bool]
    """Those it makes (True) and takes away."""
    whole: bool = False


class Ruleset:
    """The wanted and the standing state of one node's table. ``now`` gives seconds."""

    def __init__(self, node: services.Node, now: Callable[[], float] = time.monotonic) -> None:
        self.node = node
        self._table = rules.table(node)
        self._now = now
        self._claims: dict[Key, dict[str, rules.Element]] = {}
        self._by_owner: dict[str, frozenset[rules.Element]] = {}
        self._touched: set[Key] = set()
        self._standing: dict[Key, rules.Element] = {}
        self._chains: collections.Counter[rules.Chain] = collections.Counter()
        """Each chain that stands, and how many standing verdicts lead to it."""
        self._lingering: dict[Key | rules.Chain, float] = {}
        """Since when nobody wants it."""

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

    def lingers(self) -> bool:
        """Whether anything stands that is to be taken away a moment later."""
        return bool(self._lingering)

    def changes(self) -> Iterator[Change]:
        """From what stands to what is wanted. Each must be committed before the next is asked for."""
        for step in (self._around, self._switch):
            change = step()
            if change.text:
                yield change
        now = self._now()
        for key in self._touched:
            self._linger(key, now, unless=key not in self._standing or self._wanted(key) is not None)
        self._touched.clear()

    def _around(self) -> Change:
        """Before the verdicts: what new ones lead to, and away with what old ones led to."""
        until = self._now() - LINGER
        wanted = {key: element for key in sorted(self._touched) if (element := self._wanted(key)) is not None}
        needed = dict.fromkeys(chain for element in wanted.values() for chain in _chains_of(element))
        new = [chain for chain in needed if chain not in self._chains]
        added = {key: each for key, each in wanted.items() if each.is_target and key not in self._standing}
        long = [each for each, since in self._lingering.items() if since <= until]
        old = [each for each in long if isinstance(each, rules.Chain) and each not in needed]
        removed = sorted(each for each in long if not isinstance(each, rules.Chain) and self._wanted(each) is None)
        lines = [
            *_define(new, self.node),
            *_elements(self._table, "delete", [self._standing[key] for key in removed]),
            *_elements(self._table, "add", added.values()),
            *self._forget(old),
        ]
        standing = dict.fromkeys(removed) | added
        return Change(_text(lines), standing, dict.fromkeys(old, False) | dict.fromkeys(new, True))

    def _switch(self) -> Change:
        standing: dict[Key, rules.Element | None] = {}
        removed, added = [], []
        for key in sorted(self._touched):
            before, after = self._standing.get(key), self._wanted(key)
            if before == after or (after is None and before is not None and before.is_target):
                continue
            standing[key] = after
            if before is not None:
                removed.append(before)
            if after is not None:
                added.append(after)
        lines = [*_elements(self._table, "delete", removed), *_elements(self._table, "add", added)]
        return Change(_text(lines), standing, {})

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
        text = head + rules.base(self.node) + _text(lines)
        return Change(text, dict(wanted), dict.fromkeys(chains, True), whole=True)

    def committed(self, change: Change) -> None:
        """The kernel took ``change``."""
        if change.whole:
            self._standing.clear()
            self._chains.clear()
            self._lingering.clear()
            self._touched.clear()
        for chain, stands in change.chains.items():
            if stands:
                self._chains[chain] = 0
            else:
                del self._chains[chain], self._lingering[chain]
        led: set[rules.Chain] = set()
        for key, element in change.standing.items():
            before = self._standing.pop(key, None)
            if element is not None:
                self._standing[key] = element
            else:
                self._lingering.pop(key, None)
            for each, verdicts in ((before, -1), (element, +1)):
                for chain in _chains_of(each) if each is not None else ():
                    self._chains[chain] += verdicts
                    led.add(chain)
        now = self._now()
        for chain in led:
            self._linger(chain, now, unless=self._chains[chain] > 0)

    def _linger(self, what: Key | rules.Chain, now: float, *, unless: bool) -> None:
        if unless:
            self._lingering.pop(what, None)
        else:
            self._lingering.setdefault(what, now)

    def _forget(self, chains: list[rules.Chain]) -> list[str]:
        # Those with rules that go to others first, so that nothing deleted is still referred to.
        names = [chain.name for chain in sorted(chains, key=lambda chain: (not chain.needs, chain.name))]
        maps = _maps(chains) - _maps(self._chains.keys() - set(chains)) if _maps(chains) else ()
        return [
            *(f"flush chain {self._table} {name}" for name in names),
            *(f"delete chain {self._table} {name}" for name in names),
            *(f"delete map {self._table} {name}" for name in sorted(maps)),
        ]

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


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _elements(table: str, verb: str, elements: Iterable[rules.Element]) -> list[str]:
    by_map: dict[str, list[str]] = {}
    for element in elements:
        by_map.setdefault(element.map, []).append(element.key if verb == "delete" else element.text)
    return [
        f"{verb} element {table} {name} {{ {', '.join(texts[first : first + _AT_ONCE])} }}"
        for name, texts in by_map.items()
        for first in range(0, len(texts), _AT_ONCE)
    ]
