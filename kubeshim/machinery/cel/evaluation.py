"""Checked trees to Python closures that count what they cost.

``Program.run`` makes a frame: a list of the cost so far, the limit, the variables, and a place for each variable of a
comprehension. Each node becomes ``(closure, cost)``: ``cost`` is what the node costs at every evaluation, and is
charged by whoever decides that it is evaluated (a branch, a loop, the whole); the closure itself charges only what
depends on values. So a rule without loops adds to the counter once or twice. The limit is looked at in each round of
a loop and after each call whose cost depends on values: nothing else can take long.

Errors are exceptions; ``&&`` and ``||`` let a side that decides win over a side that fails, whichever comes first.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from kubeshim.machinery.cel import calls, counting, functions, standard, syntax, types, values

_VARIABLES, _FIRST = 2, 3


@dataclasses.dataclass(frozen=True, slots=True)
class Program:
    _run: calls.Run
    _cost: int
    _places: int

    def run(self, variables: Mapping[str, Any], limit: int) -> tuple[Any, int]:
        """``(value, cost)``. Raises ``Failed``, which has the cost too."""
        frame: calls.Frame = [self._cost, limit, variables, *[None] * self._places]
        try:
            if self._cost > limit:
                raise values.CostExceeded
            found = self._run(frame)
        except values.EvaluationError as problem:
            raise Failed(str(problem), frame[calls.COST]) from None
        except values.CostExceeded:
            raise Failed(EXCEEDED, frame[calls.COST]) from None
        except RecursionError:
            raise Failed("evaluation recursion limit exceeded", frame[calls.COST]) from None
        return found, frame[calls.COST]


EXCEEDED = "operation cancelled: actual cost limit exceeded"


class Failed(Exception):
    """An expression has no value; ``str()`` is the reason, in cel-go's words."""

    def __init__(self, message: str, cost: int) -> None:
        super().__init__(message)
        self.cost = cost


def compile_tree(tree: syntax.Node) -> Program:
    compiler = _Compiler()
    run, cost = compiler.piece(tree)
    return Program(run, cost, compiler.places)


