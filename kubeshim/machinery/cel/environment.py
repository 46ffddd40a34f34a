"""Compiling and evaluating one expression: the door for rules, match conditions, admission policies and selectors.

    names = {"object": types.DYN, "request": types.DYN}
    expression = environment.compile_expression("object.spec.replicas > 3", names, result=types.BOOL)
    expression.evaluate({"object": …})            # a value; raises environment.Failed
    expression.evaluate({…}, limit=…).cost        # what it took of a budget

Variables may be lazy: any ``Mapping`` does for the variables as a whole and for a value in them (``variables.x`` of an
admission policy), and is asked only for what is read. ``functions_table`` is for who adds functions (``authorizer``).
"""

import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from kubeshim.machinery import regexes
from kubeshim.machinery.cel import (
    checker,
    costs,
    declarations,
    evaluation,
    functions,
    gotime,
    parser,
    syntax,
    types,
    values,
)
from kubeshim.machinery.cel.libraries import table

PER_CALL_LIMIT = 1_000_000
"""Of one evaluation, in units of cost."""
RULES_BUDGET = 10_000_000
"""Of all rules of a custom resource, or of a policy's expressions, in one request."""
CONDITIONS_BUDGET = 2_500_000
"""Of all match conditions of a webhook or policy."""

CompileError = syntax.CompileError
Failed = evaluation.Failed


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    value: Any
    cost: int

    def plain(self) -> Any:
        """The value as JSON has it."""
        return values.plain(self.value)


@dataclasses.dataclass(frozen=True, slots=True)
class Expression:
    source: str
    result: types.Type
    names: frozenset[str]
    """The variables it reads."""
    tree: syntax.Node
    program: evaluation.Program

    def evaluate(self, variables: Mapping[str, Any], *, limit: int = PER_CALL_LIMIT) -> Outcome:
        """Raises ``Failed``."""
        return Outcome(*self.program.run(variables, limit))

    def estimate(self, root: declarations.Declaration | None = None) -> int:
        """The most it can cost, by what ``root`` says of the sizes of the variables."""
        return _deeply(lambda: costs.estimate(self.tree, root))[1]


def compile_expression(
    source: str,
    variables: Mapping[str, types.Type],
    *,
    result: types.Type | Sequence[types.Type] | None = None,
    struct_type: checker.StructType = lambda name: None,
    functions_table: functions.Table = table.TABLE,
    binds: bool = False,
) -> Expression:
    """``binds``: the expression may say ``cel.bind``.

    Raises ``CompileError``: ``compilation failed: ERROR: <input>:1:1: …``, ``must evaluate to bool but got int``.
    """
    tree = _checked(source, variables, struct_type, functions_table, binds)
    wanted = [result] if isinstance(result, types.Type) else list(result or ())
    if wanted and tree.type not in wanted:
        names = [type_.declared_name() for type_ in wanted]
        shown = names[0] if len(names) == 1 else f"one of [{' '.join(names)}]"
        raise CompileError(f"must evaluate to {shown} but got {tree.type.declared_name()}")
    for node in walk(tree):
        _check_pattern(node)
    program = _deeply(lambda: evaluation.compile_tree(tree))
    return Expression(source, tree.type, frozenset(_names(tree, variables)), tree, program)


def type_of(source: str, variables: Mapping[str, types.Type], functions_table: functions.Table) -> types.Type:
    """Only looks at the types. Raises ``CompileError`` with the compiler's complaints and nothing before them."""
    return _deeply(lambda: _checked_here(source, variables, lambda name: None, functions_table)).type


def _checked(
    source: str, variables: Mapping[str, types.Type], struct_type: checker.StructType, known: functions.Table,
    binds: bool,
) -> syntax.Node:  # fmt: skip
    try:
        return _deeply(lambda: _checked_here(source, variables, struct_type, known, binds=binds))
    except CompileError as problem:
        raise CompileError(f"compilation failed: {problem}") from None


_DEEP = 8000
_Result = TypeVar("_Result")


def _deeply(run: Callable[[], _Result]) -> _Result:
    """Expressions may be 250 levels deep, each of several frames: these live on the heap, not on the C stack."""
    try:
        return run()
    except RecursionError:
        usual = sys.getrecursionlimit()
        sys.setrecursionlimit(max(usual, _DEEP))
        try:
            return run()
        finally:
            sys.setrecursionlimit(usual)


def _checked_here(
    source: str, variables: Mapping[str, types.Type], struct_type: checker.StructType, known: functions.Table,
    *, binds: bool = False,
) -> syntax.Node:  # fmt: skip
    tree = parser.parse(source, binds=binds)
    checker.check(source, tree, known, variables, struct_type)
    problems = [problem for node in walk(tree) for problem in _literal_problems(node)]
    if problems:
        raise syntax.report(source, problems)
    return tree


def walk(node: syntax.Node) -> list[syntax.Node]:
    """The node and all below it."""
    found, pending = [], [node]
    while pending:
        each = pending.pop()
        found.append(each)
        pending.extend(_children(each))
    return found


def _children(node: syntax.Node) -> list[syntax.Node]:
    if isinstance(node, syntax.Select):
        return [] if node.qualified else [node.operand]
    if isinstance(node, syntax.Call):
        return [*([node.target] if node.target is not None else []), *node.args]
    if isinstance(node, syntax.ListExpr):
        return list(node.elements)
    if isinstance(node, syntax.MapExpr):
        return [each for entry in node.entries for each in (entry.key, entry.value)]
    if isinstance(node, syntax.Struct):
        return [entry.value for entry in node.entries]
    if isinstance(node, syntax.Comprehension):
        return [node.range, node.initial, node.condition, node.step, node.result]
    return []


def _names(tree: syntax.Node, variables: Mapping[str, types.Type]) -> set[str]:
    found = set()
    for node in walk(tree):
        if isinstance(node, syntax.Ident):
            found.add(node.name.removeprefix("."))
        elif isinstance(node, syntax.Select) and node.qualified:
            found.add(node.qualified)
    return found & variables.keys()


def _check_pattern(node: syntax.Node) -> None:
    """Patterns that are looked for are made ready with the program."""
    if isinstance(node, syntax.Call) and node.function in ("find", "findAll") and node.args:
        pattern = node.args[0]
        if isinstance(pattern, syntax.Literal) and isinstance(pattern.value, str):
            try:
                regexes.compile_pattern(pattern.value)
            except regexes.Malformed as problem:
                raise CompileError(f"program instantiation failed: {problem}") from None


def _literal_problems(node: syntax.Node) -> list[syntax.Problem]:
    """Patterns, durations and timestamps written out are looked at when compiling."""
    if not isinstance(node, syntax.Call) or not node.args:
        return []
    last = node.args[-1] if node.function == "matches" else node.args[0]
    if not isinstance(last, syntax.Literal):
        return []
    try:
        if node.function == "timestamp" and type(last.value) is int:
            gotime.in_range(last.value * values.NANO)
        if not isinstance(last.value, str):
            return []
        if node.function == "matches":
            regexes.compile_pattern(last.value)
        elif node.function == "duration" and node.target is None:
            gotime.parse_duration(last.value)
        elif node.function == "timestamp" and node.target is None:
            gotime.parse_timestamp(last.value)
    except ValueError:
        return [syntax.Problem(last.position, f"invalid {node.function} argument")]
    return []
