"""The walker: an ``openAPIV3Schema`` compiled to nodes, each of which judges a value.

The order of the checks, what stops at the first complaint and what goes on, and the words are those of
kube-openapi's validator, on which clients and tests rely: type, combinations (``anyOf``, ``oneOf``, ``allOf``,
``not``), text, format, number, list, enumeration, object.

On an update, what is not touched is not judged again (ratcheting): a part that equals what it was before may break
rules that came later. Parts correspond by field name, and by their keys in lists of type ``map``; elements of other
lists correspond to nothing.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from kubeshim.machinery import errors, regexes
from kubeshim.machinery.custom_validation import formats
from kubeshim.machinery.custom_validation.outcome import Complaint, Outcome, worded
from kubeshim.machinery.patches import equality
from kubeshim.machinery.validation import fields


class _Nothing:
    """There was no such value before."""


NOTHING = _Nothing()

Step = Callable[[Any, str, Any, Outcome], None]
"""One kind of check: value, path, the value before (or ``NOTHING``), where to complain."""


class Node:
    """A schema at one place."""

    __slots__ = ("_steps", "_types", "additional", "format", "items", "list_keys", "nullable", "properties")

    def __init__(self, schema: Mapping[str, Any]) -> None:
        declared = schema.get("type") or ""
        if schema.get("x-kubernetes-int-or-string"):
            self._types: tuple[str, ...] = ("integer", "string")
        else:
            self._types = (declared,) if declared else ()
        self.nullable = bool(schema.get("nullable"))
        format_ = schema.get("format") or ""
        self.format = format_ if format_ and formats.find(format_) else ""
        additional, items = schema.get("additionalProperties"), schema.get("items")
        self.properties = {name: Node(child) for name, child in (schema.get("properties") or {}).items()}
        self.additional = Node(additional) if isinstance(additional, Mapping) else None
        self.items = Node(items) if isinstance(items, Mapping) else None
        is_map = schema.get("x-kubernetes-list-type") == "map"
        self.list_keys = tuple(schema.get("x-kubernetes-list-map-keys") or ()) if is_map else ()
        self._steps = _steps(schema, self)

    def judge(self, value: Any, path: str, old: Any = NOTHING) -> Outcome:
        """``old`` is what stood here before; what has not changed is not complained of."""
        found = self.judge_plainly(value, path, old)
        if found.complaints and old is not NOTHING and self._unchanged(value, old):
            return Outcome(matches=found.matches)
        return found

    def _unchanged(self, value: Any, old: Any) -> bool:
        """Whether a value is what it was; the order of the elements of a ``map`` list is nothing."""
        if isinstance(value, dict) and isinstance(old, dict):
            return value.keys() == old.keys() and all(
                child._unchanged(each, old[key])
                if (child := self.properties.get(key, self.additional)) is not None
                else equality.same(each, old[key])
                for key, each in value.items()
            )
        if self.list_keys and self.items is not None and isinstance(value, list) and isinstance(old, list):
            return len(value) == len(old) and all(
                (other := _counterpart(each, old, self.list_keys)) is not NOTHING and self.items._unchanged(each, other)
                for each in value
            )
        return equality.same(value, old)

    def judge_plainly(self, value: Any, path: str, old: Any) -> Outcome:
        """As an alternative of a combination, whose parent looks at what has changed."""
        found = Outcome()
        self._check_type(value, path, found)
        for applies, step in self._steps:
            if applies is None or (value is not None and isinstance(value, applies) and not _is_odd(value, applies)):
                step(value, path, old, found)
                found.matches += 1
        found.matches += 1
        return found

    def _check_type(self, value: Any, path: str, found: Outcome) -> None:
        wanted = self._types
        if not wanted and not self.format:
            return
        actual = type_of(value)
        if value is None:
            if wanted and not self.nullable:
                found.add(_type(path, ",".join(wanted), "null"))
            return
        numeric = "number" in wanted or "integer" in wanted
        if self.format and not numeric and actual in ("string", "array"):
            return  # upstream leaves these to the format
        whole = actual == "number" and value.is_integer() and "integer" in wanted
        if actual in wanted or whole or (actual == "integer" and "number" in wanted):
            found.matches += 1
            return
        if self.format and actual not in ("string", "array"):
            found.add(_type(path, self.format, {"integer": "int64", "number": "float64"}.get(actual, "")))
            return
        found.add(_type(path, ",".join(wanted), actual))


def _is_odd(value: Any, applies: Any) -> bool:
    return isinstance(value, bool) and applies is _NUMBERS


_NUMBERS = (int, float)


def type_of(value: Any) -> str:
    """JSON's name for a value's type, whole numbers told apart."""
    if value is None:
        return "null"
    for kind, name in ((bool, "boolean"), (str, "string"), (int, "integer"), (float, "number"), (dict, "object")):
        if isinstance(value, kind):
            return name
    return "array"


def validate(node: Node, value: Any, *, old: Any = NOTHING, prefix: str = "") -> list[errors.FieldError]:
    """What is wrong with a value; ``prefix`` is its own path where it is part of something."""
    return [worded(complaint, prefix) for complaint in node.judge(value, "", old).complaints]


# --- the checks --------------------------------------------------------------------------------------------------


def _steps(schema: Mapping[str, Any], node: Node) -> list[tuple[Any, Step]]:
    steps: list[tuple[Any, Step]] = []
    if _says(schema, "anyOf", "oneOf", "allOf", "not"):
        steps.append((object, _combinations(schema)))
    if _says(schema, "maxLength", "minLength", "pattern"):
        steps.append((str, _text(schema)))
    if node.format:
        steps.append((str, _format(node.format)))
    if _says(schema, "maximum", "minimum", "multipleOf"):
        steps.append((_NUMBERS, _number(schema)))
    if _says(schema, "items", "minItems", "maxItems"):
        steps.append((list, _list(schema, node)))
    if schema.get("enum"):
        steps.append((None, _enumeration(tuple(schema["enum"]))))
    steps.append((dict, _object(schema, node)))
    return steps


def _says(schema: Mapping[str, Any], *words: str) -> bool:
    return any(schema.get(word) is not None for word in words)


def _text(schema: Mapping[str, Any]) -> Step:
    longest, shortest, pattern = schema.get("maxLength"), schema.get("minLength"), schema.get("pattern")
    search = regexes.compile_pattern(pattern).search if pattern else None

    def check(value: Any, path: str, old: Any, found: Outcome) -> None:
        if longest is not None and len(value) > longest:
            found.add(Complaint(path, "too long", value, "", limit=int(longest)))
        elif shortest is not None and len(value) < shortest:
            found.add(_invalid(path, value, f"should be at least {int(shortest)} chars long"))
        elif search is not None and search(value) is None:
            found.add(_invalid(path, value, f"should match '{pattern}'"))

    return check


def _format(name: str) -> Step:
    fits = formats.find(name)
    assert fits is not None

    def check(value: Any, path: str, old: Any, found: Outcome) -> None:
        if not fits(value):
            found.add(_type(path, name, value))

    return check


def _number(schema: Mapping[str, Any]) -> Step:
    factor, highest, lowest = schema.get("multipleOf"), schema.get("maximum"), schema.get("minimum")
    below, above = bool(schema.get("exclusiveMaximum")), bool(schema.get("exclusiveMinimum"))

    def check(value: Any, path: str, old: Any, found: Outcome) -> None:
        if factor is not None and not _is_multiple(value, factor):
            found.add(_invalid(path, value, f"should be a multiple of {_shown(factor, value)}"))
        if highest is not None and (value >= highest if below else value > highest):
            word = "less than" if below else "less than or equal to"
            found.add(_invalid(path, value, f"should be {word} {_shown(highest, value)}"))
        if lowest is not None and (value <= lowest if above else value < lowest):
            word = "greater than" if above else "greater than or equal to"
            found.add(_invalid(path, value, f"should be {word} {_shown(lowest, value)}"))

    return check


def _is_multiple(value: float, factor: float) -> bool:
    if factor <= 0:
        return False
    if isinstance(value, int) and float(factor).is_integer():
        return value % int(factor) == 0
    quotient = value / factor
    return math.isfinite(quotient) and math.isclose(quotient, round(quotient), rel_tol=0, abs_tol=1e-9)


def _shown(limit: float, value: Any) -> str:
    """A limit as Go prints it: whole beside a whole number, else in its shortest form (``1e+06``)."""
    if isinstance(value, int) and float(limit).is_integer():
        return str(int(limit))
    if limit and not 1e-4 <= abs(limit) < 1e21:
        return repr(float(limit))
    text = repr(float(limit))
    return text.removesuffix(".0")


def _list(schema: Mapping[str, Any], node: Node) -> Step:
    fewest, most = schema.get("minItems"), schema.get("maxItems")

    def check(value: Any, path: str, old: Any, found: Outcome) -> None:
        if node.items is not None:
            for index, item in enumerate(value):
                found.merge(node.items.judge(item, f"{path}[{index}]", _counterpart(item, old, node.list_keys)))
        if fewest is not None and len(value) < fewest:
            found.add(_invalid(path, len(value), f"should have at least {int(fewest)} items"))
        if most is not None and len(value) > most:
            found.add(Complaint(path, "too many", len(value), "", limit=int(most)))

    return check


def _counterpart(item: Any, old: Any, keys: tuple[str, ...]) -> Any:
    """The element before that has the same keys, in a list of type ``map``."""
    if not keys or not isinstance(old, list) or not isinstance(item, dict):
        return NOTHING
    same = [
        other
        for other in old
        if isinstance(other, dict) and all(equality.same(other.get(key), item.get(key)) for key in keys)
    ]
    return same[0] if len(same) == 1 else NOTHING


def _enumeration(choices: tuple[Any, ...]) -> Step:
    def check(value: Any, path: str, old: Any, found: Outcome) -> None:
        if not any(_equal(value, choice) for choice in choices):
            found.add(Complaint(path, "enum", value, "", choices=choices))

    return check


def _equal(value: Any, choice: Any) -> bool:
    """A number equals another whatever its form."""
    if isinstance(value, bool) or isinstance(choice, bool):
        return value is choice
    if isinstance(value, int | float) and isinstance(choice, int | float):
        return value == choice
    return equality.same(value, choice)


def _object(schema: Mapping[str, Any], node: Node) -> Step:
    fewest, most = schema.get("minProperties"), schema.get("maxProperties")
    closed = schema.get("additionalProperties") is False
    required = tuple(schema.get("required") or ())
    properties, additional = node.properties, node.additional

    def check(value: Any, path: str, old: Any, found: Outcome) -> None:
        if fewest is not None and len(value) < fewest:
            found.add(_invalid(path, len(value), f"should have at least {int(fewest)} properties"))
            return
        if most is not None and len(value) > most:
            found.add(Complaint(path, "too many", len(value), "", limit=int(most)))
            return
        before = old if isinstance(old, dict) else {}
        for name in sorted(value):
            child = properties.get(name) or additional
            if child is not None:
                found.merge(child.judge(value[name], f"{path}.{name}", before.get(name, NOTHING)))
            elif closed:
                found.add(_invalid(path, None, "is a forbidden property", name=name))
        for name in required:
            if name not in value:
                found.add(Complaint(f"{path}.{name}", "required", None, ""))

    return check


# --- combinations ------------------------------------------------------------------------------------------------


def _combinations(schema: Mapping[str, Any]) -> Step:
    any_of, one_of, all_of = ([Node(child) for child in schema.get(key) or ()] for key in ("anyOf", "oneOf", "allOf"))
    opposite = Node(schema["not"]) if isinstance(schema.get("not"), Mapping) else None

    def check(value: Any, path: str, old: Any, found: Outcome) -> None:
        if any_of:
            _at_least_one(any_of, value, path, old, found)
        if one_of:
            _exactly_one(one_of, value, path, old, found)
        if all_of:
            _all(all_of, value, path, old, found)
        if opposite is not None and opposite.judge_plainly(value, path, NOTHING).valid:
            found.add(_composite(path, "must not validate the schema (not)"))

    return check


def _at_least_one(nodes: list[Node], value: Any, path: str, old: Any, found: Outcome) -> None:
    best: Outcome | None = None
    for node in nodes:
        outcome = node.judge_plainly(value, path, old)
        if outcome.valid:
            found.merge(outcome)
            return
        if best is None or outcome.matches > best.matches:
            best = outcome
    found.add(_composite(path, "must validate at least one schema (anyOf)"))
    if best is not None:
        found.merge(best)


def _exactly_one(nodes: list[Node], value: Any, path: str, old: Any, found: Outcome) -> None:
    best: Outcome | None = None
    fitting: list[Outcome] = []
    for node in nodes:
        outcome = node.judge_plainly(value, path, old)
        if outcome.valid:
            fitting.append(outcome)
        elif best is None or outcome.matches > best.matches:
            best = outcome
    if len(fitting) == 1:
        found.merge(fitting[0])
        return
    told = f"Found {len(fitting)} valid alternatives" if fitting else "Found none valid"
    found.add(_composite(path, f"must validate one and only one schema (oneOf). {told}"))
    if best is not None and not fitting:
        found.merge(best)


def _all(nodes: list[Node], value: Any, path: str, old: Any, found: Outcome) -> None:
    fitting = 0
    for node in nodes:
        outcome = node.judge_plainly(value, path, old)
        fitting += outcome.valid
        found.merge(outcome)
    if fitting != len(nodes):
        told = "" if fitting else ". None validated"
        found.add(_composite(path, f"must validate all the schemas (allOf){told}"))


# --- words -------------------------------------------------------------------------------------------------------


def _name(path: str) -> str:
    return path.removeprefix(".")


def _invalid(path: str, value: Any, detail: str, *, name: str = "") -> Complaint:
    shown = f"{path}.{name}" if name else path
    return Complaint(path, "invalid", value, f"{_name(shown)} in body {detail}")


def _type(path: str, wanted: str, actual: str) -> Complaint:
    return Complaint(path, "type", actual, f"{_name(path)} in body must be of type {wanted}: {fields.quote(actual)}")


def _composite(path: str, detail: str) -> Complaint:
    return Complaint(path, "composite", None, f'"{_name(path)}" {detail}')
