"""What validating and mutating admission policies say, compiled: conditions, variables, validations, mutations.

``compile_*`` give the record and all that keeps it from compiling, each with its field path; a policy that was stored
all the same is one that fails when it is asked. ``variables.x`` is computed when first read, once a request.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from kubeshim.machinery import errors
from kubeshim.machinery.cel import admission, environment, types, values
from kubeshim.machinery.validation import fields

Problems = list[errors.FieldError]
_MESSAGE_LIMIT = 5 * 1024


@dataclasses.dataclass(frozen=True, slots=True)
class Validation:
    expression: environment.Expression
    message: str
    message_expression: environment.Expression | None
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class Mutation:
    """``kind`` is ``ApplyConfiguration`` or ``JSONPatch``."""

    kind: str
    expression: environment.Expression


@dataclasses.dataclass(frozen=True, slots=True)
class Policy:
    conditions: tuple[tuple[str, environment.Expression], ...]
    variables: tuple[tuple[str, environment.Expression], ...]
    validations: tuple[Validation, ...] = ()
    annotations: tuple[environment.Expression, ...] = ()
    """Values of audit annotations."""
    mutations: tuple[Mutation, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    type: types.Type


_KEPT = frozenset(("bool", "bytes", "double", "duration", "int", "null_type", "string", "timestamp", "uint"))


def variable_type(result: types.Type | None) -> types.Type:
    """What ``variables.x`` is to other expressions: of objects, of opaque values, and of what does not compile,
    nothing is known any more."""
    if result is not None and result.kind in _KEPT:
        return result
    if result is not None and result.kind in ("list", "map"):
        return types.Type(result.kind, parameters=tuple(map(variable_type, result.parameters)))
    return types.DYN


class _Compilation:
    """One policy's expressions, which read each other through ``variables``."""

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self.spec = spec
        self.problems: Problems = []
        self._fields: dict[str, Field] = {}
        known = dict(admission.VARIABLES)
        if spec.get("paramKind") is not None:
            known["params"] = types.DYN
        self._known = known
        self._all = {**known, "variables": types.object_type("kubernetes.variables", self._fields)}

    def conditions(self) -> tuple[tuple[str, environment.Expression], ...]:
        made = []
        for index, entry in enumerate(self.spec.get("matchConditions") or ()):
            path = f"spec.matchConditions[{index}].expression"
            found = self._expression(entry.get("expression"), path, types.BOOL, self._known)
            if found is not None:
                made.append((str(entry.get("name") or ""), found))
        return tuple(made)

    def variables(self) -> tuple[tuple[str, environment.Expression], ...]:
        made = []
        for index, entry in enumerate(self.spec.get("variables") or ()):
            found = self._expression(entry.get("expression"), f"spec.variables[{index}].expression", None, self._all)
            if found is not None and entry.get("name"):
                made.append((str(entry["name"]), found))
            self._fields[str(entry.get("name") or "")] = Field(variable_type(found.result if found else None))
        return tuple(made)

    def validations(self) -> tuple[Validation, ...]:
        made = []
        for index, entry in enumerate(self.spec.get("validations") or ()):
            path = f"spec.validations[{index}]"
            found = self._expression(entry.get("expression"), f"{path}.expression", types.BOOL, self._all)
            told = entry.get("messageExpression")
            message = self._expression(told, f"{path}.messageExpression", types.STRING, self._without_authorizer())
            if found is not None:
                made.append(Validation(found, (entry.get("message") or "").strip(), message, entry.get("reason") or ""))
        return tuple(made)

    def annotations(self) -> tuple[environment.Expression, ...]:
        made = []
        for index, entry in enumerate(self.spec.get("auditAnnotations") or ()):
            path = f"spec.auditAnnotations[{index}].valueExpression"
            found = self._expression(entry.get("valueExpression"), path, [types.STRING, types.NULL], self._all)
            if found is not None:
                made.append(found)
        return tuple(made)

    def _without_authorizer(self) -> dict[str, types.Type]:
        return {name: type_ for name, type_ in self._all.items() if not name.startswith("authorizer")}

    def mutations(self) -> tuple[Mutation, ...]:
        made = []
        for index, entry in enumerate(self.spec.get("mutations") or ()):
            kind = entry.get("patchType") or ""
            field, wanted = ("jsonPatch", _PATCHES) if kind == "JSONPatch" else ("applyConfiguration", _OBJECT)
            source = (entry.get(field) or {}).get("expression")
            path = f"spec.mutations[{index}].{field}.expression"
            found = self._expression(source, path, wanted, self._all, structs=True)
            if found is not None:
                made.append(Mutation(kind, found))
        return tuple(made)

    def _expression(
        self, source: str | None, path: str, result: Any, known: Mapping[str, types.Type], *, structs: bool = False
    ) -> environment.Expression | None:
        text = (source or "").strip()
        if not text:
            return None
        try:
            return environment.compile_expression(
                text, known, result=result,
                functions_table=admission.PATCH_FUNCTIONS if structs else admission.FUNCTIONS,
                struct_type=_struct if structs else lambda name: None,
            )  # fmt: skip
        except environment.CompileError as problem:
            self.problems.append(fields.invalid(path, source, str(problem)))
            return None


