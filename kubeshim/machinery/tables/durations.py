"""Durations as people read them: ``45s``, ``3m20s``, ``5d3h``, with less detail the longer they are."""

import datetime

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def moment(text: str) -> datetime.datetime:
    """Reads a ``Time`` or ``MicroTime``; raises ``ValueError`` where it is neither."""
    read = datetime.datetime.fromisoformat(text)
    if read.tzinfo is None:
        raise ValueError(f"time {text!r} has no zone")
    return read


def human(span: datetime.timedelta) -> str:
    """A duration in at most two units; clock skew of up to a second backwards is ``0s``, more ``<invalid>``."""
    exact = span.total_seconds()
    seconds = int(exact)
    if seconds < -1:
        return "<invalid>"
    if seconds < 0:
        return "0s"
    if seconds < 2 * _MINUTE:
        return f"{seconds}s"
    minutes = seconds // _MINUTE
    if minutes < 10:
        return _two(minutes, "m", seconds % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    hours = seconds // _HOUR
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    days = seconds // _DAY
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    if days < 2 * 365:
        return f"{days}d"
    if days < 8 * 365:
        return _two(days // 365, "y", days % 365, "d")
    return f"{days // 365}y"


def _two(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large}{large_unit}{small}{small_unit}" if small else f"{large}{large_unit}"
