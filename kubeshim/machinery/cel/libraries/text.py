"""CEL's extended string functions, version 2."""

import math
import re
from collections.abc import Callable
from typing import Any

from kubeshim.machinery.cel import functions, gotime, standard, types, values
from kubeshim.machinery.cel.types import DYN, INT, STRING
from kubeshim.machinery.validation import fields

Error = values.EvaluationError
_STRINGS = types.list_of(STRING)
_SPACE = "".join(map(chr, (*range(9, 14), 32, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F,
                           0x205F, 0x3000)))  # fmt: skip
_LOWER = {code: code + 32 for code in range(65, 91)}
_UPPER = {code: code - 32 for code in range(97, 123)}


def _char_at(text: str, at: int) -> str:
    if not 0 <= at <= len(text):
        raise Error(f"index out of range: {at}")
    return text[at : at + 1]


def _index_of(text: str, wanted: str, start: int = 0) -> int:
    if start and not 0 <= start <= len(text):
        raise Error(f"index out of range: {start}")
    return text.find(wanted, start)


def _last_index_of(text: str, wanted: str, start: int | None = None) -> int:
    if start is None:
        return text.rfind(wanted)
    if not 0 <= start <= len(text):
        raise Error(f"index out of range: {start}")
    return text.rfind(wanted, 0, start + len(wanted))


def _replace(text: str, old: str, new: str, limit: int = -1) -> str:
    return text.replace(old, new, max(limit, -1))


def _split(text: str, separator: str, limit: int = -1) -> list[str]:
    if limit == 0:
        return []
    if separator:
        return text.split(separator) if limit < 0 else text.split(separator, limit - 1)
    if limit < 0 or limit >= len(text):
        return list(text)
    return [*text[: limit - 1], text[limit - 1 :]]


def _substring(text: str, start: int, end: int | None = None) -> str:
    if not 0 <= start <= len(text):
        raise Error(f"index out of range: {start}")
    if end is None:
        return text[start:]
    if not 0 <= end <= len(text):
        raise Error(f"index out of range: {end}")
    if start > end:
        raise Error(f"invalid substring range. start: {start}, end: {end}")
    return text[start:end]


def _join(items: Any, separator: str = "") -> str:
    found = list(items)
    if not all(isinstance(item, str) for item in found):
        raise values.no_such_overload()
    return separator.join(found)


_CLAUSE = re.compile(r"%(?:%|(?:\.([0-9]*))?(.?))", re.DOTALL)


_MAX_PRECISION = 1000


def _format(text: str, args: Any) -> str:
    given = iter(list(args))
    count = len(args)
    used = 0

    def one(match: "re.Match[str]") -> str:
        nonlocal used
        if match.group() == "%%":
            return "%"
        verb, precision = match[2], match[1]
        if verb not in _VERBS:
            raise Error(f"could not parse formatting clause: unrecognized formatting clause: {verb}")
        if used >= count:
            raise Error(f"index {used} out of range")
        used += 1
        if precision and (len(precision) > 4 or int(precision) > _MAX_PRECISION):
            raise Error(f"could not parse formatting clause: precision exceeds the maximum of {_MAX_PRECISION}")
        return _VERBS[verb](next(given), int(precision) if precision else 6)

    return _CLAUSE.sub(one, text)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _wrong(clause: str, wanted: str, value: Any) -> Error:
    return Error(f"error during formatting: {clause} clause can only be used on {wanted}, was given "
                 f"{values.type_of(value).kind}")  # fmt: skip


def _special(value: float) -> str | None:
    if math.isnan(value):
        return "NaN"
    return None if math.isfinite(value) else ("Infinity" if value > 0 else "-Infinity")


