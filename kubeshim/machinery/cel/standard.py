"""CEL's own operators and functions."""

import datetime
import math
import operator
import re
import zoneinfo
from collections.abc import Callable, Mapping
from typing import Any

from kubeshim.machinery import regexes
from kubeshim.machinery.cel import functions, gotime, types, values
from kubeshim.machinery.cel.types import BOOL, BYTES, DOUBLE, DURATION, DYN, INT, STRING, TIMESTAMP, UINT, A, B

Error = values.EvaluationError
_LIST, _MAP = types.list_of(A), types.map_of(A, B)


def _int(number: int) -> int:
    if not values.INT_MIN <= number <= values.INT_MAX:
        raise Error("integer overflow")
    return number


def _uint(number: int) -> values.Uint:
    if not 0 <= number <= values.UINT_MAX:
        raise Error("unsigned integer overflow")
    return values.Uint(number)


def _duration(nanos: int) -> values.Duration:
    if not values.INT_MIN <= nanos <= values.INT_MAX:
        raise Error("duration overflow")
    return values.Duration(nanos)


def _timestamp(nanos: int, zone: int = 0) -> values.Timestamp:
    try:
        return gotime.in_range(nanos, zone)
    except ValueError:
        raise Error("timestamp overflow") from None


def _quotient(one: int, other: int) -> int:
    """Towards zero, as Go divides."""
    if other == 0:
        raise Error("division by zero")
    found = abs(one) // abs(other)
    return found if (one < 0) == (other < 0) else -found


def _remainder(one: int, other: int) -> int:
    if other == 0:
        raise Error("modulus by zero")
    return one - other * _quotient(one, other)


def _divide(one: float, other: float) -> float:
    if other != 0:
        return one / other
    if one == 0 or math.isnan(one):
        return float("nan")
    negative = (one < 0) != (str(other)[0] == "-")
    return float("-inf") if negative else float("inf")


def join_lists(one: Any, other: Any) -> Any:
    if isinstance(one, values.TypedList):
        return one.joined(other)
    return list(one) + list(other)


def _two(function: str, name: str, kind: types.Type, run: Callable[..., Any]) -> functions.Overload:
    return functions.plain(function, name, (kind, kind), kind, run)


_ARITHMETIC = (
    _two("_+_", "add_int64", INT, lambda a, b: _int(a + b)),
    _two("_+_", "add_uint64", UINT, lambda a, b: _uint(int(a) + int(b))),
    _two("_+_", "add_double", DOUBLE, operator.add),
    _two("_+_", "add_string", STRING, operator.add),
    _two("_+_", "add_bytes", BYTES, operator.add),
    _two("_+_", "add_list", _LIST, join_lists),
    functions.plain(
        "_+_", "add_timestamp_duration", (TIMESTAMP, DURATION), TIMESTAMP,
        lambda a, b: _timestamp(a.nanos + b.nanos, a.zone)
    ),
    functions.plain(
        "_+_", "add_duration_timestamp", (DURATION, TIMESTAMP), TIMESTAMP,
        lambda a, b: _timestamp(a.nanos + b.nanos, b.zone)
    ),
    _two("_+_", "add_duration_duration", DURATION, lambda a, b: _duration(a.nanos + b.nanos)),
    _two("_-_", "subtract_int64", INT, lambda a, b: _int(a - b)),
    _two("_-_", "subtract_uint64", UINT, lambda a, b: _uint(int(a) - int(b))),
    _two("_-_", "subtract_double", DOUBLE, operator.sub),
    functions.plain(
        "_-_", "subtract_timestamp_timestamp", (TIMESTAMP, TIMESTAMP), DURATION,
        lambda a, b: _duration(a.nanos - b.nanos),
    ),
    functions.plain(
        "_-_", "subtract_timestamp_duration", (TIMESTAMP, DURATION), TIMESTAMP,
        lambda a, b: _timestamp(a.nanos - b.nanos, a.zone),
    ),
    _two("_-_", "subtract_duration_duration", DURATION, lambda a, b: _duration(a.nanos - b.nanos)),
    _two("_*_", "multiply_int64", INT, lambda a, b: _int(a * b)),
    _two("_*_", "multiply_uint64", UINT, lambda a, b: _uint(int(a) * int(b))),
    _two("_*_", "multiply_double", DOUBLE, operator.mul),
    _two("_/_", "divide_int64", INT, lambda a, b: _int(_quotient(a, b))),
    _two("_/_", "divide_uint64", UINT, lambda a, b: _uint(_quotient(int(a), int(b)))),
    _two("_/_", "divide_double", DOUBLE, _divide),
    _two("_%_", "modulo_int64", INT, _remainder),
    _two("_%_", "modulo_uint64", UINT, lambda a, b: _uint(_remainder(int(a), int(b)))),
    functions.plain("-_", "negate_int64", (INT,), INT, lambda a: _int(-a)),
    functions.plain("-_", "negate_double", (DOUBLE,), DOUBLE, operator.neg),
)  # fmt: skip


