"""Types, bottom up, with cel-go's complaints.

Each node gets its ``type``; each call its ``overloads``: one where the argument types decide, several where something
dynamic leaves it to run time. A select or call on a dotted name that is itself declared (``sets.contains``,
``authorizer.requestResource``) is turned into that.
"""

from collections.abc import Callable, Mapping
from typing import Any

from kubeshim.machinery.cel import functions, syntax, types

StructType = Callable[[str], types.Type | None]
"""The object type of a name, for ``Name{field: value}``."""


def check(
    source: str,
    tree: syntax.Node,
    table: functions.Table,
    variables: Mapping[str, types.Type],
    struct_type: StructType = lambda name: None,
) -> types.Type:
    """Annotates ``tree`` and tells its type; raises ``syntax.CompileError``."""
    checker = _Checker(table, variables, struct_type)
    checker.infer(tree)
    if checker.problems:
        raise syntax.report(source, checker.problems)
    checker.settle()
    return tree.type


class _Checker:
    def __init__(self, table: functions.Table, variables: Mapping[str, types.Type], struct_type: StructType) -> None:
        self._table = table
        self._variables = variables
        self._struct_type = struct_type
        self._scopes: list[dict[str, types.Type]] = []
        self._known = types.Substitution()
        self._nodes: list[syntax.Node] = []
        self.problems: list[syntax.Problem] = []

    def settle(self) -> None:
        for node in self._nodes:
            node.type = self._known.resolve(node.type)

    def infer(self, node: syntax.Node) -> types.Type:
        found = _RULES[type(node)](self, node)
        node.type = found
        self._nodes.append(node)
        return found

    def _complain(self, node: syntax.Node | syntax.Entry, text: str) -> types.Type:
        self.problems.append(syntax.Problem(node.position, text))
        return types.ERROR

    def _expect(self, node: syntax.Node | syntax.Entry, wanted: types.Type, found: types.Type) -> None:
        if not self._known.assignable(wanted, found):
            shown = (self._known.resolve(wanted), self._known.resolve(found))
            self._complain(node, f"expected type '{shown[0]}' but found '{shown[1]}'")

    def _lookup(self, name: str) -> types.Type | None:
        for scope in reversed(self._scopes):
            if name in scope:
                return scope[name]
        name = name.removeprefix(".")
        if name in self._variables:
            return self._variables[name]
        if name in self._table.types:
            return types.type_of(self._table.types[name])
        struct = self._struct_type(name)
        return types.type_of(struct) if struct is not None else None

    def _literal(self, node: syntax.Literal) -> types.Type:
        return _LITERALS[type(node.value).__name__]

    def _ident(self, node: syntax.Ident) -> types.Type:
        found = self._lookup(node.name)
        return found or self._complain(node, f"undeclared reference to '{node.name}' (in container '')")

    def _select(self, node: syntax.Select) -> types.Type:
        name = _dotted(node)
        if name and not node.test_only and self._lookup(name.partition(".")[0]) is None:
            whole = self._lookup(name)
            if whole is not None:
                node.qualified = name
                return whole
        elif name and name in self._variables:
            node.qualified = name
            return self._variables[name]
        operand = self._known.find(self.infer(node.operand))
        optional = operand.kind == "optional_type"
        found = self._field(node, self._known.find(operand.parameters[0]) if optional else operand, node.field)
        if node.test_only:
            return types.BOOL
        return types.optional_of(found) if optional else found

    def _field(self, node: syntax.Node, operand: types.Type, field: str) -> types.Type:
        if operand.kind == "map":
            return operand.parameters[1]
        if operand.kind == "object":
            if operand.fields is None:
                return types.DYN
            declared = operand.fields.get(field)
            if declared is None:
                return self._complain(node, f"undefined field '{field}'")
            found: types.Type = declared.type
            return found
        if operand.kind in ("dyn", "error", "param"):
            return types.DYN
        return self._complain(node, f"type '{self._known.resolve(operand)}' does not support field selection")

    def _call(self, node: syntax.Call) -> types.Type:
        if node.target is not None:
            name = _dotted(node.target)
            if name and self._table.get(f"{name}.{node.function}", False):
                node.function, node.target = f"{name}.{node.function}", None
        if node.function == "_?._":
            return self._optional_select(node)
        args = [node.target, *node.args] if node.target is not None else node.args
        if node.function == "format" and node.target is not None:
            found = [self.infer(node.target), *map(self._formatted, node.args)]
        else:
            found = [self.infer(arg) for arg in args]
        candidates = self._table.get(node.function.removeprefix("."), node.target is not None)
        if not candidates:
            return self._complain(node, f"undeclared reference to '{node.function}' (in container '')")
        return self._resolve(node, candidates, found)

    def _formatted(self, node: syntax.Node) -> types.Type:
        """What ``format`` is given may be of any types: the one literal that need not hold one type."""
        if not isinstance(node, syntax.ListExpr) or node.optional:
            return self.infer(node)
        for element in node.elements:
            self.infer(element)
        node.type = types.list_of(types.DYN)
        self._nodes.append(node)
        return node.type

    def _resolve(self, node: syntax.Call, candidates: list[functions.Overload], args: list[types.Type]) -> types.Type:
        matched: list[functions.Overload] = []
        result: types.Type | None = None
        for overload in candidates:
            if len(overload.parameters) != len(args):
                continue
            attempt = self._known.copy()
            names: dict[str, types.Type] = {}
            wanted = [attempt.instantiate(each, names) for each in overload.parameters]
            if not all(attempt.assignable(one, other) for one, other in zip(wanted, args, strict=True)):
                continue
            given = attempt.instantiate(overload.result, names)
            self._known.adopt(attempt)
            matched.append(overload)
            if result is None:
                result = given
            elif self._known.resolve(result) != self._known.resolve(given):
                result = types.DYN
        if result is None:
            shown = [str(self._known.resolve(each)) for each in args]
            form = f"{shown[0]}.({', '.join(shown[1:])})" if node.target is not None else f"({', '.join(shown)})"
            return self._complain(node, f"found no matching overload for '{node.function}' applied to '{form}'")
        node.overloads = tuple(matched)
        return result

    def _optional_select(self, node: syntax.Call) -> types.Type:
        operand = self._known.find(self.infer(node.args[0]))
        field = node.args[1]
        self.infer(field)
        node.overloads = tuple(self._table.get("_?._", False))
        if operand.kind == "optional_type":
            operand = self._known.find(operand.parameters[0])
        assert isinstance(field, syntax.Literal)
        return types.optional_of(self._field(node, operand, field.value))

    def _joined(self, node: syntax.Node | syntax.Entry, so_far: types.Type | None, more: types.Type) -> types.Type:
        """Literals hold values of one type."""
        if so_far is None:
            return more
        if self._known.assignable(so_far, more):
            return self._known.join(so_far, more)
        shown = (self._known.resolve(so_far), self._known.resolve(more))
        return self._complain(node, f"expected type '{shown[0]}' but found '{shown[1]}'")

    def _unwrapped(self, node: syntax.Node | syntax.Entry, found: types.Type) -> types.Type:
        """Of ``?value`` in a literal."""
        found = self._known.find(found)
        if found.kind == "optional_type":
            return found.parameters[0]
        if found.kind not in ("dyn", "error"):
            shown = self._known.resolve(found)
            return self._complain(node, f"expected type 'optional_type({shown})' but found '{shown}'")
        return types.DYN

    def _list(self, node: syntax.ListExpr) -> types.Type:
        item: types.Type | None = None
        for index, element in enumerate(node.elements):
            found = self.infer(element)
            if index in node.optional:
                found = self._unwrapped(element, found)
            item = self._joined(element, item, found)
        return types.list_of(item or self._known.fresh())

    def _map(self, node: syntax.MapExpr) -> types.Type:
        key: types.Type | None = None
        value: types.Type | None = None
        for entry in node.entries:
            key = self._joined(entry.key, key, self.infer(entry.key))
            found = self.infer(entry.value)
            if entry.optional:
                found = self._unwrapped(entry.value, found)
            value = self._joined(entry.value, value, found)
        return types.map_of(key or self._known.fresh(), value or self._known.fresh())

    def _struct(self, node: syntax.Struct) -> types.Type:
        found = self._struct_type(node.name.removeprefix("."))
        for entry in node.entries:
            given = self.infer(entry.value)
            if found is None:
                continue
            if entry.optional:
                given = self._unwrapped(entry.value, given)
            declared = found.fields.get(entry.key) if found.fields is not None else None
            if found.fields is not None and declared is None:
                self._complain(entry, f"undefined field '{entry.key}'")
            elif declared is not None and not self._known.assignable(declared.type, given):
                self._complain(entry, f"expected type of field '{entry.key}' is '{declared.type}' but provided type is "
                                      f"'{self._known.resolve(given)}'")  # fmt: skip
        if found is None:
            return self._complain(node, f"undeclared reference to '{node.name}' (in container '')")
        return found

    def _comprehension(self, node: syntax.Comprehension) -> types.Type:
        ranged = self._known.find(self.infer(node.range))
        accumulated = self.infer(node.initial)
        scope = self._iterated(node, ranged)
        scope[node.accumulator] = accumulated
        self._scopes.append(scope)
        self._expect(node.condition, types.BOOL, self.infer(node.condition))
        self._expect(node.step, accumulated, self.infer(node.step))
        result = self.infer(node.result)
        self._scopes.pop()
        return result

    def _iterated(self, node: syntax.Comprehension, ranged: types.Type) -> dict[str, types.Type]:
        if ranged.kind == "list":
            first, second = types.INT, ranged.parameters[0]
        elif ranged.kind == "map":
            first, second = ranged.parameters
        else:
            if ranged.kind not in ("dyn", "error", "param"):
                shown = self._known.resolve(ranged)
                self._complain(node.range, f"expression of type '{shown}' cannot be range of a comprehension (must be "
                                           "list, map, or dynamic)")  # fmt: skip
            first = second = types.DYN
        if node.var2:
            return {node.var: first, node.var2: second}
        return {node.var: second if ranged.kind == "list" else first}


_LITERALS = {
    "bool": types.BOOL, "int": types.INT, "Uint": types.UINT, "float": types.DOUBLE, "str": types.STRING,
    "bytes": types.BYTES, "NoneType": types.NULL,
}  # fmt: skip

_RULES: dict[type, Callable[[_Checker, Any], types.Type]] = {
    syntax.Literal: _Checker._literal, syntax.Ident: _Checker._ident, syntax.Select: _Checker._select,
    syntax.Call: _Checker._call, syntax.ListExpr: _Checker._list, syntax.MapExpr: _Checker._map,
    syntax.Struct: _Checker._struct, syntax.Comprehension: _Checker._comprehension,
}  # fmt: skip


def _dotted(node: syntax.Node) -> str:
    """``a.b.c`` where the tree is just that, else nothing."""
    if isinstance(node, syntax.Ident):
        return node.name
    if isinstance(node, syntax.Select) and not node.test_only:
        before = _dotted(node.operand)
        return f"{before}.{node.field}" if before else ""
    return ""
