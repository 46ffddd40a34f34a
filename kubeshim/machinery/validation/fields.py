"""Wording of what is wrong with a field, exactly as upstream's ``field.Error`` words it.

Paths are plain strings (``spec.containers[0].name``): building them only when something is wrong keeps the good path
free, so validators pass their parent's path along and join at the complaint.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from kubeshim.machinery.errors import FieldError

_PLAIN = re.compile(r"[ -~]*").fullmatch
_SHORT = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}


def quote(text: str) -> str:
    """``strconv.Quote``: double quotes, Go's escapes, printable Unicode left alone."""
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    if _PLAIN(text):
        return f'"{text}"'
    return '"' + "".join(char if char.isprintable() else _escape(char) for char in text) + '"'


def _escape(char: str) -> str:
    code = ord(char)
    if char in _SHORT:
        return _SHORT[char]
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def shown(value: Any) -> str:
    """How a bad value appears in a message: text quoted, numbers plain, anything else as JSON."""
    if isinstance(value, str):
        return quote(value)
    if value is None:
        return "null"
    if isinstance(value, Struct):
        return _json(value, 0)
    if isinstance(value, Mapping | list | tuple):
        return _json(value, 0 if any(isinstance(item, Struct) for item in value) else orjson.OPT_SORT_KEYS)
    return str(value).lower() if isinstance(value, bool) else str(value)


class Struct(dict[str, Any]):
    """A value whose keys are shown in the order they have, as Go shows its structs."""


_HTML = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def _json(value: Any, option: int) -> str:
    return go_escaped(orjson.dumps(value, option=option).decode())


def go_escaped(text: str) -> str:
    """Go's ``json.Marshal`` escapes what HTML would read."""
    return text.translate(_HTML)


def invalid(field: str, value: Any, detail: str) -> FieldError:
    text = f"Invalid value: {shown(value)}"
    return FieldError(field, "FieldValueInvalid", f"{text}: {detail}" if detail else text)


def all_invalid(field: str, value: Any, details: Iterable[str]) -> list[FieldError]:
    """One error a complaint, the form most text checks take."""
    return [invalid(field, value, detail) for detail in details]


def omitted(field: str, detail: str) -> FieldError:
    """A bad value that is better not shown: a secret, or too much."""
    return FieldError(field, "FieldValueInvalid", f"Invalid value: {detail}")


def type_invalid(field: str, value: Any, detail: str) -> FieldError:
    return FieldError(field, "FieldValueTypeInvalid", f"Invalid value: {shown(value)}: {detail}")


def required(field: str, detail: str = "") -> FieldError:
    return FieldError(field, "FieldValueRequired", f"Required value: {detail}" if detail else "Required value")


def forbidden(field: str, detail: str) -> FieldError:
    return FieldError(field, "FieldValueForbidden", f"Forbidden: {detail}")


def duplicate(field: str, value: Any) -> FieldError:
    return FieldError(field, "FieldValueDuplicate", f"Duplicate value: {shown(value)}")


def not_found(field: str, value: Any) -> FieldError:
    return FieldError(field, "FieldValueNotFound", f"Not found: {shown(value)}")


def not_supported(field: str, value: Any, supported: Iterable[str]) -> FieldError:
    """``supported`` is shown in the order given (upstream sorts most sets; sort at the call where it does)."""
    names = ", ".join(quote(name) for name in supported)
    text = f"Unsupported value: {shown(value)}"
    return FieldError(field, "FieldValueNotSupported", f"{text}: supported values: {names}" if names else text)


def too_long(field: str, limit: int) -> FieldError:
    unit = "byte" if limit == 1 else "bytes"
    return FieldError(field, "FieldValueTooLong", f"Too long: may not be more than {limit} {unit}")


def too_many(field: str, actual: int, limit: int) -> FieldError:
    unit = "item" if limit == 1 else "items"
    return FieldError(field, "FieldValueTooMany", f"Too many: {actual}: must have at most {limit} {unit}")


def one_of(field: str, value: Any, supported: Sequence[str]) -> list[FieldError]:
    """Complains where ``value`` is not one of ``supported``."""
    return [] if value in supported else [not_supported(field, value, supported)]


def shown_selector(selector: Mapping[str, Any] | None) -> Struct | None:
    """A label selector, its fields in their order."""
    if selector is None:
        return None
    return Struct({name: selector[name] for name in ("matchLabels", "matchExpressions") if selector.get(name)})


IMMUTABLE = "field is immutable"


def immutable(field: str, new: Any, old: Any) -> list[FieldError]:
    """Complains where the value changed."""
    return [] if new == old else [invalid(field, new, IMMUTABLE)]


def non_negative(field: str, value: Any) -> list[FieldError]:
    if isinstance(value, int) and value < 0:
        return [invalid(field, value, "must be greater than or equal to 0")]
    return []


def positive(field: str, value: Any) -> list[FieldError]:
    if isinstance(value, int) and value <= 0:
        return [invalid(field, value, "must be greater than 0")]
    return []
