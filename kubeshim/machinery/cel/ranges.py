"""Sizes and costs as ``(least, most)``, capped at 2⁶⁴-1 where upstream's integers end."""

MAX = 2**64 - 1
Range = tuple[int, int]
UNKNOWN: Range = (0, MAX)
ONE: Range = (1, 1)
ZERO: Range = (0, 0)
Sized = tuple[Range, Range | None]
"""What a call costs, and how big its result is where that is known."""


def times(one: int, other: int) -> int:
    return min(one * other, MAX)


def add(*ranges: Range) -> Range:
    return min(sum(each[0] for each in ranges), MAX), min(sum(each[1] for each in ranges), MAX)


def product(one: Range, other: Range) -> Range:
    return times(one[0], other[0]), times(one[1], other[1])


def union(one: Range, other: Range) -> Range:
    return min(one[0], other[0]), max(one[1], other[1])


def tenth(size: Range, factor: int = 1) -> Range:
    """A tenth a character; upstream multiplies as floating point, which near the cap is the cap."""
    return _part(size[0], factor), _part(size[1], factor)


def _part(size: int, factor: int) -> int:
    return -(-size * factor // 10) if size < 2**53 else min(int(float(size) * (0.1 * factor)), MAX)


def fourth(size: Range) -> Range:
    return -(-size[0] // 4), -(-size[1] // 4)
