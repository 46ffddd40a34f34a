"""The selectors in a question about permissions: whether they are sound, and what of them cannot be used."""

from collections.abc import Mapping
from typing import Any

from kubeshim.machinery import errors, selectors
from kubeshim.machinery.validation import fields, metadata

_OPERATORS = {"In": "=", "NotIn": "!="}


def problems(attributes: Mapping[str, Any], path: str) -> list[errors.FieldError]:
    """What is wrong with the selectors of ``resourceAttributes``. Operators nobody here knows are let through."""
    found = []
    for name, check in (("fieldSelector", _field_requirement), ("labelSelector", _label_requirement)):
        selector, at = attributes.get(name), f"{path}.{name}"
        if selector is None:
            continue
        raw, requirements = selector.get("rawSelector") or "", selector.get("requirements") or ()
        if raw and requirements:
            why = "may not specified at the same time as requirements"
            found.append(fields.invalid(f"{at}.rawSelector", raw, why))
        if not raw and not requirements:
            why = f"when {at} is specified, requirements or rawSelector is required"
            found.append(fields.required(f"{at}.requirements", why))
        for index, requirement in enumerate(requirements):
            found += check(requirement, f"{at}.requirements[{index}]")
    return found


def _label_requirement(requirement: Mapping[str, Any], path: str) -> list[errors.FieldError]:
    return metadata.label_requirement(requirement, path, any_operator=True)


def _field_requirement(requirement: Mapping[str, Any], path: str) -> list[errors.FieldError]:
    found = []
    if not requirement.get("key"):
        found.append(fields.required(f"{path}.key", "must be specified"))
    operator, values = requirement.get("operator"), requirement.get("values")
    if operator in ("In", "NotIn") and not values:
        found.append(fields.required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    if operator in ("Exists", "DoesNotExist") and values:
        why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
        found.append(fields.forbidden(f"{path}.values", why))
    return found


def as_query(attributes: Mapping[str, Any]) -> str:
    """The field selector as the text a query would have, without what cannot be said there."""
    return ",".join(_field_terms(attributes.get("fieldSelector") or {})[0])


def ignored(attributes: Mapping[str, Any]) -> str:
    """The evaluation error where selectors could not be used, or not wholly."""
    texts = []
    for name, read in (("fieldSelector", _field_terms), ("labelSelector", _label_terms)):
        usable, whole = read(attributes.get(name) or {})
        if not whole:
            how = "partially ignored" if usable else "ignored"
            texts.append(f"spec.resourceAttributes.{name} {how} due to parse error")
    return "; ".join(texts)


def _field_terms(selector: Mapping[str, Any]) -> tuple[list[str], bool]:
    """The terms that can be used, and whether these are all."""
    raw, requirements = selector.get("rawSelector") or "", selector.get("requirements") or ()
    if raw:
        try:
            selectors.parse_fields(raw)
        except (selectors.SelectorError, errors.APIStatusError):
            return [], False
        return [raw], True
    usable = [
        f"{one['key']}{_OPERATORS[one['operator']]}{selectors.escape_field(one['values'][0])}"
        for one in requirements
        if one.get("operator") in _OPERATORS and len(one.get("values") or ()) == 1
    ]
    return usable, len(usable) == len(requirements)


def _label_terms(selector: Mapping[str, Any]) -> tuple[list[str], bool]:
    raw, requirements = selector.get("rawSelector") or "", selector.get("requirements") or ()
    if raw:
        try:
            selectors.parse_labels(raw)
        except (selectors.SelectorError, errors.APIStatusError):
            return [], False
        return [raw], True
    usable = [one["key"] for one in requirements if one.get("operator") in ("In", "NotIn", "Exists", "DoesNotExist")]
    return usable, len(usable) == len(requirements)
