"""Times as Go reads them: RFC 3339 and nothing looser; of others, where it stops reading or which part is out of range.

A ``MicroTime`` has six digits behind the second, neither fewer nor more; a ``Time`` any number.
"""

import calendar
import datetime
import re

from kubeshim.machinery.validation import fields

_ZONE, _MICRO = "Z07:00", ".000000"
_DATE = (("2006", r"\d{4}"), ("-", "-"), ("01", r"\d\d"), ("-", "-"), ("02", r"\d\d"), ("T", "T"))
_CLOCK = (("15", r"\d\d?"), (":", ":"), ("04", r"\d\d"), (":", ":"))
_END = ((_ZONE, r"Z|[+-]\d\d:\d\d"),)
_TIME = (*_DATE, *_CLOCK, ("05", r"\d\d(?:[.,]\d+)?"), *_END)
_MICRO_TIME = (*_DATE, *_CLOCK, ("05", r"\d\d"), (_MICRO, r"[.,]\d{6}"), *_END)
_RANGES = {"01": ("month", 1, 12), "15": ("hour", 0, 23), "04": ("minute", 0, 59), "05": ("second", 0, 59)}
_USUAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII).fullmatch
_USUAL_MICRO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)", re.ASCII).fullmatch

_UNITS = {"ns": 1, "us": 1000, "µs": 1000, "μs": 1000, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_PART = re.compile(r"([0-9]*)(?:\.([0-9]*))?([^0-9.]*)").match
_LONGEST, _BEYOND = 1000, 1 << 63
"""Longer durations cannot be in range, short of leading zeros."""


def duration(text: str) -> int:
    """The nanoseconds of ``1h30m`` or ``-1.5s``. Raises ``ValueError`` with Go's words."""
    rest = text[1:] if text[:1] in ("+", "-") else text
    if rest == "0":
        return 0
    total, wrong = 0, f"time: invalid duration {fields.quote(text)}"
    if not rest or len(rest) > _LONGEST:
        raise ValueError(wrong)
    while rest:
        match = _PART(rest)
        whole, fraction, unit = match.groups("") if match else ("", "", "")
        if match is None or not (whole or fraction) or int(whole or "0") >= _BEYOND:
            raise ValueError(wrong)
        if unit not in _UNITS:
            what = f"unknown unit {fields.quote(unit)} in" if unit else "missing unit in"
            raise ValueError(f"time: {what} duration {fields.quote(text)}")
        total += int(whole or "0") * _UNITS[unit]
        if fraction:
            total += int(fraction) * _UNITS[unit] // 10 ** len(fraction)
        if total >= _BEYOND:
            raise ValueError(wrong)
        rest = rest[match.end() :]
    return -total if text[0] == "-" else total


def parse(text: str, *, micro: bool = False) -> datetime.datetime:
    """Raises ``ValueError`` with Go's words."""
    if (_USUAL_MICRO if micro else _USUAL)(text):
        try:
            return datetime.datetime.fromisoformat(text)
        except ValueError:
            pass
    return _parse_slowly(text, _MICRO_TIME if micro else _TIME)


def _parse_slowly(text: str, parts: tuple[tuple[str, str], ...]) -> datetime.datetime:
    rest, read = text, list[str]()
    found: dict[str, int] = {}
    for part, pattern in parts:
        match = re.match(pattern, rest, re.ASCII)
        if match is None:
            layout = "".join(part for part, _ in parts)
            raise ValueError(f'parsing time "{text}" as "{layout}": cannot parse "{rest}" as "{part}"')
        rest = rest[match.end() :]
        read.append(match[0].replace(",", ".").zfill(2) if part == "15" else match[0].replace(",", "."))
        if digits := re.match(r"\d+", match[0], re.ASCII):
            found[part] = int(digits[0])
        name, low, high = _RANGES.get(part, ("", 0, 0))
        if name and not low <= found[part] <= high:
            raise ValueError(f'parsing time "{text}": {name} out of range')
    if rest:
        raise ValueError(f'parsing time "{text}": extra text: "{rest}"')
    # the year 0 is in no calendar of ours, but has the months of the year 400
    if not 1 <= found["02"] <= calendar.monthrange(found["2006"] or 400, found["01"])[1]:
        raise ValueError(f'parsing time "{text}": day out of range')
    try:
        return datetime.datetime.fromisoformat("".join(read))
    except ValueError:
        raise ValueError(f'parsing time "{text}": time zone offset hour out of range') from None