class _Compiler:
    def __init__(self) -> None:
        self._scopes: list[dict[str, int]] = []
        self.places = 0

    def piece(self, node: syntax.Node) -> calls.Piece:
        return _RULES[type(node)](self, node)

    def _place(self) -> int:
        self.places += 1
        return _FIRST + self.places - 1

    def _literal(self, node: syntax.Literal) -> calls.Piece:
        value = node.value
        return lambda frame: value, 0

    def _variable(self, name: str, node_type: types.Type) -> calls.Piece:
        name = name.removeprefix(".")

        def run(frame: calls.Frame) -> Any:
            try:
                return frame[_VARIABLES][name]
            except KeyError:
                pass
            if node_type.kind == "type":
                return node_type.parameters[0] if node_type.parameters else types.TYPE
            raise values.EvaluationError(f"no such attribute(s): {name}")

        return run, 0 if node_type.kind == "type" else counting.SELECT

    def _ident(self, node: syntax.Ident) -> calls.Piece:
        for scope in reversed(self._scopes):
            if node.name in scope:
                return _at(scope[node.name]), counting.SELECT
        return self._variable(node.name, node.type)

    def _select(self, node: syntax.Select) -> calls.Piece:
        if node.qualified:
            return self._variable(node.qualified, node.type)
        operand, cost = self.piece(node.operand)
        field = node.field
        if node.test_only:
            return lambda frame: calls.has(operand(frame), field), cost

        def run(frame: calls.Frame) -> Any:
            value = operand(frame)
            kind = type(value)
            if kind is values.Object:
                return value.get(field)
            if kind is dict:
                try:
                    return value[field]
                except KeyError:
                    raise values.EvaluationError(f"no such key: {field}") from None
            return calls.select(value, field)

        return run, cost + counting.SELECT

    def _call(self, node: syntax.Call) -> calls.Piece:
        special = _SPECIAL.get(node.function)
        if special is not None:
            return special(self, node)
        return self._call_plainly(node)

    def _index(self, node: syntax.Call) -> calls.Piece:
        return self._joined(node, [self.piece(node.args[0]), self._free(node.args[1])])

    def _call_plainly(self, node: syntax.Call) -> calls.Piece:
        args = [node.target, *node.args] if node.target is not None else node.args
        pieces = [self.piece(arg) for arg in args]
        if node.function in _CONVERSIONS and len(args) == 1 and isinstance(args[0], syntax.Literal):
            return self._folded(node, args[0])
        return self._joined(node, pieces)

    def _folded(self, node: syntax.Call, literal: syntax.Literal) -> calls.Piece:
        """A conversion of a constant, which cel-go makes beforehand: no cost."""
        choose = functions.dispatcher(list(node.overloads))
        try:
            value = choose(literal.value)[1]
        except values.EvaluationError:
            return self._joined(node, [self.piece(literal)])
        return lambda frame: value, 0

    def _joined(self, node: syntax.Call, pieces: list[calls.Piece]) -> calls.Piece:
        cost = sum(each for _, each in pieces)
        runs = [run for run, _ in pieces]
        if len(node.overloads) == 1:
            return calls.bound(node.overloads[0], runs, cost)
        choose = functions.dispatcher(list(node.overloads))

        def run(frame: calls.Frame) -> Any:
            given = tuple([each(frame) for each in runs])
            overload, found = choose(*given)
            calls.charge(frame, counting.actual(overload.function, overload.id), given, found)
            return found

        return run, cost

    def _and(self, node: syntax.Call) -> calls.Piece:
        return self._decided(node, False)

    def _or(self, node: syntax.Call) -> calls.Piece:
        return self._decided(node, True)

    def _decided(self, node: syntax.Call, deciding: bool) -> calls.Piece:
        left, cost = self.piece(node.args[0])
        right, more = self.piece(node.args[1])

        def run(frame: calls.Frame) -> Any:
            problem: values.EvaluationError | None = None
            try:
                one = left(frame)
                if one is deciding:
                    return deciding
                if type(one) is not bool:
                    problem = values.no_such_overload()
            except values.EvaluationError as failure:
                problem = failure
            frame[calls.COST] += more
            try:
                other = right(frame)
            except values.EvaluationError as failure:
                raise problem or failure from None
            if other is deciding:
                return deciding
            if problem is not None:
                raise problem
            if type(other) is not bool:
                raise values.no_such_overload()
            return not deciding

        return run, cost

    def _conditional(self, node: syntax.Call) -> calls.Piece:
        condition, cost = self.piece(node.args[0])
        chosen, cost_chosen = self._free(node.args[1])
        otherwise, cost_otherwise = self._free(node.args[2])

        def run(frame: calls.Frame) -> Any:
            decided = condition(frame)
            if decided is True:
                frame[calls.COST] += cost_chosen
                return chosen(frame)
            if decided is not False:
                raise values.no_such_overload()
            frame[calls.COST] += cost_otherwise
            return otherwise(frame)

        return run, cost

    def _free(self, node: syntax.Node) -> calls.Piece:
        """A bare name or path costs nothing as the branch of a conditional, or as an index."""
        run, cost = self.piece(node)
        return run, 0 if _is_path(node) else cost

    def _not_strictly_false(self, node: syntax.Call) -> calls.Piece:
        inner, cost = self.piece(node.args[0])

        def run(frame: calls.Frame) -> bool:
            try:
                return inner(frame) is not False
            except values.EvaluationError:
                return True

        return run, cost + 1

    def _in(self, node: syntax.Call) -> calls.Piece:
        """Among constants, which cel-go looks up in a set: no cost beyond the item's."""
        constants = _constants(node.args[1])
        if constants is None or not all(type(each) is str for each in constants):
            return self._call_plainly(node)
        item, cost = self.piece(node.args[0])
        among = frozenset(constants)

        def run(frame: calls.Frame) -> bool:
            value = item(frame)
            return type(value) is str and value in among

        return run, cost

    def _list(self, node: syntax.ListExpr) -> calls.Piece:
        constants = _constants(node)
        if constants is not None:
            return lambda frame: constants, 0
        pieces = [self.piece(element) for element in node.elements]
        runs = [run for run, _ in pieces]
        cost = counting.LIST + sum(each for _, each in pieces)
        optional = node.optional
        if not optional:
            return lambda frame: [run(frame) for run in runs], cost

        def build(frame: calls.Frame) -> list[Any]:
            found = []
            for index, run in enumerate(runs):
                value = run(frame)
                if index not in optional:
                    found.append(value)
                elif calls.expect_optional(value).present:
                    found.append(value.value)
            return found

        return build, cost

    def _map(self, node: syntax.MapExpr) -> calls.Piece:
        """One of constants costs nothing, but is made anew: ``transformMap`` fills what it starts with."""
        entries = [(self.piece(entry.key), self.piece(entry.value), entry.optional) for entry in node.entries]
        constant = all(isinstance(each, syntax.Literal) for entry in node.entries for each in (entry.key, entry.value))
        cost = 0 if constant else counting.MAP + sum(key[1] + value[1] for key, value, _ in entries)
        runs = [(key[0], value[0], optional) for key, value, optional in entries]

        def build(frame: calls.Frame) -> dict[Any, Any]:
            found: dict[Any, Any] = {}
            for key_run, value_run, optional in runs:
                key, value = key_run(frame), value_run(frame)
                if optional:
                    if not calls.expect_optional(value).present:
                        continue
                    value = value.value
                if type(key) not in _KEYS:
                    raise values.EvaluationError("unsupported key type")
                if standard.holds_key(found, key):
                    raise values.EvaluationError(f"Failed with repeated key: {standard.shown(key)}")
                found[key] = value
            return found

        return build, cost

    def _struct(self, node: syntax.Struct) -> calls.Piece:
        entries = [(entry.key, *self.piece(entry.value), entry.optional) for entry in node.entries]
        cost = counting.STRUCT + sum(each for _, _, each, _ in entries)
        made_type = node.type

        def build(frame: calls.Frame) -> Any:
            data: dict[str, Any] = {}
            for field, run, _, optional in entries:
                value = run(frame)
                if optional:
                    if not calls.expect_optional(value).present:
                        continue
                    value = value.value
                data[field] = value
            return values.Object(data, {field: (field, None) for field in data}, made_type)

        return build, cost

    def _comprehension(self, node: syntax.Comprehension) -> calls.Piece:
        ranged, cost = self.piece(node.range)
        initial, cost_initial = self.piece(node.initial)
        scope = {node.accumulator: self._place()}
        accumulator = scope[node.accumulator]
        if node.is_bind():
            return self._bind(node, initial, cost + cost_initial, scope)
        scope[node.var] = first = self._place()
        second = 0
        if node.var2:
            scope[node.var2] = second = self._place()
        self._scopes.append(scope)
        stop = _stop(node)
        if stop is not None:
            loop = self._quantified(node, ranged, (accumulator, first, second), stop)
            self._scopes.pop()
            return loop, cost + cost_initial + counting.SELECT
        condition, cost_condition = self.piece(node.condition)
        step, cost_step = _appending(self, node, accumulator) or self.piece(node.step)
        result, cost_result = self.piece(node.result)
        self._scopes.pop()

        def run(frame: calls.Frame) -> Any:
            items = ranged(frame)
            frame[accumulator] = initial(frame)
            if isinstance(frame[accumulator], list):
                frame[accumulator] = list(frame[accumulator])
            limit = frame[calls.LIMIT]
            for key, item in _pairs(items) if second else _singles(items):
                frame[first] = key if second else item
                if second:
                    frame[second] = item
                frame[calls.COST] += cost_condition + cost_step
                if frame[calls.COST] > limit:
                    raise values.CostExceeded
                if condition(frame) is False:
                    break
                frame[accumulator] = step(frame)
            return result(frame)

        return run, cost + cost_initial + cost_result

    def _quantified(
        self, node: syntax.Comprehension, ranged: calls.Run, places: tuple[int, int, int], stop: bool
    ) -> calls.Run:
        """``all`` and ``exists``: the first item to decide ends them, and makes up for failures before it."""
        assert isinstance(node.step, syntax.Call)
        _, first, second = places
        _, cost_condition = self.piece(node.condition)
        predicate, cost_predicate = self.piece(node.step.args[1])
        cost_round = counting.SELECT + cost_predicate

        def run(frame: calls.Frame) -> bool:
            items = ranged(frame)
            limit = frame[calls.LIMIT]
            failed: values.EvaluationError | None = None
            decided = False
            for key, item in _pairs(items) if second else _singles(items):
                frame[calls.COST] += cost_condition
                if decided:
                    break
                frame[first] = key if second else item
                if second:
                    frame[second] = item
                frame[calls.COST] += cost_round
                if frame[calls.COST] > limit:
                    raise values.CostExceeded
                try:
                    found = predicate(frame)
                except values.EvaluationError as problem:
                    failed = failed or problem
                    continue
                if found is stop:
                    decided = True
                elif type(found) is not bool:
                    failed = failed or values.no_such_overload()
            if decided:
                return stop
            if failed is not None:
                raise failed
            return not stop

        return run

    def _bind(self, node: syntax.Comprehension, initial: calls.Run, cost: int, scope: dict[str, int]) -> calls.Piece:
        place = scope[node.accumulator]
        self._scopes.append(scope)
        result, cost_result = self.piece(node.result)
        self._scopes.pop()

        def run(frame: calls.Frame) -> Any:
            frame[place] = initial(frame)
            return result(frame)

        return run, cost + cost_result