def _comparisons() -> list[functions.Overload]:
    found = []
    ordered = (("bool", BOOL), ("int64", INT), ("uint64", UINT), ("double", DOUBLE), ("string", STRING),
               ("bytes", BYTES), ("timestamp", TIMESTAMP), ("duration", DURATION))  # fmt: skip
    numbers = ordered[1:4]
    for function, word, run in (
        ("_<_", "less", operator.lt), ("_<=_", "less_equals", operator.le),
        ("_>_", "greater", operator.gt), ("_>=_", "greater_equals", operator.ge),
    ):  # fmt: skip
        found += [functions.plain(function, f"{word}_{name}", (kind, kind), BOOL, run) for name, kind in ordered]
        found += [
            functions.plain(function, f"{word}_{one}_{other}", (kind, kind2), BOOL, run)
            for one, kind in numbers
            for other, kind2 in numbers
            if one != other
        ]
    return found


def index_list(found: Any, index: Any) -> Any:
    if (type(index) is float and not index.is_integer()) or not isinstance(index, int | float):
        raise Error(f"unsupported index value: {index}" if isinstance(index, float) else "no such overload")
    position = int(index)
    if not 0 <= position < len(found):
        raise Error(f"index out of bounds: {position}")
    return found[position]


def index_map(found: Any, key: Any) -> Any:
    if holds_key(found, key):
        return found[key]
    raise Error(f"no such key: {shown(key)}")


def holds_key(found: Mapping[Any, Any], key: Any) -> bool:
    try:
        if key not in found:
            return False
    except TypeError:
        return False
    # to Python True is 1, to CEL it is not
    return not isinstance(key, bool) or any(each is key for each in found)


