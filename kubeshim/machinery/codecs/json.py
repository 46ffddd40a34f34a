"""JSON in and out: strict where upstream is, and as fast as orjson where nothing is wrong.

Duplicate keys are a strictness error that orjson cannot see. A body has none when re-encoding what was parsed
gives as many ``":`` as the body has, provided the body writes no colon in a way that hides it; only in doubt
does the slow scanner look. It also finds the words for a malformed body, which are Go's.
"""

import json as stdlib_json
from typing import Any

import orjson

from kubeshim.machinery import errors, go_text
from kubeshim.machinery.codecs import json_scanner

MAX_BODY = 3 * 1024 * 1024
"""Bytes of a request body; more is answered 413."""

_HIDDEN_COLONS = (b" :", b"\t:", b"\n:", b"\r:", b"\\u0022", b"\\u003a", b"\\u003A")


class Malformed(errors.BadRequest):
    """A body that is not in the form it claims. ``message`` is the parser's; ``bodies`` words the answer."""


def decode(body: bytes, *, strict: bool) -> tuple[Any, list[str]]:
    """What the body says, and with ``strict`` one text a duplicate key: ``duplicate field "spec.x"``.

    Raises ``Malformed``. The last of duplicate keys wins.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = _second_opinion(body)
    if body.count(b"{") + body.count(b"[") > json_scanner.MAX_DEPTH and _too_deep(value):
        raise Malformed("exceeded max depth")
    if strict and _may_have_duplicates(body, value):
        return value, [f'duplicate field "{path}"' for path in json_scanner.scan(body)]
    return value, []


def _second_opinion(body: bytes) -> Any:
    """Go takes what orjson does not: broken UTF-8 and lone surrogates become U+FFFD."""
    try:
        json_scanner.scan(body)
    except json_scanner.SyntaxProblem as problem:
        raise Malformed(str(problem)) from None
    try:
        return stdlib_json.loads(
            body.decode("utf-8", "replace"), strict=False, object_pairs_hook=_pairs, parse_constant=_refuse,
            parse_int=_number,
        )  # fmt: skip
    except (ValueError, RecursionError) as problem:
        raise Malformed(str(problem)) from None


def _number(text: str) -> int | float:
    """As orjson has it: what 64 bits do not hold is a float."""
    number = int(text)
    return number if -(1 << 63) <= number < 1 << 64 else float(number)


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {_repair(key): _repair(value) for key, value in pairs}


def _repair(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_repair(item) for item in value]
    return value


def _refuse(constant: str) -> Any:
    raise ValueError(f"invalid character {constant[0]!r} looking for beginning of value")


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(json_scanner.MAX_DEPTH + 1):
        level = [
            child
            for parent in level
            if isinstance(parent, (dict, list))
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return False
    return True


def _may_have_duplicates(body: bytes, value: Any) -> bool:
    if not isinstance(value, (dict, list)):
        return False
    try:
        again = orjson.dumps(value)
    except orjson.JSONEncodeError:
        return True
    if again == body.rstrip():
        return False
    if body.count(b'":') != again.count(b'":'):
        return True
    return any(hidden in body for hidden in _HIDDEN_COLONS if hidden[:1] in body)


def encode(value: Any, *, sort_keys: bool = False) -> bytes:
    """Compact JSON, without a final newline, escaped as Go does it."""
    return _escaped(orjson.dumps(value, option=orjson.OPT_SORT_KEYS if sort_keys else None))


def encode_pretty(value: Any) -> bytes:
    """Indented by two, with a final newline, as people's tools get it."""
    return _escaped(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))


def _escaped(text: bytes) -> bytes:
    """Clients compare raw parts of an answer, a revision's data say, with what their own encoder makes."""
    for plain, escape in _ESCAPES:
        if plain in text:
            text = text.replace(plain, escape)
    return text


_ESCAPES = tuple((char.encode(), escape.encode()) for char, escape in go_text.ESCAPES.items())
