"""Resource quantities (``500m``, ``1.5Gi``, ``1e3``): exact arithmetic and the canonical text.

A ``Quantity`` is an integer count of nano-units and the notation it was written in; Kubernetes rounds
anything finer away from zero, and caps at 2⁶³-1, so nothing else is ever needed. Sums keep the notation of the left
side unless that is zero.
"""

import dataclasses
import functools
import re
from typing import Any, Literal

Notation = Literal["DecimalSI", "BinarySI", "DecimalExponent"]

_NANO = 10**9
_LIMIT = (2**63 - 1) * _NANO
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL_SUFFIX = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_BINARY_SUFFIX = {exponent: suffix for suffix, exponent in _BINARY.items()}
_FORM = re.compile(r"([+-]?)([0-9]+\.?[0-9]*|\.[0-9]+)(|[numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]+)").fullmatch
_NUMBER = re.compile(r"([+-]?)([0-9]+\.?[0-9]*|\.[0-9]+)").match

FORMAT_TEXT = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
_NUMERIC_TEXT = "unable to parse numeric part of quantity"
_SUFFIX_TEXT = "unable to parse quantity's suffix"


class FormatError(ValueError):
    """Not a quantity; the message is upstream's."""


@functools.total_ordering
@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Quantity:
    """``nano`` 10⁻⁹ units, written in ``notation``. Compared and hashed by amount alone."""

    nano: int
    notation: Notation = "DecimalSI"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantity) and self.nano == other.nano

    def __lt__(self, other: "Quantity") -> bool:
        return self.nano < other.nano

    def __hash__(self) -> int:
        return hash(self.nano)

    def __bool__(self) -> bool:
        return self.nano != 0

    def __add__(self, other: "Quantity") -> "Quantity":
        return Quantity(self.nano + other.nano, self.notation if self.nano else other.notation)

    def __sub__(self, other: "Quantity") -> "Quantity":
        return Quantity(self.nano - other.nano, self.notation if self.nano else other.notation)

    def __neg__(self) -> "Quantity":
        return Quantity(-self.nano, self.notation)

    def __mul__(self, factor: int) -> "Quantity":
        return Quantity(self.nano * factor, self.notation)

    def value(self) -> int:
        """Whole units, rounded away from zero."""
        return _divide(self.nano, _NANO)

    def milli(self) -> int:
        """Thousandths, rounded away from zero."""
        return _divide(self.nano, 10**6)

    def canonical(self) -> str:
        """The text the API answers with: no fraction, the largest suffix that allows it."""
        if self.nano == 0:
            return "0"
        if self.notation == "BinarySI" and abs(self.nano) >= 1024 * _NANO and self.nano % _NANO == 0:
            return _binary_text(self.nano // _NANO)
        return _decimal_text(self.nano, self.notation == "DecimalExponent")

    def __str__(self) -> str:
        return self.canonical()


_DIGITS = 200
"""Digits before and after the point that are looked at."""
ZERO = Quantity(0)


@functools.lru_cache(maxsize=8192)
def _parse_text(text: str) -> Quantity:
    match = _FORM(text)
    if match is None:
        raise FormatError(_complaint(text))
    sign, number, suffix = match.groups()
    whole, _, fraction = number.partition(".")
    notation, numerator, denominator = _scale(suffix)
    whole = whole.lstrip("0")
    if len(whole) > _DIGITS:
        # beyond the cap whatever the suffix; nobody need work through a hostile number
        return Quantity(-_LIMIT if sign == "-" else _LIMIT, notation)
    if len(fraction) > _DIGITS:
        fraction = fraction[:_DIGITS] + ("1" if fraction[_DIGITS:].strip("0") else "0")
    digits = int((whole + fraction) or "0")
    amount = _divide(digits * numerator * _NANO, denominator * 10 ** len(fraction))
    amount = min(amount, _LIMIT)
    return Quantity(-amount if sign == "-" else amount, notation)


def parse(value: Any) -> Quantity:
    """Reads a quantity from its text, or from a JSON number as the API accepts it. Raises ``FormatError``."""
    if isinstance(value, str):
        return _parse_text(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FormatError(FORMAT_TEXT)
    return _parse_text(repr(value))


@functools.lru_cache(maxsize=8192)
def rounded(text: str) -> str:
    """The canonical text rounded to thousandths, away from zero, as amounts of resources are kept."""
    found = _parse_text(text)
    return Quantity(found.milli() * 10**6, found.notation).canonical()


def of(units: int, notation: Notation = "DecimalSI") -> Quantity:
    """``units`` whole units."""
    return Quantity(units * _NANO, notation)


def of_milli(thousandths: int) -> Quantity:
    return Quantity(thousandths * 10**6)


@functools.lru_cache(maxsize=8192)
def canonical(text: str) -> str:
    """The canonical text of a quantity's text; cached, since the same few come again and again."""
    return _parse_text(text).canonical()


def _scale(suffix: str) -> tuple[Notation, int, int]:
    if suffix in _BINARY:
        return "BinarySI", 2 ** _BINARY[suffix], 1
    notation: Notation = "DecimalSI"
    if suffix in _DECIMAL:
        exponent = _DECIMAL[suffix]
    else:
        notation, exponent = "DecimalExponent", int(suffix[1:8])
        if abs(exponent) > 64:
            # beyond the cap (or below a nano) in any case; keeps a hostile exponent from making a huge integer
            exponent = 64 if exponent > 0 else -64
    return (notation, 10**exponent, 1) if exponent >= 0 else (notation, 1, 10**-exponent)


def _complaint(text: str) -> str:
    if not text:
        return FORMAT_TEXT
    match = _NUMBER(text)
    if match is None:
        return FORMAT_TEXT
    rest = text[match.end() :]
    return _SUFFIX_TEXT if rest and re.fullmatch("[eEinumkKMGTP]*[-+]?[0-9]*", rest) else FORMAT_TEXT


def _divide(numerator: int, denominator: int) -> int:
    """Quotient rounded away from zero."""
    return -(-numerator // denominator) if numerator >= 0 else numerator // denominator


def _decimal_text(nano: int, as_exponent: bool) -> str:
    mantissa, exponent = nano, -9
    while mantissa % 1000 == 0 and (exponent < 18 or as_exponent):
        mantissa //= 1000
        exponent += 3
    if as_exponent:
        return f"{mantissa}e{exponent}" if exponent else str(mantissa)
    return f"{mantissa}{_DECIMAL_SUFFIX[exponent]}"


def _binary_text(units: int) -> str:
    exponent = 0
    while units % 1024 == 0 and exponent < 60:
        units //= 1024
        exponent += 10
    return f"{units}{_BINARY_SUFFIX[exponent] if exponent else ''}"