def _at(place: int) -> calls.Run:
    return lambda frame: frame[place]


def _stop(node: syntax.Comprehension) -> bool | None:
    """What ends an ``all`` (False) or an ``exists`` (True); None for other loops."""
    condition = node.condition
    if not isinstance(condition, syntax.Call) or condition.function != "@not_strictly_false":
        return None
    return isinstance(condition.args[0], syntax.Call)


def _singles(items: Any) -> Any:
    if isinstance(items, list):
        return enumerate(items)
    if isinstance(items, values.TypedList):
        return enumerate(items.items)
    if isinstance(items, Mapping):
        return enumerate(list(items))
    raise values.no_such_overload()


def _pairs(items: Any) -> Any:
    return ((key, items[key]) for key in list(items)) if isinstance(items, Mapping) else _singles(items)


def _appending(compiler: _Compiler, node: syntax.Comprehension, accumulator: int) -> calls.Piece | None:
    """``map`` and ``filter`` grow their list in place: copying it each round would be quadratic.

    The costs stay those of ``@result + [item]``: the accumulator, the list of one, the sum.
    """
    step, condition = node.step, None
    if isinstance(step, syntax.Call) and step.function == "_?_:_":
        condition, step = step.args[0], step.args[1]
    if not (isinstance(step, syntax.Call) and step.function == "_+_" and isinstance(node.initial, syntax.ListExpr)):
        return None
    added = step.args[1]
    assert isinstance(added, syntax.ListExpr)
    item, cost_item = compiler.piece(added.elements[0])
    cost_item += counting.SELECT + counting.LIST + 1

    def append(frame: calls.Frame) -> Any:
        frame[accumulator].append(item(frame))
        return frame[accumulator]

    if condition is None:
        return append, cost_item
    test, cost_test = compiler.piece(condition)

    def filtered(frame: calls.Frame) -> Any:
        decided = test(frame)
        if decided is True:
            frame[calls.COST] += cost_item
            return append(frame)
        if decided is not False:
            raise values.no_such_overload()
        return frame[accumulator]

    return filtered, cost_test


