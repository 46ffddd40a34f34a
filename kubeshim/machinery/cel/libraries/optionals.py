"""Values that may be absent: ``optional.of``, ``.orValue``, ``x.?y``, ``x[?y]``, ``list.first()``."""

from collections.abc import Mapping
from typing import Any

from kubeshim.machinery.cel import functions, gotime, standard, types, values
from kubeshim.machinery.cel.types import BOOL, DYN, STRING, A

_OPTIONAL = types.optional_of(A)


def _value(found: values.Optional) -> Any:
    if not found.present:
        raise values.EvaluationError("optional.none() dereference")
    return found.value


def of(value: Any) -> values.Optional:
    return values.Optional(value, True)


def _unwrap(items: Any) -> list[Any]:
    if not all(isinstance(item, values.Optional) for item in items):
        raise values.no_such_overload()
    return [item.value for item in items if item.present]


def _of_non_zero(value: Any) -> values.Optional:
    return values.NONE if _is_zero(value) else of(value)


def _is_zero(value: Any) -> bool:
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return not value
    if isinstance(value, values.Duration):
        return value.nanos == 0
    if isinstance(value, values.Timestamp):
        return value.nanos == gotime.FIRST
    return values.size(value) == 0 if isinstance(value, list | values.TypedList | Mapping | values.Object) else False


def select(operand: Any, field: str) -> values.Optional:
    """``operand.?field``, of an optional too: absent at any step is absent."""
    if isinstance(operand, values.Optional):
        return select(operand.value, field) if operand.present else values.NONE
    if isinstance(operand, values.Object):
        return of(operand.get(field)) if operand.has(field) else values.NONE
    if isinstance(operand, Mapping):
        return of(operand[field]) if field in operand else values.NONE
    raise values.no_such_overload()


def index(operand: Any, key: Any) -> values.Optional:
    if isinstance(operand, values.Optional):
        return index(operand.value, key) if operand.present else values.NONE
    if isinstance(operand, Mapping):
        return of(operand[key]) if standard.holds_key(operand, key) else values.NONE
    if isinstance(operand, list | values.TypedList) and isinstance(key, int):
        return of(operand[key]) if 0 <= key < len(operand) else values.NONE
    raise values.no_such_overload()


LIBRARY = (
    functions.plain("optional.of", "optional_of", (A,), _OPTIONAL, of),
    functions.plain("optional.ofNonZeroValue", "optional_ofNonZeroValue", (A,), _OPTIONAL, _of_non_zero),
    functions.plain("optional.none", "optional_none", (), _OPTIONAL, lambda: values.NONE),
    functions.member("value", "optional_value", (_OPTIONAL,), A, _value),
    functions.member("hasValue", "optional_hasValue", (_OPTIONAL,), BOOL, lambda a: a.present),
    functions.member("or", "optional_or_optional", (_OPTIONAL, _OPTIONAL), _OPTIONAL,
                     lambda a, b: a if a.present else b),
    functions.member("orValue", "optional_orValue_value", (_OPTIONAL, A), A, lambda a, b: a.value if a.present else b),
    functions.member("first", "list_first", (types.list_of(A),), _OPTIONAL, lambda items: index(items, 0)),
    functions.member("last", "list_last", (types.list_of(A),), _OPTIONAL,
                     lambda items: index(items, values.size(items) - 1)),
    functions.plain("optional.unwrap", "optional_unwrap", (types.list_of(_OPTIONAL),), types.list_of(A), _unwrap),
    functions.member("unwrapOpt", "optional_unwrapOpt", (types.list_of(_OPTIONAL),), types.list_of(A), _unwrap),
    functions.plain("_?._", "select_optional_field", (DYN, STRING), types.optional_of(DYN), select),
    functions.plain("_[?_]", "list_optindex_optional_int", (types.list_of(A), types.INT), _OPTIONAL, index),
    functions.plain("_[?_]", "optional_list_optindex_optional_int", (types.optional_of(types.list_of(A)), types.INT),
                    _OPTIONAL, index),
    functions.plain("_[?_]", "map_optindex_optional_value", (types.map_of(types.B, A), types.B), _OPTIONAL, index),
    functions.plain("_[?_]", "optional_map_optindex_optional_value",
                    (types.optional_of(types.map_of(types.B, A)), types.B), _OPTIONAL, index),
    functions.plain("_[_]", "optional_list_index_int", (types.optional_of(types.list_of(A)), types.INT),
                    _OPTIONAL, index),
    functions.plain("_[_]", "optional_map_index_value", (types.optional_of(types.map_of(types.B, A)), types.B),
                    _OPTIONAL, index),
)  # fmt: skip
