"""Rules to programs, and whether they may cost too much.

The result mirrors the schema: a ``Place`` for each subschema that has rules in or below it. The estimate of a rule is
multiplied by how often its place can occur: the product of the bounds above, or what fits into a request where
one is missing.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from kubeshim.machinery import errors
from kubeshim.machinery.cel import declarations, environment, ranges, types
from kubeshim.machinery.structural import field_paths
from kubeshim.machinery.validation import crd_internals, fields

RULE_LIMIT = 10_000_000
"""The most one rule may be estimated at."""
SCHEMA_LIMIT = 100_000_000
"""The most all rules of a schema may be estimated at."""
_HINT = (
    "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are "
    "declared)"
)
_TOTAL = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema"
_CONTRIBUTED = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"

Problems = list[errors.FieldError]
Schema = Mapping[str, Any]


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    source: str
    message: str
    """Trimmed; empty where none is given."""
    expression: environment.Expression
    message_expression: environment.Expression | None
    reason: str
    field_path: str
    """Below the place, ``spec.ports[http]``; empty where the place itself is meant."""
    transition: bool
    """It reads ``oldSelf``."""
    optional_old: bool


@dataclasses.dataclass(slots=True)
class Place:
    type_name: str
    declaration: declarations.Declaration
    rules: list[Rule]
    properties: dict[str, "Place"]
    element: "Place | None"
    """Of a list's items or a map's values."""
    all_of: list["Place"]
    list_keys: tuple[str, ...]
    """Of a map list: the only lists whose items have an old self."""
    correlatable: bool
    """False of an atomic map: its values have no old selves."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Context:
    cardinality: int | None = 1
    """How often the place can occur; None without bound."""
    uncorrelatable: str = ""
    """The path above which there are no old selves."""
    counted: bool = True


class _Compilation:
    def __init__(self) -> None:
        self.problems: Problems = []
        self.total = 0
        self.expensive: list[tuple[int, str]] = []

    def observe(self, path: str, cost: int) -> None:
        self.total = min(self.total + cost, ranges.MAX)
        if cost >= SCHEMA_LIMIT // 100:
            self.expensive = sorted([*self.expensive, (cost, path)], key=lambda each: -each[0])[:4]


def compile_rules(schema: Schema, path: str, *, root: bool = True) -> tuple[Place | None, Problems]:
    """``root`` says that the schema is of a whole object, which has a type and metadata."""
    compilation = _Compilation()
    declaration = declarations.declare(schema, root=root)
    place = _place(compilation, schema, declaration, path, _Context())
    if compilation.total > SCHEMA_LIMIT:
        compilation.problems += [fields.forbidden(where, _CONTRIBUTED) for _, where in compilation.expensive]
        compilation.problems.append(fields.forbidden(path, _over(_TOTAL, compilation.total, SCHEMA_LIMIT)))
    return place, compilation.problems


def _place(
    compilation: _Compilation,
    schema: Schema,
    declaration: declarations.Declaration | None,
    path: str,
    context: _Context,
) -> Place | None:
    below = _below(schema, path, context)
    properties: dict[str, Place] = {}
    for name, node in _nodes(schema, "properties"):
        declared = _property(declaration, name, node)
        found = _place(compilation, node, declared, f"{path}.properties[{name}]", below)
        if found is not None:
            properties[name] = found
    element = None
    inner = declaration.element if declaration else None
    for slot in ("items", "additionalProperties"):
        held = schema.get(slot)
        if isinstance(held, Mapping):
            element = _place(compilation, held, inner or declarations.declare(held), f"{path}.{slot}", below)
    all_of = []
    for index, node in enumerate(schema.get("allOf") or ()):
        again = dataclasses.replace(context, counted=False)
        found = _place(compilation, {**_shape(schema), **node}, declaration, f"{path}.allOf[{index}]", again)
        if found is not None:
            all_of.append(found)
    rules = _rules(compilation, schema, declaration, path, context)
    if declaration is None or not (rules or properties or element or all_of):
        return None
    keys = (
        tuple(schema.get("x-kubernetes-list-map-keys") or ()) if schema.get("x-kubernetes-list-type") == "map" else ()
    )
    granular = schema.get("x-kubernetes-map-type") != "atomic"
    return Place(str(schema.get("type") or ""), declaration, rules, properties, element, all_of, keys, granular)


def _nodes(schema: Schema, slot: str) -> list[tuple[str, Schema]]:
    return [(name, node) for name, node in (schema.get(slot) or {}).items() if isinstance(node, Mapping)]


def _shape(schema: Schema) -> dict[str, Any]:
    """What a combination in ``allOf`` has from the schema around it."""
    return {
        key: schema[key] for key in ("type", "x-kubernetes-list-type", "x-kubernetes-list-map-keys") if key in schema
    }


