"""Cron schedules: ``minute hour day-of-month month day-of-week``, names, steps, ranges, and ``@hourly`` and its like.

Pure. As in cron, if both days are restricted a day that fits either will do. A time that a clock change skips does
not come; one that comes twice counts once.
"""

import dataclasses
import datetime
import functools
import zoneinfo

_MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = {
    "jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11,
    "dec": 12,
}  # fmt: skip
_DAYS = {"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6}
_YEARS = 5
"""A schedule that does not come in so many years (February 30) never does."""


class CronError(ValueError):
    """Not a schedule."""


@dataclasses.dataclass(frozen=True, slots=True)
class Schedule:
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    any_weekday: bool
    every: float = 0.0
    """Seconds, for ``@every``; then nothing else counts."""

    def after(self, moment: datetime.datetime) -> datetime.datetime | None:
        """The first time later than ``moment``, in ``moment``'s zone."""
        if self.every:
            return moment.replace(microsecond=0) + datetime.timedelta(seconds=self.every)
        zone = moment.tzinfo
        naive = moment.replace(tzinfo=None, second=0, microsecond=0) + datetime.timedelta(minutes=1)
        last = naive.year + _YEARS
        while naive.year <= last:
            if naive.month not in self.months:
                naive = (naive.replace(day=1, hour=0, minute=0) + datetime.timedelta(days=32)).replace(day=1)
            elif not self._day_fits(naive):
                naive = naive.replace(hour=0, minute=0) + datetime.timedelta(days=1)
            elif naive.hour not in self.hours:
                naive = naive.replace(minute=0) + datetime.timedelta(hours=1)
            elif naive.minute not in self.minutes:
                naive += datetime.timedelta(minutes=1)
            else:
                found = naive.replace(tzinfo=zone)
                exists = found.astimezone(datetime.UTC).astimezone(zone).replace(tzinfo=None) == naive
                if exists and found.astimezone(datetime.UTC) > moment.astimezone(datetime.UTC):
                    return found
                naive += datetime.timedelta(minutes=1)
        return None

    def _day_fits(self, day: datetime.datetime) -> bool:
        in_month, in_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        if self.any_day or self.any_weekday:
            return in_month and in_week
        return in_month or in_week


@functools.lru_cache(maxsize=1024)
def parse(text: str) -> tuple[Schedule, str]:
    """The schedule and the zone it names itself (``TZ=…``), if any. Raises ``CronError``."""
    zone = ""
    for prefix in ("TZ=", "CRON_TZ="):
        if text.startswith(prefix):
            zone, _, text = text.removeprefix(prefix).partition(" ")
    text = text.strip()
    if text.startswith("@every "):
        return _every(text.removeprefix("@every ").strip()), zone
    fields = _MACROS.get(text, text).split()
    if len(fields) != 5:
        raise CronError(f"expected exactly 5 fields, found {len(fields)}: [{text}]")
    minutes, hours, days, months, weekdays = fields
    return (
        Schedule(
            _field(minutes, 0, 59),
            _field(hours, 0, 23),
            _field(days, 1, 31),
            _field(months, 1, 12, _MONTHS),
            frozenset(day % 7 for day in _field(weekdays, 0, 7, _DAYS)),
            days.startswith(("*", "?")),
            weekdays.startswith(("*", "?")),
        ),
        zone,
    )


def zone(name: str) -> datetime.tzinfo:
    """A time zone by name; empty is UTC. Raises ``CronError``."""
    if not name:
        return datetime.UTC
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError) as error:
        raise CronError(f"unknown time zone {name}") from error


def _every(text: str) -> Schedule:
    units = {"h": 3600.0, "m": 60.0, "s": 1.0}
    total, number = 0.0, ""
    for letter in text:
        if letter in units and number:
            total, number = total + float(number) * units[letter], ""
        elif letter.isdigit() or letter == ".":
            number += letter
        else:
            raise CronError(f"failed to parse duration @every {text}")
    if number or total < 1:
        raise CronError(f"failed to parse duration @every {text}")
    nothing: frozenset[int] = frozenset()
    return Schedule(nothing, nothing, nothing, nothing, nothing, True, True, float(int(total)))


def _field(text: str, low: int, high: int, names: dict[str, int] | None = None) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        span, slash, step_text = part.partition("/")
        step = _number(step_text, names) if slash else 1
        start_text, dash, end_text = span.partition("-")
        if span in ("*", "?"):
            start, end = low, high
        else:
            start = _number(start_text, names)
            end = _number(end_text, names) if dash else (high if slash else start)
        if step <= 0:
            raise CronError(f"step of range should be a positive number: {part}")
        if not low <= start <= end <= high:
            raise CronError(f"value out of range ({low} - {high}): {part}")
        found.update(range(start, end + 1, step))
    return frozenset(found)


def _number(text: str, names: dict[str, int] | None) -> int:
    if names and text.lower() in names:
        return names[text.lower()]
    if not text.isdigit():
        raise CronError(f"failed to parse int from {text}")
    return int(text)
