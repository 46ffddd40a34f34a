"""What claims for devices and the slices that offer them share: names, taints, tolerations, selectors, lists."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import content, fields, volumes

_POOL_LIMIT = 253
_DOMAIN_LIMIT, _ID_LIMIT = 63, 32
_SELECTORS_LIMIT = 32
_EXPRESSION_LIMIT = 10 * 1024
_EFFECTS = ("NoExecute", "NoSchedule", "None")
_CONDITIONS_LIMIT = 4
_is_uid = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch

ItemCheck = Callable[[Any, str], list[FieldError]]
Key = Callable[[Any], Any]


def items(
    found: Sequence[Any] | None, limit: int, check: ItemCheck, path: str, key: Key | None = None
) -> list[FieldError]:
    """A list that is not too long (a negative limit: any), of valid items, no two of which have the same ``key``."""
    entries = found or ()
    if 0 <= limit < len(entries):
        return [fields.too_many(path, len(entries), limit)]
    wrong: list[FieldError] = []
    for index, item in enumerate(entries):
        wrong += check(item, f"{path}[{index}]")
    if key is not None:
        seen: set[Any] = set()
        for index, item in enumerate(entries):
            value = key(item)
            if value in seen:
                wrong.append(fields.duplicate(f"{path}[{index}]", value))
            seen.add(value)
    return wrong


def label(text: str, path: str) -> list[FieldError]:
    return fields.all_invalid(path, text, content.dns_label(text))


def label_name(text: str, path: str) -> list[FieldError]:
    return fields.all_invalid(path, text, content.qualified_name(text))


def pool_name(text: str, path: str) -> list[FieldError]:
    if not text:
        return [fields.required(path)]
    wrong = [fields.too_long(path, _POOL_LIMIT)] if len(text) > _POOL_LIMIT else []
    for part in text.split("/"):
        wrong += fields.all_invalid(path, part, content.dns_subdomain(part))
    return wrong


def uid(text: str, path: str) -> list[FieldError]:
    if _is_uid(text):
        return []
    if not _is_uid(text.lower()):
        bad = f"invalid UUID length: {len(text)}" if len(text) != 36 else "invalid UUID format"
        return [fields.invalid(path, text, f"error validating uid: {bad}")]
    why = (
        "uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase hexadecimal "
        "characters"
    )
    return [fields.invalid(path, text, why)]


def qualified(text: str, path: str) -> list[FieldError]:
    """The name of an attribute or a capacity: an identifier, perhaps of a domain."""
    domain, slash, name = text.rpartition("/")
    if text.count("/") > 1:
        return []  # upstream judges none of the parts then
    wrong: list[FieldError] = []
    if slash and not domain:
        wrong.append(fields.invalid(path, "", "the domain must not be empty"))
    elif slash:
        wrong += volumes.driver_name(domain, path)
    if slash and not name:
        return [*wrong, fields.invalid(path, "", "the name must not be empty")]
    if len(name) > _ID_LIMIT:
        wrong.append(fields.too_long(path, _ID_LIMIT))
    return wrong + fields.all_invalid(path, name, content.c_identifier(name))


def fully_qualified(text: str, path: str) -> list[FieldError]:
    wrong = qualified(text, path)
    if "/" not in text:
        why = "a fully qualified name must be a domain and a name separated by a slash"
        wrong.append(fields.invalid(path, text, why))
    return wrong


def selectors(found: Sequence[Mapping[str, Any]] | None, path: str, *, stored: bool = False) -> list[FieldError]:
    """Expressions that are ``stored`` already were right once."""

    def check(selector: Mapping[str, Any], place: str) -> list[FieldError]:
        return _selector(selector, place, stored)

    return items(found, _SELECTORS_LIMIT, check, path)


def _selector(selector: Mapping[str, Any], path: str, stored: bool) -> list[FieldError]:
    expression = selector.get("cel")
    if expression is None:
        return [fields.required(path + ".cel")]
    if stored:
        return []
    source, path = expression.get("expression") or "", path + ".cel.expression"
    if len(source.encode()) > _EXPRESSION_LIMIT:
        return [fields.too_long(path, _EXPRESSION_LIMIT)]
    return _uncompiled(source, path)


def _uncompiled(source: str, path: str) -> list[FieldError]:
    from kubeshim.machinery.cel import devices, environment  # the engine is loaded with the first expression

    try:
        compiled = devices.compile_selector(source)
    except environment.CompileError as problem:
        return [fields.invalid(path, source, str(problem))]
    if devices.most(compiled) > devices.COST_LIMIT:
        return [fields.forbidden(path, "too complex, exceeds cost limit")]
    return []


def configuration(config: Mapping[str, Any], path: str, *, stored: bool = False) -> list[FieldError]:
    """What a driver is told and nobody else understands; what is ``stored`` already may be of any size."""
    opaque, path = config.get("opaque"), path + ".opaque"
    if opaque is None:
        return [fields.required(path)]
    wrong = volumes.driver_name(opaque.get("driver") or "", path + ".driver")
    return wrong + raw(opaque.get("parameters"), path + ".parameters", stored=stored)


def raw(value: Any, path: str, *, stored: bool = False) -> list[FieldError]:
    """An object of any shape, of at most 10 KiB."""
    if value is None:
        return [fields.required(path)]
    if not stored and len(orjson.dumps(value)) > _EXPRESSION_LIMIT:
        return [fields.too_long(path, _EXPRESSION_LIMIT)]
    if not isinstance(value, dict):
        return [fields.invalid(path, "<value omitted>", "must be a valid JSON object")]
    return []


def taint(found: Mapping[str, Any], path: str, held: Mapping[str, Any] | None = None) -> list[FieldError]:
    """An effect that was there before may stay, whatever it is."""
    wrong = label_name(found.get("key") or "", path + ".key")
    if found.get("value"):
        wrong += fields.all_invalid(path + ".value", found["value"], content.label_value(found["value"]))
    effect = found.get("effect") or ""
    if held is None or (held.get("effect") or "") != effect:
        wrong += _effect(effect, path) if effect else [fields.required(path + ".effect")]
    return wrong


def _effect(effect: str, path: str) -> list[FieldError]:
    return fields.one_of(path + ".effect", effect, _EFFECTS)


def toleration(found: Mapping[str, Any], path: str) -> list[FieldError]:
    wrong = label_name(found["key"], path + ".key") if found.get("key") else []
    operator, value = found.get("operator") or "", found.get("value") or ""
    if operator == "Exists":
        if value:
            wrong.append(fields.invalid(path + ".value", value, "must be empty for operator `Exists`"))
    elif operator == "Equal":
        wrong += fields.all_invalid(path + ".value", value, content.label_value(value))
    elif not operator:
        wrong.append(fields.required(path + ".operator"))
    else:
        wrong.append(fields.not_supported(path + ".operator", operator, ("Equal", "Exists")))
    return wrong + (_effect(found["effect"], path) if found.get("effect") else [])


def tolerations(holder: Mapping[str, Any], path: str) -> list[FieldError]:
    return items(holder.get("tolerations"), -1, toleration, path + ".tolerations")


def binding_conditions(holder: Mapping[str, Any], path: str) -> list[FieldError]:
    binding, failing = holder.get("bindingConditions") or [], holder.get("bindingFailureConditions") or []
    places = f"{path}.bindingConditions", f"{path}.bindingFailureConditions"
    wrong = items(binding, _CONDITIONS_LIMIT, label_name, places[0])
    wrong += items(failing, _CONDITIONS_LIMIT, label_name, places[1])
    for place, entries in zip(places, (binding, failing), strict=True):
        wrong += [fields.duplicate(f"{place}[{i}]", one) for i, one in enumerate(entries) if one in entries[:i]]
    overlap = "bindingFailureConditions must not overlap with bindingConditions"
    wrong += [fields.invalid(f"{places[1]}[{i}]", one, overlap) for i, one in enumerate(failing) if one in binding]
    if failing and not binding:
        text = "bindingConditions are required to use bindingFailureConditions"
        wrong.append(fields.invalid(places[0], holder.get("bindingConditions"), text))
    if binding and not failing:
        text = "bindingFailureConditions are required to use bindingConditions"
        wrong.append(fields.invalid(places[1], holder.get("bindingFailureConditions"), text))
    return wrong
