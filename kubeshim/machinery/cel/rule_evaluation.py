"""Rules against an object and the one before it.

What has an old self: the root, properties, values of granular maps, items of map lists (by their keys). Everything
else is judged as if new, and transition rules there do not run. An unchanged part that breaks an ordinary rule broke
it before: that is a warning only.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from kubeshim.machinery import errors
from kubeshim.machinery.cel import evaluation, rule_compilation, values
from kubeshim.machinery.validation import fields

MESSAGE_LIMIT = 5 * 1024
"""Bytes of what a ``messageExpression`` may come to."""
_OUT_OF_BUDGET = "validation failed due to running out of cost budget, no further validation rules will be run"
_MESSAGE_OUT_OF_BUDGET = (
    "messageExpression evaluation failed due to running out of cost budget, no further validation rules will be run"
)
_ABSENT: Any = object()

Place = rule_compilation.Place
Rule = rule_compilation.Rule


def validate(root: Place, obj: Any, old: Any, budget: int, warn: Callable[[str], None]) -> list[errors.FieldError]:
    evaluator = _Evaluator(budget, warn)
    correlated = _ABSENT if old is None else old
    try:
        evaluator.judge(root, obj, old, "", _Change(obj, correlated))
    except _Over:
        pass
    return evaluator.problems


def validate_default(root: Place, value: Any, path: str, budget: int) -> list[errors.FieldError]:
    """Of a value that a schema fills in: it must stand as one that stays, and as one that is new."""
    evaluator = _Evaluator(budget, lambda text: None)
    try:
        for old in (value, None):
            if not evaluator.problems:
                evaluator.judge(root, value, old, path, _Change(value, _ABSENT))
    except _Over:
        pass
    return evaluator.problems


class _Over(Exception):
    """No further rules will be run."""


@dataclasses.dataclass(slots=True)
class _Change:
    """A part and what it was, ``_ABSENT`` where nothing corresponds; then the nearest part above that had a past."""

    new: Any
    old: Any
    above: "_Change | None" = None
    list_keys: tuple[str, ...] = ()
    """Of a map list, in which order is nothing."""
    _same: bool | None = None

    def unchanged(self) -> bool:
        if self.old is _ABSENT:
            return self.above is not None and self.above.unchanged()
        if self._same is None:
            self._same = _identical(self.new, self.old) or self._reordered()
        return self._same

    def _reordered(self) -> bool:
        new, old = _by_keys(self.new, self.list_keys), _by_keys(self.old, self.list_keys)
        return len(new) > 1 and len(self.new) == len(self.old) and _identical(new, old)

    def below(self, new: Any, old: Any) -> "_Change":
        return _Change(new, old, self if self.old is not _ABSENT else self.above)


def _identical(one: Any, other: Any) -> bool:
    """As JSON: to Python ``1`` is ``True`` and ``1.0``."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_identical(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_identical, one, other))
    return bool(one == other)


