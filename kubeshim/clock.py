"""Time, behind one door, so that tests can step it.

Everything that asks for the time takes a ``Clock``; ``SYSTEM`` is the real one. ``now`` is wall time in
UTC (for what is written into objects), ``monotonic`` is for measuring durations.
"""

import datetime
import re
import time
from typing import Protocol


class Clock(Protocol):
    """A source of time. Durations are seconds."""

    def now(self) -> datetime.datetime: ...

    def monotonic(self) -> float: ...


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime.datetime:
        return datetime.datetime.now(datetime.UTC)

    def monotonic(self) -> float:
        return time.monotonic()


class FakeClock:
    """A clock that moves only when told to."""

    def __init__(self, start: datetime.datetime | None = None) -> None:
        self._now = start or datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
        self._monotonic = 0.0

    def now(self) -> datetime.datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def step(self, seconds: float) -> None:
        """Moves both times forward."""
        self._now += datetime.timedelta(seconds=seconds)
        self._monotonic += seconds


SYSTEM: Clock = SystemClock()


def rfc3339(moment: datetime.datetime) -> str:
    """``metav1.Time`` on the wire: whole seconds in UTC, ``2026-01-31T12:00:00Z``."""
    return _in_utc(moment, "seconds")


def rfc3339_micro(moment: datetime.datetime) -> str:
    """``metav1.MicroTime`` on the wire: always six fractional digits."""
    return _in_utc(moment, "microseconds")


def _in_utc(moment: datetime.datetime, timespec: str) -> str:
    """Four digits of the year also before 1000, which ``strftime`` would not write."""
    return moment.astimezone(datetime.UTC).replace(tzinfo=None).isoformat(timespec=timespec) + "Z"


_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d([.,]\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII).fullmatch


def parse_rfc3339(text: str) -> datetime.datetime:
    """Reads a ``Time`` or ``MicroTime``; raises ``ValueError`` where it is neither, or no time of years 1 to 9999."""
    if _RFC3339(text) is None:
        raise ValueError(f"{text!r} is no time of RFC 3339")
    moment = datetime.datetime.fromisoformat(text)
    if moment.utcoffset():
        try:
            return moment.astimezone(datetime.UTC)
        except OverflowError:
            raise ValueError(f"time {text!r} is out of range") from None
    return moment
