"""ResourceQuotas and LimitRanges."""

from collections.abc import Mapping
from typing import Any

from kubeshim.machinery import objects, quantity
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import amounts, content, fields, go_structs

_SCOPES = (
    "BestEffort", "CrossNamespacePodAffinity", "NotBestEffort", "NotTerminating", "PriorityClass", "Terminating",
    "VolumeAttributesClass",
)  # fmt: skip
_OF_PODS = frozenset(
    ("pods", "cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory")
)  # fmt: skip
_COUNTED_BY: dict[str, frozenset[str]] = {
    "BestEffort": frozenset(("pods",)),
    "VolumeAttributesClass": frozenset(("persistentvolumeclaims", "requests.storage")),
    **dict.fromkeys(
        ("Terminating", "NotTerminating", "NotBestEffort", "PriorityClass", "CrossNamespacePodAffinity"), _OF_PODS
    ),
}
"""What of a quota can be counted for a scope."""
_JUST_EXIST = ("BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity")
_MUST_EXIST = (
    "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
    "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
)
_PAIRS = ({"BestEffort", "NotBestEffort"}, {"Terminating", "NotTerminating"})


def resource_quota(obj: objects.Object) -> list[FieldError]:
    spec = obj.get("spec") or {}
    wrong = _amounts(spec.get("hard") or {}, "spec.hard")
    if scopes := spec.get("scopes") or []:
        wrong += _scopes(scopes, spec.get("hard") or {})
    if (selector := spec.get("scopeSelector")) is not None:
        wrong += _selector(selector, spec)
    return wrong + resource_quota_status(obj, obj)