class _Evaluator:
    def __init__(self, budget: int, warn: Callable[[str], None]) -> None:
        self._budget = budget
        self._warn = warn
        self.problems: list[errors.FieldError] = []

    def judge(self, place: Place, obj: Any, old: Any, path: str, change: _Change) -> None:
        if obj is None:
            return
        change.list_keys = place.list_keys
        if place.rules:
            self._run(place, obj, old, path, change)
        for each in place.all_of:
            self.judge(each, obj, old, path, _Change(obj, _ABSENT, change.above))
        if isinstance(obj, list) and place.element is not None:
            self._items(place, obj, old, path, change)
        elif isinstance(obj, dict):
            self._entries(place, obj, old, path, change)

    def _entries(self, place: Place, obj: dict[str, Any], old: Any, path: str, change: _Change) -> None:
        before = old if isinstance(old, dict) else {}
        known = change.old if isinstance(change.old, dict) else {}
        for key, value in obj.items():
            inner = place.properties.get(key)
            where = f"{path}.{key}" if path else key
            if inner is None:
                if place.element is None:
                    continue
                inner, where = place.element, f"{path}[{key}]"
            older = before.get(key) if place.correlatable else None
            self.judge(inner, value, older, where, change.below(value, known.get(key, _ABSENT)))

    def _items(self, place: Place, obj: list[Any], old: Any, path: str, change: _Change) -> None:
        assert place.element is not None
        before = _by_keys(old, place.list_keys)
        known = _by_keys(change.old, place.list_keys)
        for index, item in enumerate(obj):
            key = _key(item, place.list_keys)
            correlated = change.below(item, known.get(key, _ABSENT) if key is not None else _ABSENT)
            older = before.get(key) if key is not None else None
            self.judge(place.element, item, older, f"{path}[{index}]", correlated)

    def _run(self, place: Place, obj: Any, old: Any, path: str, change: _Change) -> None:
        if self._budget <= 0:
            self._stop(place, path, _OUT_OF_BUDGET)
        try:
            variables, optional = _variables(place, obj, old)
        except values.EvaluationError as problem:
            rule = place.rules[0]
            self._add(place, path, f"{problem} evaluating rule: {rule.message or rule.source}")
            return
        for rule in place.rules:
            if rule.transition and old is None and not rule.optional_old:
                continue
            given = optional if rule.optional_old else variables
            try:
                outcome = rule.expression.evaluate(given)
            except evaluation.Failed as failure:
                self._failed(place, path, rule, failure)
                continue
            self._spend(outcome.cost, place, path)
            if outcome.value is not True:
                self._broken(place, obj, path, rule, given, change)

    def _spend(self, cost: int, place: Place, path: str) -> None:
        if cost > self._budget:
            self._stop(place, path, _OUT_OF_BUDGET)
        self._budget -= cost

    def _stop(self, place: Place, path: str, text: str) -> None:
        self._add(place, path, text)
        raise _Over

    def _add(self, place: Place, path: str, text: str) -> None:
        self.problems.append(fields.invalid(path or "<nil>", place.type_name, text))

    def _failed(self, place: Place, path: str, rule: Rule, failure: evaluation.Failed) -> None:
        self._spend(failure.cost, place, path)
        text, shown = str(failure), rule.message or rule.source
        if text.startswith("no such overload"):
            text = (
                f"'{text}': call arguments did not match a supported operator, function or macro signature for rule: "
            )
            self._add(place, path, text + shown)
        elif text == evaluation.EXCEEDED:
            text = f"'{text}': no further validation rules will be run due to call cost exceeds limit for rule: {shown}"
            self._stop(place, path, text)
        else:
            self._add(place, path, f"{text} evaluating rule: {shown}")

    def _broken(
        self, place: Place, obj: Any, path: str, rule: Rule, variables: Mapping[str, Any], change: _Change
    ) -> None:
        where = f"{path}.{rule.field_path}" if path and rule.field_path else path or rule.field_path
        detail = self._detail(place, where, rule, variables)
        problem = _worded(where or "<nil>", obj, detail, rule.reason)
        if not rule.transition and change.unchanged():
            self._warn(str(problem))
        else:
            self.problems.append(problem)

    def _detail(self, place: Place, path: str, rule: Rule, variables: Mapping[str, Any]) -> str:
        default = rule.message or f"failed rule: {rule.source}"
        if rule.message_expression is None:
            return default
        source = fields.quote(rule.message_expression.source)
        try:
            outcome = rule.message_expression.evaluate(variables)
        except evaluation.Failed as failure:
            if failure.cost > self._budget:
                self._stop(place, path, _MESSAGE_OUT_OF_BUDGET)
            if str(failure) == evaluation.EXCEEDED:
                text = "no further validation rules will be run due to call cost exceeds limit for messageExpression: "
                self._stop(place, path, text + source)
            self._budget -= failure.cost
            return default
        if outcome.cost > self._budget:
            self._stop(place, path, _MESSAGE_OUT_OF_BUDGET)
        self._budget -= outcome.cost
        made = outcome.value.strip() if isinstance(outcome.value, str) else ""
        if not made or "\n" in made or len(made.encode()) > MESSAGE_LIMIT:
            return default
        return made


def _variables(place: Place, obj: Any, old: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """With ``oldSelf`` itself, absent where there is none, and with it as an optional value."""
    own = place.declaration.value(obj)
    if not any(rule.transition for rule in place.rules):
        return {"self": own}, {"self": own}
    if old is None:
        return {"self": own}, {"self": own, "oldSelf": values.NONE}
    before = place.declaration.value(old)
    return {"self": own, "oldSelf": before}, {"self": own, "oldSelf": values.Optional(before, True)}


def _key(item: Any, names: tuple[str, ...]) -> Any:
    if not names or not isinstance(item, dict):
        return None
    return tuple(values.identity(item.get(name)) for name in names)


def _by_keys(items: Any, names: tuple[str, ...]) -> dict[Any, Any]:
    """The last of equal keys, as upstream's map has it; nothing where items do not correspond."""
    if not names or not isinstance(items, list):
        return {}
    return {_key(item, names): item for item in items if isinstance(item, dict)}


def _worded(path: str, value: Any, detail: str, reason: str) -> errors.FieldError:
    """Simple values are shown; objects and lists would be too much."""
    if reason == "FieldValueForbidden":
        return fields.forbidden(path, detail)
    if reason == "FieldValueRequired":
        return fields.required(path, detail)
    whole = isinstance(value, dict | list)
    if reason == "FieldValueDuplicate":
        return errors.FieldError(path, reason, "Duplicate value") if whole else fields.duplicate(path, value)
    return fields.omitted(path, detail) if whole else fields.invalid(path, value, detail)