def _as_text(value: Any, _precision: int = 6) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if value is None:
        return "null"
    if isinstance(value, float):
        return _special(value) or gotime.double_text(value)
    if isinstance(value, values.Timestamp):
        return gotime.timestamp_text(value)
    if isinstance(value, values.Duration):
        return gotime.duration_text(value)
    if isinstance(value, list | values.TypedList):
        return "[" + ", ".join(map(_as_text, value)) + "]"
    if isinstance(value, dict | values.TypedMap):
        pairs = sorted((_as_text(key), _as_text(value[key])) for key in value)
        return "{" + ", ".join(f"{key}: {each}" for key, each in pairs) + "}"
    if isinstance(value, int):
        return standard.shown(value)
    if isinstance(value, types.Type):
        return str(value)
    raise _wrong("string", "strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps", value)


def _as_decimal(value: Any, _precision: int) -> str:
    if isinstance(value, float) and _special(value):
        return _special(value) or ""
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong("decimal", "integers", value)
    return str(int(value))


def _as_fixed(value: Any, precision: int) -> str:
    if not _number(value):
        raise _wrong("fixed-point", "doubles", value)
    return _special(float(value)) or f"{float(value):,.{precision}f}"


def _as_scientific(value: Any, precision: int) -> str:
    if not _number(value):
        raise _wrong("scientific", "doubles", value)
    if special := _special(float(value)):
        return special
    mantissa, _, power = f"{float(value):.{precision}e}".partition("e")
    return f"{mantissa}\u202f\u00d7\u202f10{power.removeprefix('+').translate(_RAISED)}"


_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _as_binary(value: Any, _precision: int) -> str:
    if not isinstance(value, int):
        raise _wrong("binary", "integers and bools", value)
    return format(int(value), "b")


def _as_octal(value: Any, _precision: int) -> str:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong("octal", "integers", value)
    return format(int(value), "o")


def _as_hex(value: Any, _precision: int) -> str:
    if isinstance(value, str):
        return value.encode().hex()
    if isinstance(value, bytes):
        return value.hex()
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong("hex", "integers, byte buffers, and strings", value)
    return format(int(value), "x")


_VERBS: dict[str, Callable[[Any, int], str]] = {
    "s": _as_text, "d": _as_decimal, "f": _as_fixed, "e": _as_scientific, "b": _as_binary, "o": _as_octal,
    "x": _as_hex, "X": lambda value, precision: _as_hex(value, precision).upper(),
}  # fmt: skip

LIBRARY = (
    functions.member("charAt", "string_char_at_int", (STRING, INT), STRING, _char_at),
    functions.member("indexOf", "string_index_of_string", (STRING, STRING), INT, _index_of),
    functions.member("indexOf", "string_index_of_string_int", (STRING, STRING, INT), INT, _index_of),
    functions.member("lastIndexOf", "string_last_index_of_string", (STRING, STRING), INT, _last_index_of),
    functions.member("lastIndexOf", "string_last_index_of_string_int", (STRING, STRING, INT), INT, _last_index_of),
    functions.member("lowerAscii", "string_lower_ascii", (STRING,), STRING, lambda text: text.translate(_LOWER)),
    functions.member("upperAscii", "string_upper_ascii", (STRING,), STRING, lambda text: text.translate(_UPPER)),
    functions.member("replace", "string_replace_string_string", (STRING, STRING, STRING), STRING, _replace),
    functions.member("replace", "string_replace_string_string_int", (STRING, STRING, STRING, INT), STRING, _replace),
    functions.member("split", "string_split_string", (STRING, STRING), _STRINGS, _split),
    functions.member("split", "string_split_string_int", (STRING, STRING, INT), _STRINGS, _split),
    functions.member("substring", "string_substring_int", (STRING, INT), STRING, _substring),
    functions.member("substring", "string_substring_int_int", (STRING, INT, INT), STRING, _substring),
    functions.member("trim", "string_trim", (STRING,), STRING, lambda text: text.strip(_SPACE)),
    functions.member("join", "list_join", (_STRINGS,), STRING, _join),
    functions.member("join", "list_join_string", (_STRINGS, STRING), STRING, _join),
    functions.member("format", "string_format", (STRING, types.list_of(DYN)), STRING, _format),
    functions.plain("strings.quote", "strings_quote", (STRING,), STRING, fields.quote),
)
