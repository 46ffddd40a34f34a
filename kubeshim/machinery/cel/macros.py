"""What ``all``, ``exists``, ``map``, ``has``, ``optMap`` … stand for: each becomes a comprehension.

The shapes are cel-go's, because estimated and counted costs follow from them.
"""

from collections.abc import Callable

from kubeshim.machinery.cel import syntax

Expansion = syntax.Node | syntax.Problem | None
"""None: not a macro after all, an ordinary call."""


def expand(call: syntax.Call, *, binds: bool = False) -> Expansion:
    if call.target is None:
        return _has(call) if call.function == "has" and len(call.args) == 1 else None
    if binds and call.function == "bind" and len(call.args) == 3:
        return _bind(call.target, call)
    found = _MEMBERS.get((call.function, len(call.args)))
    return found(call.target, call) if found else None


def _has(call: syntax.Call) -> Expansion:
    operand = call.args[0]
    if isinstance(operand, syntax.Select) and not operand.test_only:
        return syntax.Select(call.position, operand.operand, operand.field, True)
    return syntax.Problem(operand.position, "invalid argument to has() macro")


def _variable(node: syntax.Node) -> str | syntax.Problem:
    if not isinstance(node, syntax.Ident):
        return syntax.Problem(node.position, "argument must be a simple name")
    if node.name in ("__result__", syntax.ACCUMULATOR):
        return syntax.Problem(node.position, "iteration variable overwrites accumulator variable")
    return node.name


def _call(at: int, function: str, *args: syntax.Node) -> syntax.Call:
    return syntax.Call(at, function, None, list(args))


def _result(at: int) -> syntax.Node:
    return syntax.Ident(at, syntax.ACCUMULATOR)


def _loop(
    kind: str, target: syntax.Node, call: syntax.Call, names: list[str], body: list[syntax.Node]
) -> syntax.Comprehension:
    at = call.position
    initial, condition, step, result = _SHAPES[kind](at, names, body)
    second = names[1] if len(names) > 1 else ""
    return syntax.Comprehension(at, target, names[0], second, syntax.ACCUMULATOR, initial, condition, step, result)


_Parts = tuple[syntax.Node, syntax.Node, syntax.Node, syntax.Node]


def _all(at: int, names: list[str], body: list[syntax.Node]) -> _Parts:
    condition = _call(at, "@not_strictly_false", _result(at))
    return syntax.Literal(at, True), condition, _call(at, "_&&_", _result(at), body[0]), _result(at)


def _exists(at: int, names: list[str], body: list[syntax.Node]) -> _Parts:
    condition = _call(at, "@not_strictly_false", _call(at, "!_", _result(at)))
    return syntax.Literal(at, False), condition, _call(at, "_||_", _result(at), body[0]), _result(at)


def _exists_one(at: int, names: list[str], body: list[syntax.Node]) -> _Parts:
    more = _call(at, "_+_", _result(at), syntax.Literal(at, 1))
    step = _call(at, "_?_:_", body[0], more, _result(at))
    return syntax.Literal(at, 0), syntax.Literal(at, True), step, _call(at, "_==_", _result(at), syntax.Literal(at, 1))


def _map(at: int, names: list[str], body: list[syntax.Node]) -> _Parts:
    step: syntax.Node = _call(at, "_+_", _result(at), syntax.ListExpr(at, [body[-1]]))
    if len(body) > 1:
        step = _call(at, "_?_:_", body[0], step, _result(at))
    return syntax.ListExpr(at, []), syntax.Literal(at, True), step, _result(at)


def _filter(at: int, names: list[str], body: list[syntax.Node]) -> _Parts:
    kept = _call(at, "_+_", _result(at), syntax.ListExpr(at, [syntax.Ident(at, names[0])]))
    step = _call(at, "_?_:_", body[0], kept, _result(at))
    return syntax.ListExpr(at, []), syntax.Literal(at, True), step, _result(at)


def _transform_map(at: int, names: list[str], body: list[syntax.Node]) -> _Parts:
    return _insert(at, body, syntax.Ident(at, names[0]), body[-1])


def _transform_entry(at: int, names: list[str], body: list[syntax.Node]) -> _Parts:
    return _insert(at, body, body[-1])


