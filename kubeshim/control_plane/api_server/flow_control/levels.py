"""How many seats each priority level has: the server's concurrency shared out by ``nominalConcurrencyShares``. Pure.

A level that has seats to lend and does not need them gives them to those that do, once a period (``adjusted``): nobody
goes below what is not lendable, nor above what may be borrowed.
"""

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

from kubeshim.machinery import objects

_DEFAULT_SHARES = 30


@dataclasses.dataclass(frozen=True, slots=True)
class Queuing:
    queues: int
    hand: int
    length: int


@dataclasses.dataclass(frozen=True, slots=True)
class Level:
    """A PriorityLevelConfiguration as far as requests are concerned."""

    name: str
    uid: str
    exempt: bool
    shares: int
    lendable: int
    """Per cent of the seats."""
    borrowing: int | None
    """Per cent of the seats that may come on top; None is no bound."""
    queuing: Queuing | None
    """None where who finds no seat is refused."""


def of(obj: objects.Object) -> Level:
    spec = obj["spec"]
    exempt = spec.get("type") == "Exempt"
    part: Mapping[str, Any] = spec.get("exempt" if exempt else "limited") or {}
    response = part.get("limitResponse") or {}
    queuing = response.get("queuing") or {}
    return Level(
        objects.name(obj), objects.uid(obj), exempt,
        part.get("nominalConcurrencyShares", 0 if exempt else _DEFAULT_SHARES), part.get("lendablePercent", 0),
        part.get("borrowingLimitPercent"),
        Queuing(queuing.get("queues", 64), queuing.get("handSize", 8), queuing.get("queueLengthLimit", 50))
        if response.get("type") == "Queue" else None,
    )  # fmt: skip


MANDATORY = (
    Level("exempt", "", True, 0, 0, None, None),
    Level("catch-all", "", False, 5, 0, None, None),
)
"""What there is even while the objects are not."""


def nominal(total: int, levels: Iterable[Level]) -> dict[str, int]:
    """Seats by level."""
    held = list(levels)
    shares = sum(level.shares for level in held) or 1
    return {level.name: math.ceil(total * level.shares / shares) for level in held}


def adjusted(levels: Iterable[Level], seats: Mapping[str, int], demand: Mapping[str, int]) -> dict[str, int]:
    """Seats by level for the next period, when ``demand`` is the most each wanted at once in the last.

    Each level keeps what it may not lend, or what it needs of its own; what is left over goes to those that wanted
    more, in proportion to what they lack.
    """
    held = [level for level in levels if not level.exempt]
    given = {}
    wanting = {}
    for level in held:
        own = seats[level.name]
        lowest = own - round(own * level.lendable / 100)
        most = math.inf if level.borrowing is None else own + round(own * level.borrowing / 100)
        given[level.name] = max(lowest, min(own, demand.get(level.name, 0)))
        wanting[level.name] = max(0, min(demand.get(level.name, 0), most) - own)
    spare = sum(seats[level.name] for level in held) - sum(given.values())
    lacking = sum(wanting.values())
    if lacking:
        part = min(1.0, spare / lacking)
        extra = {name: math.floor(lack * part) for name, lack in wanting.items()}
        return {name: count + extra[name] for name, count in given.items()}
    # Nobody lacks anything: everybody has its own.
    return {level.name: seats[level.name] for level in held}