def _constants(node: syntax.Node) -> list[Any] | None:
    if not isinstance(node, syntax.ListExpr) or node.optional:
        return None
    found = [element.value for element in node.elements if isinstance(element, syntax.Literal)]
    return found if len(found) == len(node.elements) else None


def _is_path(node: syntax.Node) -> bool:
    while isinstance(node, syntax.Select) and not node.test_only:
        node = node.operand
    return isinstance(node, syntax.Ident)


_KEYS = (str, int, bool, values.Uint)
_CONVERSIONS = frozenset({"bool", "bytes", "double", "duration", "int", "string", "timestamp", "uint"})

_SPECIAL: dict[str, Callable[[_Compiler, syntax.Call], calls.Piece]] = {
    "_&&_": _Compiler._and, "_||_": _Compiler._or, "_?_:_": _Compiler._conditional,
    "@not_strictly_false": _Compiler._not_strictly_false, "@in": _Compiler._in, "_[_]": _Compiler._index,
}  # fmt: skip

_RULES: dict[type, Callable[[_Compiler, Any], calls.Piece]] = {
    syntax.Literal: _Compiler._literal, syntax.Ident: _Compiler._ident, syntax.Select: _Compiler._select,
    syntax.Call: _Compiler._call, syntax.ListExpr: _Compiler._list, syntax.MapExpr: _Compiler._map,
    syntax.Struct: _Compiler._struct, syntax.Comprehension: _Compiler._comprehension,
}  # fmt: skip
