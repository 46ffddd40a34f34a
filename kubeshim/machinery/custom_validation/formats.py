"""The string formats that upstream's validator knows; a schema may name others, which mean nothing.

Names are compared without dashes, as go-openapi does (``date-time`` and ``datetime`` are one).
"""

import base64
import binascii
import datetime
import ipaddress
import re
import urllib.parse
from collections.abc import Callable

from kubeshim.machinery.validation import content

Check = Callable[[str], bool]

_TIME = re.compile(r"([0-9]{2}):([0-9]{2}):([0-9]{2})(.[0-9]+)?([zZ]|([+-][0-9]{2}:[0-9]{2}))").fullmatch
_GO_DURATION = re.compile(r"[-+]?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)").fullmatch
_WORDY_DURATION = re.compile(
    r"([0-9]+(\.[0-9]+)?)\s*(ns|nanos?|nanoseconds?|us|µs|micros?|microseconds?|ms|millis?|milliseconds?|s|secs?|"
    r"seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?)"
).fullmatch
_HOST = re.compile(r"([a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?)(\.[a-zA-Z0-9]([-a-zA-Z0-9]*[a-zA-Z0-9])?)*\.?").fullmatch
_EMAIL = re.compile(r"[^\s@<>()\[\],;:\\\"]+(\.[^\s@<>()\[\],;:\\\"]+)*@[^\s@<>()\[\],;:\\\"]+").fullmatch
_HEX = "[0-9a-fA-F]"
_UUID = f"{_HEX}{{8}}-?{_HEX}{{4}}-?{{version}}-?{{variant}}-?{_HEX}{{12}}"
_MAC = re.compile(
    rf"({_HEX}{{2}}[:-]){{5}}({_HEX}{{2}}|(({_HEX}{{2}}[:-]){{3}}{_HEX}{{2}}))|({_HEX}{{4}}\.){{2,3}}{_HEX}{{4}}"
)


def _matching(pattern: str) -> Check:
    match = re.compile(pattern).fullmatch
    return lambda text: match(text) is not None


def _uuid(version: str = "", variant: str = "") -> Check:
    return _matching(
        _UUID.replace("{version}", f"{version}{_HEX}{{3}}" if version else f"{_HEX}{{4}}").replace(
            "{variant}", f"{variant}{_HEX}{{3}}" if variant else f"{_HEX}{{4}}"
        )
    )


def _date(text: str) -> bool:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        return False
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _date_time(text: str) -> bool:
    day, letter, rest = text[:10], text[10:11], text[11:]
    found = _TIME(rest)
    if letter not in ("T", "t") or not _date(day) or found is None:
        return False
    return int(found[1]) <= 23 and int(found[2]) <= 59 and int(found[3]) <= 59


def _duration(text: str) -> bool:
    return _GO_DURATION(text) is not None or _WORDY_DURATION(text.strip()) is not None


def _uri(text: str) -> bool:
    """What Go's ``url.ParseRequestURI`` takes: a scheme, or an absolute path."""
    if not text or any(ord(char) < 0x20 or ord(char) == 0x7F for char in text):
        return False
    try:
        parsed = urllib.parse.urlsplit(text)
        _ = parsed.port
    except ValueError:
        return False
    return bool(parsed.scheme) or text.startswith("/")


def _host(text: str) -> bool:
    return len(text) <= 255 and _HOST(text) is not None and all(len(part) <= 63 for part in text.split("."))


def _ip(version: int) -> Check:
    def check(text: str) -> bool:
        try:
            return ipaddress.ip_address(text).version == version
        except ValueError:
            return False

    return check


def _cidr(text: str) -> bool:
    if not re.search(r"/\d{1,3}$", text):
        return False
    try:
        ipaddress.ip_interface(text)
    except ValueError:
        return False
    return True


def _base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _digits(text: str) -> list[int]:
    return [10 if char in "xX" else int(char) for char in text if char.isdigit() or char in "xX"]


def _isbn10(text: str) -> bool:
    plain = re.sub(r"[\s-]+", "", text)
    if not re.fullmatch(r"[0-9]{9}X|[0-9]{10}", plain):
        return False
    return sum((index + 1) * digit for index, digit in enumerate(_digits(plain))) % 11 == 0


def _isbn13(text: str) -> bool:
    plain = re.sub(r"[\s-]+", "", text)
    if not re.fullmatch(r"[0-9]{13}", plain):
        return False
    return sum((1 if index % 2 == 0 else 3) * digit for index, digit in enumerate(_digits(plain))) % 10 == 0


def _credit_card(text: str) -> bool:
    plain = re.sub(r"[^0-9]+", "", text)
    if not 12 <= len(plain) <= 19:
        return False
    total = 0
    for index, digit in enumerate(reversed(_digits(plain))):
        doubled = digit * 2 if index % 2 else digit
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


_BYTE = "(0|[1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-5])"

_CHECKS: dict[str, Check] = {
    "bsonobjectid": _matching(_HEX + "{24}"),
    "uri": _uri,
    "email": lambda text: _EMAIL(text) is not None,
    "hostname": _host,
    "ipv4": _ip(4),
    "ipv6": _ip(6),
    "cidr": _cidr,
    "mac": lambda text: _MAC.fullmatch(text) is not None,
    "uuid": _uuid(),
    "uuid3": _uuid("3"),
    "uuid4": _uuid("4", "[89abAB]"),
    "uuid5": _uuid("5", "[89abAB]"),
    "isbn": lambda text: _isbn10(text) or _isbn13(text),
    "isbn10": _isbn10,
    "isbn13": _isbn13,
    "creditcard": _credit_card,
    "ssn": _matching(r"\d{3}[- ]?\d{2}[- ]?\d{4}"),
    "hexcolor": _matching(f"#?({_HEX}{{3}}|{_HEX}{{6}})"),
    "rgbcolor": _matching(rf"rgb\(\s*{_BYTE}\s*,\s*{_BYTE}\s*,\s*{_BYTE}\s*\)"),
    "byte": _base64,
    "password": lambda text: True,
    "date": _date,
    "duration": _duration,
    "datetime": _date_time,
    "k8sshortname": lambda text: not content.dns_label(text),
    "k8slongname": lambda text: not content.dns_subdomain(text),
}


def find(name: str) -> Check | None:
    """The check of a format; None for one that is not known."""
    return _CHECKS.get(name.replace("-", ""))
