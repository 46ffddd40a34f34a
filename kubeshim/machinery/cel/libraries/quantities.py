"""``quantity``: amounts as resources have them, exact."""

import dataclasses
from typing import Any

from kubeshim.machinery import quantity
from kubeshim.machinery.cel import functions, types, values
from kubeshim.machinery.cel.types import BOOL, DOUBLE, INT, STRING

TYPE = types.opaque("kubernetes.Quantity")


@dataclasses.dataclass(frozen=True, slots=True)
class Amount:
    amount: quantity.Quantity
    cel_type = TYPE

    def cel_json(self) -> str:
        return self.amount.canonical()


def _quantity(text: str) -> Amount:
    try:
        return Amount(quantity.parse(text))
    except quantity.FormatError as problem:
        raise values.EvaluationError(str(problem)) from None


def _is_quantity(text: str) -> bool:
    try:
        quantity.parse(text)
    except quantity.FormatError:
        return False
    return True


def _is_integer(a: Amount) -> bool:
    return a.amount.nano % values.NANO == 0 and values.INT_MIN <= a.amount.nano // values.NANO <= values.INT_MAX


def _as_integer(a: Amount) -> int:
    if not _is_integer(a):
        raise values.EvaluationError("cannot convert value to integer")
    return a.amount.nano // values.NANO


def _other(other: Any) -> quantity.Quantity:
    return other.amount if isinstance(other, Amount) else quantity.Quantity(other * values.NANO)


LIBRARY = (
    functions.plain("quantity", "string_to_quantity", (STRING,), TYPE, _quantity),
    functions.plain("isQuantity", "is_quantity_string", (STRING,), BOOL, _is_quantity),
    functions.member("sign", "quantity_sign", (TYPE,), INT, lambda a: (a.amount.nano > 0) - (a.amount.nano < 0)),
    functions.member("isInteger", "quantity_is_integer", (TYPE,), BOOL, _is_integer),
    functions.member("asInteger", "quantity_as_integer", (TYPE,), INT, _as_integer),
    functions.member("asApproximateFloat", "quantity_get_float", (TYPE,), DOUBLE,
                     lambda a: a.amount.nano / values.NANO),
    functions.member("add", "quantity_add", (TYPE, TYPE), TYPE, lambda a, b: Amount(a.amount + b.amount)),
    functions.member("add", "quantity_add_int", (TYPE, INT), TYPE, lambda a, b: Amount(a.amount + _other(b))),
    functions.member("sub", "quantity_sub", (TYPE, TYPE), TYPE, lambda a, b: Amount(a.amount - b.amount)),
    functions.member("sub", "quantity_sub_int", (TYPE, INT), TYPE, lambda a, b: Amount(a.amount - _other(b))),
    functions.member("isLessThan", "quantity_less_than", (TYPE, TYPE), BOOL, lambda a, b: a.amount < b.amount),
    functions.member("isGreaterThan", "quantity_greater_than", (TYPE, TYPE), BOOL, lambda a, b: a.amount > b.amount),
    functions.member("compareTo", "quantity_compare_to", (TYPE, TYPE), INT,
                     lambda a, b: (a.amount > b.amount) - (a.amount < b.amount)),
)  # fmt: skip