def _property(declaration: declarations.Declaration | None, name: str, node: Schema) -> declarations.Declaration | None:
    escaped = declarations.escape(name)
    if declaration is None or escaped is None:
        return declarations.declare(node)
    return declaration.fields.get(escaped)


def _below(schema: Schema, path: str, context: _Context) -> _Context:
    declared = schema.get("type")
    cardinality, lost = context.cardinality, context.uncorrelatable
    if declared == "array" or (declared == "object" and schema.get("additionalProperties")):
        bound = schema.get("maxItems" if declared == "array" else "maxProperties")
        cardinality = None if cardinality is None or bound is None else ranges.times(cardinality, max(bound, 0))
    if declared == "array" and schema.get("x-kubernetes-list-type") != "map":
        lost = lost or path
    if schema.get("x-kubernetes-map-type") == "atomic":
        lost = lost or path
    return _Context(cardinality, lost, context.counted)


def _rules(
    compilation: _Compilation,
    schema: Schema,
    declaration: declarations.Declaration | None,
    path: str,
    context: _Context,
) -> list[Rule]:
    told = schema.get("x-kubernetes-validations") or ()
    if told and declaration is None:
        text = (
            "Internal error: internal error: failed to construct type information for x-kubernetes-validations rules: "
        )
        text += "unable to convert structural schema to CEL declarations"
        compilation.problems.append(errors.FieldError(f"{path}.x-kubernetes-validations", "InternalError", text))
        return []
    found = []
    for index, rule in enumerate(told):
        assert declaration is not None
        made = _rule(compilation, rule, schema, declaration, f"{path}.x-kubernetes-validations[{index}]", context)
        if made is not None:
            found.append(made)
    return found


def _rule(
    compilation: _Compilation,
    rule: Mapping[str, Any],
    schema: Schema,
    declaration: declarations.Declaration,
    path: str,
    context: _Context,
) -> Rule | None:
    problems = compilation.problems
    optional = bool(rule.get("optionalOldSelf"))
    old = types.optional_of(declaration.type) if optional else declaration.type
    variables = {"self": declaration.type, "oldSelf": old}
    source = rule.get("rule") or ""
    try:
        expression = environment.compile_expression(source, variables)
        if expression.result != types.BOOL:
            raise environment.CompileError("cel expression must evaluate to a bool")
    except environment.CompileError as problem:
        problems.append(_refused(f"{path}.rule", rule, str(problem)))
        return None
    transition = "oldSelf" in expression.names
    cost = expression.estimate(declaration)
    cost = ranges.times(cost, declaration.cardinality() if context.cardinality is None else context.cardinality)
    _judge_cost(compilation, f"{path}.rule", "estimated rule cost", cost, context)
    message = _message(compilation, rule, declaration, variables, path, context)
    if transition and context.uncorrelatable:
        text = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {context.uncorrelatable}"
        problems.append(fields.invalid(f"{path}.rule", source, text))
    if not transition and rule.get("optionalOldSelf") is not None:
        text = "may not be set if oldSelf is not used in rule"
        problems.append(fields.invalid(f"{path}.optionalOldSelf", rule["optionalOldSelf"], text))
    place = rule.get("fieldPath") or ""
    below = field_paths.resolve(place, schema)[0] if place else ""
    text = (rule.get("message") or "").strip()
    return Rule(source.strip(), text, expression, message, rule.get("reason") or "", below, transition, optional)


def _message(
    compilation: _Compilation,
    rule: Mapping[str, Any],
    declaration: declarations.Declaration,
    variables: Mapping[str, types.Type],
    path: str,
    context: _Context,
) -> environment.Expression | None:
    source = rule.get("messageExpression") or ""
    if not source:
        return None
    where = f"{path}.messageExpression"
    try:
        expression = environment.compile_expression(source, variables)
    except environment.CompileError as problem:
        compilation.problems.append(_refused(where, rule, f"messageExpression {problem}"))
        return None
    if expression.result != types.STRING:
        compilation.problems.append(_refused(where, rule, "messageExpression must evaluate to a string"))
        return None
    # a message is made once, for the first failure there is
    _judge_cost(compilation, where, "estimated messageExpression cost", expression.estimate(declaration), context)
    return expression


def _judge_cost(compilation: _Compilation, path: str, what: str, cost: int, context: _Context) -> None:
    if not context.counted:
        return
    if cost > RULE_LIMIT:
        compilation.problems.append(fields.forbidden(path, _over(what, cost, RULE_LIMIT)))
    compilation.observe(path, cost)


def _over(what: str, cost: int, limit: int) -> str:
    factor = cost / limit
    if factor > 100:
        shown = "more than 100x"
    else:
        shown = f"{factor:f}x" if factor < 1.5 else f"{factor:.1f}x"
    return f"{what} exceeds budget by factor of {shown} {_HINT}"


def _refused(path: str, rule: Mapping[str, Any], detail: str) -> errors.FieldError:
    return fields.invalid(path, crd_internals.rule(rule), detail)