_OBJECT = types.Type("object", "Object")
_PATCH = types.object_type(
    "JSONPatch",
    {
        "op": Field(types.STRING),
        "path": Field(types.STRING),
        "from": Field(types.STRING),
        "value": Field(types.DYN),
    },
)
_PATCHES = types.list_of(_PATCH)


def _struct(name: str) -> types.Type | None:
    """What mutations build: ``Object``, its parts by their paths (``Object.spec.template``), and ``JSONPatch``."""
    if name == "JSONPatch":
        return _PATCH
    return types.Type("object", name) if name == "Object" or name.startswith("Object.") else None


def compile_validating(spec: Mapping[str, Any]) -> tuple[Policy, Problems]:
    work = _Compilation(spec)
    conditions, variables = work.conditions(), work.variables()
    validations, annotations = work.validations(), work.annotations()
    return Policy(conditions, variables, validations, annotations), work.problems


def compile_mutating(spec: Mapping[str, Any]) -> tuple[Policy, Problems]:
    work = _Compilation(spec)
    conditions, variables = work.conditions(), work.variables()
    return Policy(conditions, variables, mutations=work.mutations()), work.problems


# --- a request ---------------------------------------------------------------------------------------------------


class Failed(Exception):
    """An expression has no value; the text is for the client."""


class Evaluation:
    """One policy and one request: variables computed once, a common budget."""

    def __init__(self, policy: Policy, variables: Mapping[str, Any]) -> None:
        self._policy = policy
        self._budget = environment.RULES_BUDGET
        self.given: dict[str, Any] = {**variables, "variables": _Variables(self)}
        self.sources = dict(policy.variables)

    def concerned(self) -> bool:
        """Whether the match conditions hold. Raises ``Failed``."""
        try:
            return admission.match(self._policy.conditions, self.given, environment.CONDITIONS_BUDGET)[0]
        except admission.Unmatched as problem:
            raise Failed(str(problem)) from problem

    def value(self, expression: environment.Expression) -> Any:
        """Raises ``Failed``."""
        try:
            return self.run(expression)
        except environment.Failed as failure:
            raise Failed(f"expression '{expression.source}' resulted in error: {failure}") from failure

    def run(self, expression: environment.Expression) -> Any:
        """Raises ``environment.Failed``."""
        try:
            outcome = expression.evaluate(self.given, limit=min(environment.PER_CALL_LIMIT, max(self._budget, 0)))
        except environment.Failed as failure:
            self._budget -= failure.cost
            raise
        self._budget -= outcome.cost
        return outcome.value

    def message(self, validation: Validation) -> str:
        """What a failed validation tells."""
        if validation.message_expression is not None:
            try:
                text = str(self.run(validation.message_expression))
            except environment.Failed:
                text = ""
            text = text.strip()
            if text and "\n" not in text and len(text.encode()) <= _MESSAGE_LIMIT:
                return text
        return validation.message or f"failed expression: {validation.expression.source}"


class _Variables(Mapping[str, Any]):
    """``variables``: each is computed when first read."""

    def __init__(self, evaluation: Evaluation) -> None:
        self._evaluation = evaluation
        self._values: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._values:
            try:
                self._values[name] = self._evaluation.run(self._evaluation.sources[name])
            except environment.Failed as failure:
                text = f'composited variable "{name}" fails to evaluate: {failure}'
                raise values.EvaluationError(text) from failure
        return self._values[name]

    def __contains__(self, name: object) -> bool:
        return name in self._evaluation.sources

    def __iter__(self) -> Iterator[str]:
        return iter(self._evaluation.sources)

    def __len__(self) -> int:
        return len(self._evaluation.sources)


def mismatch(value: Any, path: str = "") -> str:
    """Where a struct is not of the type that its place in the whole asks for; empty if all are."""
    if isinstance(value, list | values.TypedList):
        return next((found for item in value if (found := mismatch(item, path))), "")
    if not isinstance(value, values.Object):
        return ""
    name = value.type.name
    if path and name != path:
        return f'unexpected type name "{name}", expected "{path}", which matches field name path from root Object type'
    return next((found for key in value.data if (found := mismatch(value.data[key], f"{name}.{key}"))), "")


def built(value: Any) -> Any:
    """JSON of what a mutation has built: structs within structs."""
    if isinstance(value, values.Object):
        return {name: built(value.data[name]) for name in value.data}
    if isinstance(value, list | values.TypedList):
        return [built(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): built(value[key]) for key in value}
    return values.plain(value)
