"""What is wrong with a cron schedule, in the words of the parser that upstream uses."""

import zoneinfo
from collections.abc import Mapping

from kubeshim.machinery.validation import go_times

_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NAMES: tuple[Mapping[str, int], ...] = (
    {},
    {},
    {},
    {name: number + 1 for number, name in enumerate(_MONTHS)},
    {name: number for number, name in enumerate(_DAYS)},
)
_DESCRIPTORS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")


class _Wrong(Exception):
    """Says why."""


def problem(text: str) -> str:
    """Empty where the schedule can be read."""
    try:
        _parse(text)
    except _Wrong as wrong:
        return str(wrong)
    return ""


def knows_zone(name: str) -> bool:
    if name in ("", "UTC", "Local"):
        return True
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def unknown_zone(name: str) -> str:
    """What Go says of a zone that it cannot load."""
    return "time: invalid location name" if ".." in name or name[0] in "/\\" else f"unknown time zone {name}"


def _parse(text: str) -> None:
    if not text:
        raise _Wrong("empty spec string")
    if text.startswith(("TZ=", "CRON_TZ=")):
        zone, space, text = text.partition(" ")
        if not space:
            raise _Wrong("invalid schedule format: runtime error: slice bounds out of range [:-1]")
        name = zone.partition("=")[2]
        if not knows_zone(name):
            raise _Wrong(f"provided bad location {name}: {unknown_zone(name)}")
        text = text.strip()
    if text.startswith("@"):
        _descriptor(text)
        return
    parts = text.split()
    if len(parts) != 5:
        raise _Wrong(f"expected exactly 5 fields, found {len(parts)}: [{' '.join(parts)}]")
    for part, (low, high), names in zip(parts, _BOUNDS, _NAMES, strict=True):
        for expression in part.split(","):
            if expression:
                _range(expression, low, high, names)


def _descriptor(text: str) -> None:
    if text in _DESCRIPTORS:
        return
    if not text.startswith("@every "):
        raise _Wrong(f"unrecognized descriptor: {text}")
    duration = text.removeprefix("@every ")
    try:
        go_times.duration(duration)
    except ValueError as why:
        raise _Wrong(f"failed to parse duration {text}: {why}") from None


def _range(expression: str, low: int, high: int, names: Mapping[str, int]) -> None:
    body, *steps = expression.split("/")
    ends = body.split("-")
    if ends[0] in ("*", "?"):
        start, end = low, high
    else:
        start = end = _number(ends[0], names)
        if len(ends) == 2:
            end = _number(ends[1], names)
        elif len(ends) > 2:
            raise _Wrong(f"too many hyphens: {expression}")
    step = 1
    if len(steps) > 1:
        raise _Wrong(f"too many slashes: {expression}")
    if steps:
        step = _number(steps[0], {})
        end = high if len(ends) == 1 else end
    if start < low:
        raise _Wrong(f"beginning of range ({start}) below minimum ({low}): {expression}")
    if end > high:
        raise _Wrong(f"end of range ({end}) above maximum ({high}): {expression}")
    if start > end:
        raise _Wrong(f"beginning of range ({start}) beyond end of range ({end}): {expression}")
    if step == 0:
        raise _Wrong(f"step of range should be a positive number: {expression}")


def _number(text: str, names: Mapping[str, int]) -> int:
    if text.lower() in names:
        return names[text.lower()]
    digits = text.removeprefix("+") if text[:1] == "+" else text
    if not digits.isascii() or not digits.isdigit():
        raise _Wrong(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    if int(digits) >= 1 << 63:
        raise _Wrong(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": value out of range')
    return int(digits)
