"""When a Job is failed by its pods, and when it has succeeded before all of them are through."""

from collections.abc import Mapping
from typing import Any

from kubeshim.machinery import objects
from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import content, fields

_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_OPERATORS = ("In", "NotIn")
_STATUSES = ("False", "True", "Unknown")
_MOST_RULES = _MOST_PATTERNS = 20
_MOST_CODES = 255
_LONGEST_INDEXES = 64 * 1024

_Found = Mapping[str, Any]


class BadIndexes(ValueError):
    """Says what is wrong with a list of indexes."""


def failure(spec: _Found, path: str) -> list[FieldError]:
    rules = spec["podFailurePolicy"].get("rules") or ()
    wrong: list[FieldError] = []
    if len(rules) > _MOST_RULES:
        wrong.append(fields.too_many(path + ".rules", len(rules), _MOST_RULES))
    names = {
        container.get("name")
        for field in ("containers", "initContainers")
        for container in objects.dig(spec, "template", "spec", field, default=()) or ()
    }
    for index, rule in enumerate(rules):
        wrong += _failure_rule(spec, rule, names, f"{path}.rules[{index}]")
    return wrong


def _known(value: str, supported: tuple[str, ...], path: str) -> list[FieldError]:
    if not value:
        listed = " ".join(fields.quote(name) for name in supported)
        return [fields.required(path, f"valid values: [{listed}]")]
    return fields.one_of(path, value, supported)


def _failure_rule(spec: _Found, rule: _Found, names: set[Any], path: str) -> list[FieldError]:
    action, codes, patterns = rule.get("action") or "", rule.get("onExitCodes"), rule.get("onPodConditions") or ()
    wrong = _known(action, _ACTIONS, path + ".action")
    if action == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
        wrong.append(fields.invalid(path + ".action", action, "requires the backoffLimitPerIndex to be set"))
    if codes is not None:
        wrong += _exit_codes(codes, names, path + ".onExitCodes")
    if len(patterns) > _MOST_PATTERNS:
        wrong.append(fields.too_many(path + ".onPodConditions", len(patterns), _MOST_PATTERNS))
    for index, pattern in enumerate(patterns):
        place, kind = f"{path}.onPodConditions[{index}]", pattern.get("type") or ""
        wrong += fields.all_invalid(place + ".type", kind, content.qualified_name(kind))
        wrong += _known(pattern.get("status") or "", _STATUSES, place + ".status")
    if codes is not None and patterns:
        text = "specifying both OnExitCodes and OnPodConditions is not supported"
        wrong.append(fields.omitted(path, text))
    if codes is None and not patterns:
        text = "specifying one of OnExitCodes and OnPodConditions is required"
        wrong.append(fields.omitted(path, text))
    return wrong


def _exit_codes(found: _Found, names: set[Any], path: str) -> list[FieldError]:
    operator, values, container = found.get("operator") or "", found.get("values") or [], found.get("containerName")
    wrong = _known(operator, _OPERATORS, path + ".operator")
    if container is not None and container not in names:
        text = "must be one of the container or initContainer names in the pod template"
        wrong.append(fields.invalid(path + ".containerName", container, text))
    place = path + ".values"
    if not values:
        wrong.append(fields.invalid(place, found.get("values"), "at least one value is required"))
    elif len(values) > _MOST_CODES:
        wrong.append(fields.too_many(place, len(values), _MOST_CODES))
    for index, value in enumerate(values):
        if operator == "In" and value == 0:
            wrong.append(fields.invalid(f"{place}[{index}]", value, "must not be 0 for the In operator"))
        if value in values[:index]:
            wrong.append(fields.duplicate(f"{place}[{index}]", value))
    if values != sorted(values):
        wrong.append(fields.invalid(place, values, "must be ordered"))
    return wrong


def success(policy: _Found, completions: int, path: str) -> list[FieldError]:
    rules, path = policy.get("rules") or (), path + ".rules"
    wrong: list[FieldError] = []
    if not rules:
        text = "at least one rules must be specified when the successPolicy is specified"
        wrong.append(fields.required(path, text))
    if len(rules) > _MOST_RULES:
        wrong.append(fields.too_many(path, len(rules), _MOST_RULES))
    for index, rule in enumerate(rules):
        wrong += _success_rule(rule, completions, f"{path}[{index}]")
    return wrong


def _success_rule(rule: _Found, completions: int, path: str) -> list[FieldError]:
    count, listed = rule.get("succeededCount"), rule.get("succeededIndexes")
    wrong: list[FieldError] = []
    if count is None and listed is None:
        text = "at least one of succeededCount or succeededIndexes must be specified"
        wrong.append(fields.required(path, text))
    total = 0
    if listed is not None:
        place = path + ".succeededIndexes"
        if len(listed) > _LONGEST_INDEXES:
            wrong.append(fields.too_long(place, _LONGEST_INDEXES))
        try:
            total = sum(last - first + 1 for first, last in indexes(listed, completions))
        except BadIndexes as why:
            wrong.append(fields.invalid(place, listed, f"error parsing succeededIndexes: {why}"))
    if count is None:
        return wrong
    place, most = path + ".succeededCount", "must be less than or equal to"
    wrong += fields.non_negative(place, count)
    if count > completions:
        text = f"{most} {completions} (the number of specified completions)"
        wrong.append(fields.invalid(place, count, text))
    if listed is not None and count > total:
        text = f"{most} {total} (the number of indexes in the specified succeededIndexes field)"
        wrong.append(fields.invalid(place, count, text))
    return wrong


def indexes(text: str, completions: int) -> list[tuple[int, int]]:
    """``1,3-5`` as pairs of first and last; raises ``BadIndexes``."""
    found: list[tuple[int, int]] = []
    for fragment in text.split(",") if text else ():
        first, last = interval(fragment, completions)
        if found and found[-1][1] >= first:
            raise BadIndexes(f"non-increasing order, previous: {found[-1][1]}, current: {first}")
        found.append((first, last))
    return found


def interval(fragment: str, completions: int) -> tuple[int, int]:
    limits = fragment.split("-")
    if len(limits) > 2:
        text = "violates the requirement that an index interval can have at most two parts separated by '-'"
        raise BadIndexes(f"the fragment {fields.quote(fragment)} {text}")
    numbers = []
    for limit in limits:
        digits = limit.removeprefix("+")
        if not digits.isascii() or not digits.isdigit():
            raise BadIndexes(f"cannot convert string to integer for index: {fields.quote(limit)}")
        if int(digits) >= completions:
            raise BadIndexes(f"too large index: {fields.quote(limit)}")
        numbers.append(int(digits))
    if len(numbers) == 2 and numbers[0] >= numbers[1]:
        raise BadIndexes(f"non-increasing order, previous: {numbers[0]}, current: {numbers[1]}")
    return numbers[0], numbers[-1]
