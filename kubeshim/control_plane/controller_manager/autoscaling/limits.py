"""How far the number of replicas may go now: stabilization windows, rates, least and most. Pure but for ``History``.

``History`` remembers, for one autoscaler, what was recommended and how the target was scaled. Without a
``behavior`` the number goes down only to the highest recommendation of the downscale window, and up to twice the
present one, or four.
"""

import dataclasses
import datetime
import math
from collections.abc import Mapping, Sequence
from typing import Any

LONGEST_WINDOW, LONGEST_PERIOD = 3600.0, 1800.0
_FACTOR, _FEW = 2, 4

Rules = Mapping[str, Any]
"""An ``HPAScalingRules``."""


@dataclasses.dataclass(slots=True)
class History:
    recommendations: list[tuple[int, datetime.datetime]] = dataclasses.field(default_factory=list)
    ups: list[tuple[int, datetime.datetime]] = dataclasses.field(default_factory=list)
    downs: list[tuple[int, datetime.datetime]] = dataclasses.field(default_factory=list)
    """How many replicas came or went, and when."""

    def recommend(self, replicas: int, now: datetime.datetime, window: float) -> None:
        self.recommendations = _since(self.recommendations, now, max(window, LONGEST_WINDOW))
        self.recommendations.append((replicas, now))

    def scaled(self, before: int, after: int, now: datetime.datetime) -> None:
        self.ups, self.downs = (_since(one, now, LONGEST_PERIOD) for one in (self.ups, self.downs))
        if after != before:
            (self.ups if after > before else self.downs).append((abs(after - before), now))


def _since(
    entries: Sequence[tuple[int, datetime.datetime]], now: datetime.datetime, seconds: float
) -> list[tuple[int, datetime.datetime]]:
    """The entries of less than so many seconds ago."""
    start = now - datetime.timedelta(seconds=seconds)
    return [entry for entry in entries if entry[1] > start]


@dataclasses.dataclass(frozen=True, slots=True)
class Bounds:
    current: int
    least: int
    most: int


@dataclasses.dataclass(frozen=True, slots=True)
class Decision:
    replicas: int
    stabilized: int
    """What was left of the recommendation once earlier ones were heard."""
    stable_reason: str
    stable_message: str
    limit_reason: str
    limit_message: str

    @property
    def limited(self) -> bool:
        return self.replicas != self.stabilized


_UP_STABLE = (
    "ScaleUpStabilized",
    "recent recommendations were lower than current one, applying the lowest recent recommendation",
)
_DOWN_STABLE = (
    "ScaleDownStabilized",
    "recent recommendations were higher than current one, applying the highest recent recommendation",
)
_READY = ("ReadyForNewScale", "recommended size matches current size")
_WITHIN = ("DesiredWithinRange", "the desired count is within the acceptable range")
_TOO_MANY = ("TooManyReplicas", "the desired replica count is more than the maximum replica count")
_TOO_FEW = ("TooFewReplicas", "the desired replica count is less than the minimum replica count")
_UP_LIMIT = ("ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate")
_DOWN_LIMIT = ("ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate")


def plain(history: History, bounds: Bounds, desired: int, now: datetime.datetime, window: float) -> Decision:
    """For an autoscaler without ``behavior``; ``desired`` is remembered."""
    start = now - datetime.timedelta(seconds=window)
    stable = max([desired, *(number for number, moment in history.recommendations if moment >= start)])
    history.recommend(desired, now, window)
    rate = max(_FACTOR * bounds.current, _FEW)
    most, why = (rate, _UP_LIMIT) if bounds.most > rate else (bounds.most, _TOO_MANY)
    replicas = stable
    reason = _WITHIN
    if stable < bounds.least:
        replicas, reason = bounds.least, _TOO_FEW
    elif stable > most:
        replicas, reason = most, why
    return Decision(replicas, stable, *(_DOWN_STABLE if stable != desired else _READY), *reason)


def with_behavior(
    history: History, bounds: Bounds, behavior: Mapping[str, Any], desired: int, now: datetime.datetime, window: float
) -> Decision:
    """``window`` is the downscale stabilization where the rules say none. ``desired`` is remembered."""
    up, down = behavior["scaleUp"], behavior["scaleDown"]
    given = down.get("stabilizationWindowSeconds")
    up_window, down_window = float(up.get("stabilizationWindowSeconds") or 0), window if given is None else float(given)
    lowest = min([desired, *(number for number, _ in _since(history.recommendations, now, up_window))])
    highest = max([desired, *(number for number, _ in _since(history.recommendations, now, down_window))])
    stable = min(max(bounds.current, lowest), highest)
    history.recommend(desired, now, down_window)
    replicas, reason = _at_rate(history, bounds, up, down, stable, now)
    changed = _UP_STABLE if desired >= bounds.current else _DOWN_STABLE
    return Decision(replicas, stable, *(changed if stable != desired else _READY), *reason)


def _at_rate(
    history: History, bounds: Bounds, up: Rules, down: Rules, wanted: int, now: datetime.datetime
) -> tuple[int, tuple[str, str]]:
    if wanted > bounds.current:
        limit = max(_limit(history, bounds.current, up, now, 1), bounds.current)
        most, why = (limit, _UP_LIMIT) if bounds.most > limit else (bounds.most, _TOO_MANY)
        if wanted > most:
            return most, why
    elif wanted < bounds.current:
        limit = min(_limit(history, bounds.current, down, now, -1), bounds.current)
        least, why = (limit, _DOWN_LIMIT) if bounds.least < limit else (bounds.least, _TOO_FEW)
        if wanted < least:
            return least, why
    return wanted, _WITHIN


def _limit(history: History, current: int, rules: Rules, now: datetime.datetime, sign: int) -> int:
    """The farthest number the policies allow in the direction of ``sign``."""
    select = rules.get("selectPolicy") or "Max"
    if select == "Disabled":
        return current
    proposals = []
    for policy in rules["policies"]:
        came, went = (
            sum(number for number, _ in _since(entries, now, float(policy["periodSeconds"])))
            for entries in (history.ups, history.downs)
        )
        start = current - came + went
        if policy["type"] == "Pods":
            proposals.append(start + sign * int(policy["value"]))
        elif sign > 0:
            # rounded up: a small number would otherwise never grow
            proposals.append(math.ceil(start * (1 + policy["value"] / 100)))
        else:
            proposals.append(int(start * (1 - policy["value"] / 100)))
    # the greatest change is the highest number on the way up and the lowest on the way down
    return max(proposals) if (select == "Max") == (sign > 0) else min(proposals)