def resource_quota_status(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    status = obj.get("status") or {}
    return _amounts(status.get("hard") or {}, "status.hard") + _amounts(status.get("used") or {}, "status.used")


def _amounts(found: Mapping[str, str], path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    for name, amount in found.items():
        wrong += amounts.quota_resource_name(name, f"{path}[{name}]")
        wrong += amounts.resource_value(name, amount, f"{path}[{name}]")
    return wrong


def _uncountable(scope: str, hard: Mapping[str, str]) -> list[str]:
    counted = _COUNTED_BY.get(scope)
    if counted is None:
        return []
    return [name for name in sorted(hard) if amounts.is_standard_for_quotas(name) and name not in counted]


def _scopes(scopes: list[str], hard: Mapping[str, str]) -> list[FieldError]:
    path = "spec.scopes"
    wrong: list[FieldError] = []
    for scope in scopes:
        if scope not in _SCOPES:
            wrong.append(fields.invalid(path, scopes, "unsupported scope"))
        wrong += [
            fields.invalid(path, scopes, "unsupported scope applied to resource") for _ in _uncountable(scope, hard)
        ]
    return wrong + [fields.invalid(path, scopes, "conflicting scopes") for pair in _PAIRS if pair <= set(scopes)]


def _selector(selector: Mapping[str, Any], spec: Mapping[str, Any]) -> list[FieldError]:
    path = "spec.scopeSelector.matchExpressions"
    wrong: list[FieldError] = []
    terms = selector.get("matchExpressions") or ()
    for term in terms:
        scope, operator, values = term.get("scopeName") or "", term.get("operator") or "", term.get("values") or []
        if scope not in _SCOPES:
            wrong.append(fields.invalid(path + ".scopeName", scope, "unsupported scope"))
        for _ in _uncountable(scope, spec.get("hard") or {}):
            shown = go_structs.shown(go_structs.SCOPE_SELECTOR, selector)
            wrong.append(fields.invalid(path, shown, "unsupported scope applied to resource"))
        if scope in _JUST_EXIST and operator != "Exists":
            wrong.append(fields.invalid(path + ".operator", operator, _MUST_EXIST))
        if operator in ("In", "NotIn"):
            if not values:
                text = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
                wrong.append(fields.required(path + ".values", text))
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                text = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
                wrong.append(fields.invalid(path + ".values", values, text))
        else:
            wrong.append(fields.invalid(path + ".operator", operator, "not a valid selector operator"))
    named = {term.get("scopeName") for term in terms}
    shown_scopes = spec.get("scopes")
    return wrong + [
        fields.invalid("spec.scopeSelector.matchExpressions", shown_scopes, "conflicting scopes")
        for pair in _PAIRS
        if pair <= named
    ]


def resource_quota_update(obj: objects.Object, old: objects.Object) -> list[FieldError]:
    new, before = objects.dig(obj, "spec", "scopes"), objects.dig(old, "spec", "scopes")
    if set(new or ()) == set(before or ()):
        return []
    return [fields.invalid("spec.scopes", new, fields.IMMUTABLE)]


def limit_range(obj: objects.Object) -> list[FieldError]:
    wrong: list[FieldError] = []
    seen: set[str] = set()
    for index, limit in enumerate(objects.dig(obj, "spec", "limits", default=()) or ()):
        path, kind = f"spec.limits[{index}]", limit.get("type") or ""
        problems = fields.all_invalid(path + ".type", kind, content.qualified_name(kind))
        if not problems and "/" not in kind and kind not in ("Pod", "Container", "PersistentVolumeClaim"):
            text = "must be a standard limit type or fully qualified"
            problems.append(fields.invalid(path + ".type", kind, text))
        wrong += problems
        if kind in seen:
            wrong.append(fields.duplicate(path + ".type", kind))
        seen.add(kind)
        wrong += _limit(limit, kind, path)
    return wrong


_Amounts = Mapping[str, quantity.Quantity]


def _limit(limit: Mapping[str, Any], kind: str, path: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    parsed: dict[str, _Amounts] = {}

    def names(bound: str) -> list[FieldError]:
        found = limit.get(bound) or {}
        parsed[bound] = {name: quantity.parse(amount) for name, amount in found.items()}
        check = amounts.container_resource_name if kind in ("Pod", "Container") else amounts.resource_name
        return [problem for name in found for problem in check(name, f"{path}.{bound}[{name}]")]

    wrong += names("max") + names("min")
    for bound in ("default", "defaultRequest"):
        if kind != "Pod":
            wrong += names(bound)
        elif limit.get(bound):
            wrong.append(fields.forbidden(f"{path}.{bound}", "may not be specified when `type` is 'Pod'"))
    if kind == "PersistentVolumeClaim" and "storage" not in {**parsed["min"], **parsed["max"]}:
        text = "either minimum or maximum storage value is required, but neither was provided"
        wrong.append(fields.required(path + ".limits", text))
    wrong += names("maxLimitRequestRatio")
    for name in dict.fromkeys(name for found in parsed.values() for name in found):
        wrong += _resource({bound: found[name] for bound, found in parsed.items() if name in found}, name, path)
    return wrong


_COMPARED = (
    ("min", "max", "min", "min", "min value", "max value"),
    ("min", "defaultRequest", "defaultRequest", "defaultRequest", "min value", "default request value"),
    ("defaultRequest", "max", "defaultRequest", "defaultRequest", "default request value", "max value"),
    ("defaultRequest", "default", "defaultRequest", "defaultRequest", "default request value", "default limit value"),
    ("min", "default", "default", "min", "min value", "default value"),
    ("default", "max", "default", "max", "default value", "max value"),
)
"""What may not be greater than what; where that is said, and with which of the two as the value."""


def _resource(found: _Amounts, name: str, path: str) -> list[FieldError]:
    """One resource's bounds against each other."""
    wrong: list[FieldError] = []
    for low, high, place, shown, low_words, high_words in _COMPARED:
        if low in found and high in found and found[low] > found[high]:
            text = f"{low_words} {found[low]} is greater than {high_words} {found[high]}"
            wrong.append(fields.invalid(f"{path}.{place}[{name}]", str(found[shown]), text))
    if (ratio := found.get("maxLimitRequestRatio")) is not None:
        place = f"{path}.maxLimitRequestRatio[{name}]"
        if ratio < quantity.of(1):
            wrong.append(fields.invalid(place, str(ratio), f"ratio {ratio} is less than 1"))
        if "min" in found and "max" in found and found["min"].nano:
            most = found["max"].nano / found["min"].nano
            if ratio.nano / 10**9 > most:
                text = f"ratio {ratio} is greater than max/min = {most:f}"
                wrong.append(fields.invalid(place, str(ratio), text))
    default, request = found.get("default"), found.get("defaultRequest")
    if default is not None and request is not None and default != request and not amounts.may_overcommit(name):
        text = f"default value {default} must equal to defaultRequest value {request} in {name}"
        wrong.append(fields.invalid(f"{path}.defaultRequest[{name}]", str(request), text))
    return wrong