def shown(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return gotime.double_text(value) if isinstance(value, float) else str(value)


def _in_list(item: Any, found: Any) -> bool:
    return any(values.equal(item, each) for each in found)


_LOGIC = (
    functions.plain("_==_", "equals", (A, A), BOOL, values.equal),
    functions.plain("_!=_", "not_equals", (A, A), BOOL, lambda a, b: not values.equal(a, b)),
    functions.plain("_&&_", "logical_and", (BOOL, BOOL), BOOL, lambda a, b: a and b),
    functions.plain("_||_", "logical_or", (BOOL, BOOL), BOOL, lambda a, b: a or b),
    functions.plain("!_", "logical_not", (BOOL,), BOOL, operator.not_),
    functions.plain("@not_strictly_false", "not_strictly_false", (BOOL,), BOOL, lambda a: a),
    functions.plain("_?_:_", "conditional", (BOOL, A, A), A, lambda c, a, b: a if c else b),
    functions.plain("_[_]", "index_list", (_LIST, INT), A, index_list),
    functions.plain("_[_]", "index_map", (_MAP, A), B, index_map),
    functions.plain("@in", "in_list", (A, _LIST), BOOL, _in_list),
    functions.plain("@in", "in_map", (A, _MAP), BOOL, lambda key, found: holds_key(found, key)),
    functions.plain("dyn", "to_dyn", (A,), DYN, lambda a: a),
    functions.plain("type", "type", (A,), types.type_of(A), values.type_of),
)


def _insert(found: dict[Any, Any], key: Any, value: Any) -> dict[Any, Any]:
    """In place: only macros call this, on a map they have just made."""
    if key in found:
        raise Error(f"insert failed: key {shown(key)} already exists")
    found[key] = value
    return found


def _insert_entry(found: dict[Any, Any], entry: Mapping[Any, Any]) -> dict[Any, Any]:
    for key in entry:
        _insert(found, key, entry[key])
    return found


_MAPS = (
    functions.plain("cel.@mapInsert", "@mapInsert_map_key_value", (_MAP, A, B), _MAP, _insert),
    functions.plain("cel.@mapInsert", "@mapInsert_map_map", (_MAP, _MAP), _MAP, _insert_entry),
)


def _sizes() -> list[functions.Overload]:
    found = []
    for name, kind in (("string", STRING), ("bytes", BYTES), ("list", _LIST), ("map", _MAP)):
        found.append(functions.plain("size", f"size_{name}", (kind,), INT, len))
        found.append(functions.member("size", f"{name}_size", (kind,), INT, len))
    return found


def matches(text: str, pattern: str) -> bool:
    try:
        return regexes.compile_pattern(pattern).search(text) is not None
    except regexes.Malformed as problem:
        raise Error(str(problem)) from None


_TEXT = (
    functions.member("contains", "contains_string", (STRING, STRING), BOOL, operator.contains),
    functions.member("startsWith", "starts_with_string", (STRING, STRING), BOOL, str.startswith),
    functions.member("endsWith", "ends_with_string", (STRING, STRING), BOOL, str.endswith),
    functions.plain("matches", "matches", (STRING, STRING), BOOL, matches),
    functions.member("matches", "matches_string", (STRING, STRING), BOOL, matches),
)


def _failed(source: str, target: str) -> Error:
    return Error(f"type conversion error from '{source}' to '{target}'")


_INTEGER = re.compile(r"[+-]?[0-9]+").fullmatch
_FLOAT = re.compile(
    r"[+-]?(?:[0-9]+\.?[0-9]*(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?|[iI]nf(?:inity)?|[nN]a[nN])"
)


_DIGITS = 4000
"""Python refuses to read more; nothing that long fits anywhere."""


def whole(text: str) -> int:
    """The number, or one that is too big for every type."""
    return int(text) if len(text) < _DIGITS else values.UINT_MAX + 1


def _int_of_text(text: str) -> int:
    if not _INTEGER(text) or not values.INT_MIN <= whole(text) <= values.INT_MAX:
        raise _failed("string", "int")
    return int(text)


def _uint_of_text(text: str) -> values.Uint:
    if not _INTEGER(text) or text[0] in "+-" or whole(text) > values.UINT_MAX:
        raise _failed("string", "uint")
    return values.Uint(text)


def _int_of_double(number: float) -> int:
    if not -(2.0**63) < number < 2.0**63:
        raise Error("integer overflow")
    return int(number)


def _uint_of_double(number: float) -> values.Uint:
    if not 0 <= number < 2.0**64:
        raise Error("unsigned integer overflow")
    return values.Uint(number)


def _double_of_text(text: str) -> float:
    if not _FLOAT.fullmatch(text) or (math.isinf(float(text)) and "n" not in text.lower()):
        raise _failed("string", "double")
    return float(text)


def _bool_of_text(text: str) -> bool:
    if text in ("1", "t", "T", "TRUE", "true", "True"):
        return True
    if text in ("0", "f", "F", "FALSE", "false", "False"):
        return False
    raise _failed("string", "bool")


def _text_of_bytes(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Error("invalid UTF-8 in bytes, cannot convert to string") from None


def duration_of_text(text: str) -> values.Duration:
    try:
        return gotime.parse_duration(text)
    except ValueError:
        raise _failed("string", "google.protobuf.Duration") from None


def timestamp_of_text(text: str) -> values.Timestamp:
    try:
        return gotime.parse_timestamp(text)
    except ValueError:
        raise _failed("string", "google.protobuf.Timestamp") from None


def _same(value: Any) -> Any:
    return value


_CONVERSIONS = (
    functions.plain("int", "int64_to_int64", (INT,), INT, _same),
    functions.plain("int", "uint64_to_int64", (UINT,), INT, lambda a: _int(int(a))),
    functions.plain("int", "double_to_int64", (DOUBLE,), INT, _int_of_double),
    functions.plain("int", "string_to_int64", (STRING,), INT, _int_of_text),
    functions.plain("int", "timestamp_to_int64", (TIMESTAMP,), INT, lambda a: a.nanos // values.NANO),
    functions.plain("int", "duration_to_int64", (DURATION,), INT, lambda a: a.nanos),
    functions.plain("uint", "uint64_to_uint64", (UINT,), UINT, _same),
    functions.plain("uint", "int64_to_uint64", (INT,), UINT, _uint),
    functions.plain("uint", "double_to_uint64", (DOUBLE,), UINT, _uint_of_double),
    functions.plain("uint", "string_to_uint64", (STRING,), UINT, _uint_of_text),
    functions.plain("double", "double_to_double", (DOUBLE,), DOUBLE, _same),
    functions.plain("double", "int64_to_double", (INT,), DOUBLE, float),
    functions.plain("double", "uint64_to_double", (UINT,), DOUBLE, float),
    functions.plain("double", "string_to_double", (STRING,), DOUBLE, _double_of_text),
    functions.plain("bool", "bool_to_bool", (BOOL,), BOOL, _same),
    functions.plain("bool", "string_to_bool", (STRING,), BOOL, _bool_of_text),
    functions.plain("bytes", "bytes_to_bytes", (BYTES,), BYTES, _same),
    functions.plain("bytes", "string_to_bytes", (STRING,), BYTES, str.encode),
    functions.plain("string", "string_to_string", (STRING,), STRING, _same),
    functions.plain("string", "bool_to_string", (BOOL,), STRING, shown),
    functions.plain("string", "bytes_to_string", (BYTES,), STRING, _text_of_bytes),
    functions.plain("string", "double_to_string", (DOUBLE,), STRING, gotime.double_text),
    functions.plain("string", "duration_to_string", (DURATION,), STRING, gotime.duration_text),
    functions.plain("string", "int64_to_string", (INT,), STRING, str),
    functions.plain("string", "timestamp_to_string", (TIMESTAMP,), STRING, gotime.timestamp_text),
    functions.plain("string", "uint64_to_string", (UINT,), STRING, lambda a: str(int(a))),
    functions.plain("timestamp", "timestamp_to_timestamp", (TIMESTAMP,), TIMESTAMP, _same),
    functions.plain("timestamp", "int64_to_timestamp", (INT,), TIMESTAMP, lambda a: _timestamp(a * values.NANO)),
    functions.plain("timestamp", "string_to_timestamp", (STRING,), TIMESTAMP, timestamp_of_text),
    functions.plain("duration", "duration_to_duration", (DURATION,), DURATION, _same),
    functions.plain("duration", "int64_to_duration", (INT,), DURATION, values.Duration),
    functions.plain("duration", "string_to_duration", (STRING,), DURATION, duration_of_text),
)

_OFFSET = re.compile(r"([+-]?)([0-9]{1,2}):([0-9]{2})").fullmatch


def _zone(name: str) -> datetime.tzinfo:
    match = _OFFSET(name)
    if match:
        delta = datetime.timedelta(hours=int(match[2]), minutes=int(match[3]))
        return datetime.timezone(-delta if match[1] == "-" else delta)
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise Error(f"unknown time zone {name}") from None


def _local(stamp: values.Timestamp, name: str) -> datetime.datetime:
    zone = _zone(name)
    try:
        return values.moment(stamp).astimezone(zone)
    except OverflowError:
        raise Error("timestamp overflow") from None


_PARTS: dict[str, tuple[str, Callable[[datetime.datetime], int]]] = {
    "getFullYear": ("year", lambda when: when.year),
    "getMonth": ("month", lambda when: when.month - 1),
    "getDayOfYear": ("day_of_year", lambda when: when.timetuple().tm_yday - 1),
    "getDayOfMonth": ("day_of_month", lambda when: when.day - 1),
    "getDate": ("day_of_month_1_based", lambda when: when.day),
    "getDayOfWeek": ("day_of_week", lambda when: when.isoweekday() % 7),
    "getHours": ("hours", lambda when: when.hour),
    "getMinutes": ("minutes", lambda when: when.minute),
    "getSeconds": ("seconds", lambda when: when.second),
    "getMilliseconds": ("milliseconds", lambda when: when.microsecond // 1000),
}
_SPANS = {"getHours": ("hours", 3600 * 10**9), "getMinutes": ("minutes", 60 * 10**9),
          "getSeconds": ("seconds", 10**9), "getMilliseconds": ("milliseconds", 10**6)}  # fmt: skip


def _times() -> list[functions.Overload]:
    found = []
    for name, (word, part) in _PARTS.items():
        found.append(functions.member(
            name, f"timestamp_to_{word}", (TIMESTAMP,), INT, lambda a, part=part: part(values.moment(a))
        ))  # fmt: skip
        found.append(functions.member(
            name, f"timestamp_to_{word}_with_tz", (TIMESTAMP, STRING), INT,
            lambda a, zone, part=part: part(_local(a, zone)),
        ))  # fmt: skip
    for name, (word, unit) in _SPANS.items():
        found.append(functions.member(
            name, f"duration_to_{word}", (DURATION,), INT,
            lambda a, unit=unit: _quotient(a.nanos, unit),
        ))  # fmt: skip
    return found


LIBRARY: tuple[functions.Overload, ...] = (
    *_ARITHMETIC, *_comparisons(), *_LOGIC, *_MAPS, *_sizes(), *_TEXT, *_CONVERSIONS, *_times(),
)  # fmt: skip
