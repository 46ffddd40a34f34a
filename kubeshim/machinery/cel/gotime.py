"""Durations and timestamps as text, the way Go reads and writes them."""

import datetime
import math
import re

from kubeshim.machinery.cel import values
from kubeshim.machinery.validation import go_times

_STAMP = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:[.,]([0-9]+))?(Z|[+-][0-9]{2}:[0-9]{2})"
).fullmatch
FIRST = -62135596800 * 10**9
"""The first moment of the year 1: Go's zero time."""
_MAX_STAMP = 253402300800 * 10**9


def parse_duration(text: str) -> values.Duration:
    """``1h30m``, ``-1.5s``; raises ``ValueError``."""
    return values.Duration(go_times.duration(text))


def parse_timestamp(text: str) -> values.Timestamp:
    """RFC 3339; raises ``ValueError``."""
    match = _STAMP(text)
    if match is None:
        raise ValueError(text)
    year, month, day, hour, minute, second = (int(match[index]) for index in range(1, 7))
    days = _days(year, month, day)
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError(text)
    seconds = days * 86400 + hour * 3600 + minute * 60 + second
    zone, offset = match[8], 0
    if zone != "Z":
        offset = int(zone[1:3]) * 3600 + int(zone[4:6]) * 60
        offset = offset if zone[0] == "+" else -offset
    seconds -= offset
    fraction = (match[7] or "")[:9].ljust(9, "0")
    return in_range(seconds * 10**9 + int(fraction), offset)


def in_range(nanos: int, zone: int = 0) -> values.Timestamp:
    """Of the years 1 to 9999; raises ``ValueError``."""
    if not FIRST <= nanos < _MAX_STAMP:
        raise ValueError("timestamp overflow")
    return values.Timestamp(nanos, zone)


def _days(year: int, month: int, day: int) -> int:
    return datetime.date(year, month, day).toordinal() - 719163


def duration_text(duration: values.Duration) -> str:
    """Seconds, as ``string(duration)`` says them: ``5400s``, ``0.5s``."""
    sign, nanos = ("-" if duration.nanos < 0 else ""), abs(duration.nanos)
    whole, fraction = divmod(nanos, 10**9)
    tail = f".{fraction:09d}".rstrip("0").rstrip(".")
    return f"{sign}{whole}{tail}s"


def timestamp_text(stamp: values.Timestamp) -> str:
    """RFC 3339 with as many digits of the second as are needed."""
    fraction = stamp.nanos % 10**9
    when = values.moment(values.Timestamp(stamp.nanos - fraction + stamp.zone * 10**9))
    tail = f".{fraction:09d}".rstrip("0").rstrip(".")
    hours, minutes = divmod(abs(stamp.zone) // 60, 60)
    zone = f"{'-' if stamp.zone < 0 else '+'}{hours:02d}:{minutes:02d}" if stamp.zone else "Z"
    return f"{when.year:04d}-{when:%m-%dT%H:%M:%S}{tail}{zone}"


def double_text(number: float) -> str:
    """Go's shortest form (``%g``): ``1.5``, ``1e+06``, ``NaN``, ``+Inf``."""
    if math.isnan(number):
        return "NaN"
    if number in (float("inf"), float("-inf")):
        return "+Inf" if number > 0 else "-Inf"
    text = repr(number)
    mantissa, _, exponent = text.partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = (whole + fraction).lstrip("0")
    if not digits:
        return sign + "0"
    point = len(whole) + int(exponent or 0)
    point -= len(whole + fraction) - len((whole + fraction).lstrip("0"))
    digits = digits.rstrip("0")
    power = point - 1
    return _positional(sign, digits, point) if -4 <= power < 6 else _scientific(sign, digits, power)


def _scientific(sign: str, digits: str, power: int) -> str:
    tail = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{tail}e{'-' if power < 0 else '+'}{abs(power):02d}"


def _positional(sign: str, digits: str, point: int) -> str:
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    if point >= len(digits):
        return sign + digits + "0" * (point - len(digits))
    return f"{sign}{digits[:point]}.{digits[point:]}"