def _insert(at: int, body: list[syntax.Node], *what: syntax.Node) -> _Parts:
    step: syntax.Node = _call(at, "cel.@mapInsert", _result(at), *what)
    if len(body) > 1:
        step = _call(at, "_?_:_", body[0], step, _result(at))
    return syntax.MapExpr(at, []), syntax.Literal(at, True), step, _result(at)


_SHAPES: dict[str, Callable[[int, list[str], list[syntax.Node]], _Parts]] = {
    "all": _all, "exists": _exists, "exists_one": _exists_one, "map": _map, "filter": _filter,
    "transformMap": _transform_map, "transformMapEntry": _transform_entry,
}  # fmt: skip


def _iterating(kind: str, variables: int) -> Callable[[syntax.Node, syntax.Call], Expansion]:
    def expand(target: syntax.Node, call: syntax.Call) -> Expansion:
        names: list[str] = []
        for node in call.args[:variables]:
            name = _variable(node)
            if isinstance(name, syntax.Problem):
                return name
            if name in names:
                return syntax.Problem(node.position, f"duplicate variable name: {name}")
            names.append(name)
        return _loop(kind, target, call, names, call.args[variables:])

    return expand


def binding(at: int, name: str, value: syntax.Node, body: syntax.Node) -> syntax.Comprehension:
    empty, never = syntax.ListExpr(at, []), syntax.Literal(at, False)
    return syntax.Comprehension(at, empty, syntax.UNUSED, "", name, value, never, syntax.Ident(at, name), body)


def _bind(target: syntax.Node, call: syntax.Call) -> Expansion:
    name, value, body = call.args
    if not isinstance(target, syntax.Ident) or target.name != "cel":
        return None
    if not isinstance(name, syntax.Ident):
        return syntax.Problem(name.position, "cel.bind() variable names must be simple identifiers")
    return binding(call.position, name.name, value, body)


def _optional_map(flat: bool) -> Callable[[syntax.Node, syntax.Call], Expansion]:
    def expand(target: syntax.Node, call: syntax.Call) -> Expansion:
        at, name = call.position, call.args[0]
        if not isinstance(name, syntax.Ident):
            function = "optFlatMap" if flat else "optMap"
            return syntax.Problem(name.position, f"{function}() variable name must be a simple identifier")
        present = syntax.Call(at, "hasValue", target, [])
        mapped: syntax.Node = binding(at, name.name, syntax.Call(at, "value", target, []), call.args[1])
        if not flat:
            mapped = _call(at, "optional.of", mapped)
        return _call(at, "_?_:_", present, mapped, _call(at, "optional.none"))

    return expand


def _sort_by(target: syntax.Node, call: syntax.Call) -> Expansion:
    at, name = call.position, "@__sortBy_input__"
    if not isinstance(target, syntax.ListExpr | syntax.Select | syntax.Ident | syntax.Comprehension | syntax.Call):
        text = "sortBy can only be applied to a list, identifier, comprehension, call or select expression"
        return syntax.Problem(target.position, text)
    keys = _iterating("map", 1)(syntax.Ident(at, name), call)
    if keys is None or isinstance(keys, syntax.Problem):
        return keys
    return binding(at, name, target, syntax.Call(at, "@sortByAssociatedKeys", syntax.Ident(at, name), [keys]))


_MEMBERS: dict[tuple[str, int], Callable[[syntax.Node, syntax.Call], Expansion]] = {
    ("all", 2): _iterating("all", 1), ("exists", 2): _iterating("exists", 1),
    ("exists_one", 2): _iterating("exists_one", 1), ("map", 2): _iterating("map", 1),
    ("map", 3): _iterating("map", 1), ("filter", 2): _iterating("filter", 1),
    ("all", 3): _iterating("all", 2), ("exists", 3): _iterating("exists", 2),
    ("exists_one", 3): _iterating("exists_one", 2), ("existsOne", 3): _iterating("exists_one", 2),
    ("transformList", 3): _iterating("map", 2), ("transformList", 4): _iterating("map", 2),
    ("transformMap", 3): _iterating("transformMap", 2), ("transformMap", 4): _iterating("transformMap", 2),
    ("transformMapEntry", 3): _iterating("transformMapEntry", 2),
    ("transformMapEntry", 4): _iterating("transformMapEntry", 2),
    ("sortBy", 2): _sort_by,
    ("optMap", 2): _optional_map(False), ("optFlatMap", 2): _optional_map(True),
}  # fmt: skip
