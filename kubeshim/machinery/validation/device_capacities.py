"""What of a device's capacity may be asked for: certain values, or the steps of a range."""

from collections.abc import Mapping
from typing import Any

from kubeshim.machinery import quantity
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import fields

_OPTIONS = 10


def validate(found: Mapping[str, Any], path: str, shared: bool) -> list[FieldError]:
    policy, path = found.get("requestPolicy"), path + ".requestPolicy"
    if policy is None:
        return []
    if not shared:
        return [fields.forbidden(path, "allowMultipleAllocations must be true")]
    values, span = policy.get("validValues") or [], policy.get("validRange")
    if values and span is not None:
        text = 'exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same time'
        return [fields.forbidden(path, text)]
    kind = "validValues" if values else "validRange" if span is not None else ""
    if not kind:
        return []
    if policy.get("default") is None:
        return [fields.required(path + ".default", f"required when {kind} is defined")]
    most = found.get("value") or "0"
    if values:
        return _valid_values(policy["default"], most, values, path + ".validValues")
    return _valid_range(policy["default"], most, span or {}, path + ".validRange")


def _valid_values(default: str, most: str, values: list[str], path: str) -> list[FieldError]:
    parsed, limit = [quantity.parse(value) for value in values], quantity.parse(most)
    wrong = [
        fields.invalid(f"{path}[{i}]", values[i], "values must be sorted in ascending order")
        for i in range(1, len(values))
        if parsed[i - 1] > parsed[i]
    ]
    if len(values) > _OPTIONS:
        wrong.append(fields.too_many(path, len(values), _OPTIONS))
        text = "default value is not valid according to the requestPolicy"
        return [*wrong, fields.invalid(path, default, text)]
    for index, value in enumerate(parsed):
        if value > limit:
            text = f"option is larger than capacity value: {most}"
            wrong.append(fields.invalid(f"{path}[{index}]", values[index], text))
    whole = [value.value() for value in parsed]
    for index, number in enumerate(whole):
        if number in whole[:index]:
            wrong.append(fields.duplicate(f"{path}[{index}]", str(number)))
    if quantity.parse(default) not in parsed:
        text = "default value is not valid according to the requestPolicy"
        wrong.append(fields.invalid(path, default, text))
    return wrong


def _valid_range(default: str, most: str, span: Mapping[str, Any], path: str) -> list[FieldError]:
    least, top = span.get("min"), span.get("max")
    if least is None:
        return [fields.required(path + ".min", "required when validRange is defined")]
    low, limit, start = quantity.parse(least), quantity.parse(most), quantity.parse(default)
    wrong: list[FieldError] = []
    if low > limit:
        wrong.append(fields.invalid(path + ".min", least, f"min is larger than capacity value: {most}"))
    if start < low:
        wrong.append(fields.invalid(path + ".default", default, f"default is less than min: {least}"))
    if top is not None:
        high = quantity.parse(top)
        if low > high:
            wrong.append(fields.invalid(path + ".max", least, f"min is larger than max: {top}"))
        if high > limit:
            wrong.append(fields.invalid(path + ".max", top, f"max is larger than capacity value: {most}"))
        if start > high:
            wrong.append(fields.invalid(path + ".default", default, f"default is more than max: {top}"))
    return wrong + _steps(span, [default] if top is None else [default, top], most, path + ".step")


def _steps(span: Mapping[str, Any], reached: list[str], most: str, path: str) -> list[FieldError]:
    """What of a range must be reached in whole steps from its least."""
    least, text = span["min"], span.get("step")
    if text is None:
        return []
    step, low = quantity.parse(text), quantity.parse(least)
    if step.nano <= 0:
        return [fields.invalid(path, text, "must be greater than zero")]
    wrong: list[FieldError] = []
    if low + step > quantity.parse(most):
        why = f"one step {low + step} is larger than capacity value: {most}"
        wrong.append(fields.invalid(path, text, why))
    for value in reached:
        if (quantity.parse(value).value() - low.value()) % step.value():
            why = f"value is not a multiple of a given step ({text}) from ({least})"
            wrong.append(fields.invalid(path, value, why))
    return wrong
