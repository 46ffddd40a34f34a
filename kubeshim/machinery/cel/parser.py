"""Tokens to trees: CEL's grammar by recursive descent, macros expanded on the way.

A syntax error ends the parse: what upstream's parser tells after recovering from the first would be guesses.
The first is worded as ANTLR words it.
"""

from collections.abc import Callable
from typing import NoReturn

from kubeshim.machinery.cel import lexer, macros, syntax

MAX_DEPTH = 250
MAX_SIZE = 100_000
_START = (
    "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"
)
_RELATIONS = {"==", "!=", "<", "<=", ">", ">=", "in"}
_SUMS = {"+": "_+_", "-": "_-_"}
_PRODUCTS = {"*": "_*_", "/": "_/_", "%": "_%_"}


def parse(source: str, *, binds: bool = False) -> syntax.Node:
    """The tree of ``source``; raises ``syntax.CompileError``. ``binds``: ``cel.bind`` is a macro."""
    if len(source) > MAX_SIZE:
        raise syntax.CompileError(
            f"ERROR: <input>:-1:0: expression code point size exceeds limit: size: {len(source)}, limit {MAX_SIZE}"
        )
    problems: list[syntax.Problem] = []
    found = lexer.tokens(source, problems)
    parser = _Parser(found, problems, binds)
    try:
        tree = parser.whole()
    except _Stop:
        raise syntax.report(source, sorted(problems, key=lambda problem: problem.position)) from None
    if problems:
        raise syntax.report(source, sorted(problems, key=lambda problem: problem.position))
    return tree


class _Stop(Exception):
    pass


class _Parser:
    def __init__(self, tokens: list[lexer.Token], problems: list[syntax.Problem], binds: bool) -> None:
        self._tokens, self._binds = tokens, binds
        self._problems = problems
        self._at = 0
        self._depth = 0

    @property
    def _next(self) -> lexer.Token:
        return self._tokens[self._at]

    def _take(self) -> lexer.Token:
        token = self._tokens[self._at]
        if token.kind != "<EOF>":
            self._at += 1
        return token

    def _fail(self, text: str, token: lexer.Token | None = None) -> NoReturn:
        self._problems.append(syntax.Problem((token or self._next).position, f"Syntax error: {text}"))
        raise _Stop

    def _expect(self, kind: str) -> lexer.Token:
        if self._next.kind != kind:
            self._missing(kind)
        return self._take()

    def _missing(self, kind: str) -> NoReturn:
        if self._next.kind == "<EOF>" and kind in ("]", ")", "}"):
            self._fail(f"missing '{kind}' at '<EOF>'")
        after = self._tokens[min(self._at + 1, len(self._tokens) - 1)]
        word = "extraneous" if after.kind == kind and self._next.kind != "<EOF>" else "mismatched"
        self._fail(f"{word} input '{self._next.text}' expecting '{kind}'")

    def whole(self) -> syntax.Node:
        tree = self._expression()
        if self._next.kind != "<EOF>":
            last = self._tokens[self._at + 1].kind == "<EOF>"
            self._fail(f"{'extraneous' if last else 'mismatched'} input '{self._next.text}' expecting <EOF>")
        return tree

    def _expression(self) -> syntax.Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._problems.append(
                syntax.Problem(self._next.position, f"expression recursion limit exceeded: {MAX_DEPTH}")
            )
            raise _Stop
        found = self._either()
        if self._next.kind == "?":
            operator = self._take()
            chosen = self._either()
            self._expect(":")
            otherwise = self._expression()
            found = syntax.Call(operator.position, "_?_:_", None, [found, chosen, otherwise])
        self._depth -= 1
        return found

    def _either(self) -> syntax.Node:
        return self._logical("||", "_||_", lambda: self._logical("&&", "_&&_", self._relation))

    def _logical(self, operator: str, function: str, inner: Callable[[], syntax.Node]) -> syntax.Node:
        terms, operators = [inner()], []
        while self._next.kind == operator:
            operators.append(self._take().position)
            terms.append(inner())
        return _balanced(function, terms, operators, 0, len(operators) - 1)

    def _relation(self) -> syntax.Node:
        left = self._sum()
        depth = 0
        while self._next.kind in _RELATIONS:
            operator = self._take()
            function = "@in" if operator.kind == "in" else f"_{operator.kind}_"
            left = syntax.Call(operator.position, function, None, [left, self._sum()])
            depth = self._deeper(depth, operator)
        return left

    def _sum(self) -> syntax.Node:
        left = self._product()
        depth = 0
        while self._next.kind in _SUMS:
            operator = self._take()
            left = syntax.Call(operator.position, _SUMS[operator.kind], None, [left, self._product()])
            depth = self._deeper(depth, operator)
        return left

    def _product(self) -> syntax.Node:
        left = self._unary()
        depth = 0
        while self._next.kind in _PRODUCTS:
            operator = self._take()
            left = syntax.Call(operator.position, _PRODUCTS[operator.kind], None, [left, self._unary()])
            depth = self._deeper(depth, operator)
        return left

    def _deeper(self, depth: int, token: lexer.Token) -> int:
        if depth >= MAX_DEPTH:
            self._problems.append(syntax.Problem(token.position, f"max recursion depth exceeded: {MAX_DEPTH}"))
            raise _Stop
        return depth + 1

    def _unary(self) -> syntax.Node:
        first = self._next
        if first.kind not in ("!", "-"):
            return self._member(self._primary())
        count = 0
        while self._next.kind == first.kind:
            self._take()
            count += 1
        if first.kind == "-" and self._next.negatable:
            # the last minus belongs to the number
            operand = self._member(self._number(self._take(), True, self._tokens[self._at - 2].position))
            count -= 1
        else:
            operand = self._member(self._primary())
        if count % 2 == 0:
            return operand
        return syntax.Call(first.position, "!_" if first.kind == "!" else "-_", None, [operand])

    def _number(self, token: lexer.Token, negative: bool, position: int) -> syntax.Node:
        value = token.value
        if negative:
            value = -value
        elif value == 2**63 and type(value) is int:
            self._problems.append(syntax.Problem(token.position, "invalid int literal"))
        return syntax.Literal(position, value)

    def _primary(self) -> syntax.Node:
        token = self._next
        if token.kind == "literal":
            self._take()
            if token.negatable:
                return self._number(token, False, token.position)
            return syntax.Literal(token.position, token.value)
        if token.kind in (".", "ident"):
            return self._named()
        if token.kind == "(":
            self._take()
            inner = self._expression()
            self._expect(")")
            return inner
        if token.kind == "[":
            return self._list()
        if token.kind == "{":
            return self._map()
        return self._no_start()

    def _no_start(self) -> NoReturn:
        """ANTLR tries to go on without the offending token: it is then «extraneous»."""
        after = self._tokens[min(self._at + 1, len(self._tokens) - 1)]
        starts = after.kind in ("literal", "ident", "(", "[", "{", ".", "-", "!")
        word = "extraneous" if starts and self._next.kind != "<EOF>" else "mismatched"
        self._fail(f"{word} input '{self._next.text}' expecting {_START}")

    def _named(self) -> syntax.Node:
        leading = ""
        start = self._next
        if start.kind == ".":
            self._take()
            leading = "."
            if self._next.kind != "ident":
                self._fail(f"no viable alternative at input '.{self._next.text}'")
        name = self._take()
        if name.text in lexer.RESERVED:
            self._problems.append(syntax.Problem(name.position, f"reserved identifier: {name.text}"))
        if self._next.kind == "(":
            opened = self._take()
            return self._called(syntax.Call(opened.position, leading + name.text, None, self._arguments(")")))
        made = self._struct(leading + name.text)
        return made or syntax.Ident(start.position, leading + name.text)

    def _struct(self, first: str) -> syntax.Node | None:
        """``Type.name{field: …}``, looked for ahead: a brace after dotted names can be nothing else."""
        at, names = self._at, [first]
        while self._tokens[at].kind == "." and self._tokens[at + 1].kind == "ident":
            names.append(self._tokens[at + 1].text)
            at += 2
        if self._tokens[at].kind != "{":
            return None
        self._at = at
        opened = self._take()
        entries: list[syntax.Entry] = []
        while self._next.kind != "}":
            optional = self._optional_mark()
            field = self._expect("ident") if self._next.kind != "ident" else self._take()
            colon = self._expect(":")
            entries.append(syntax.Entry(field.text, self._expression(), optional, colon.position))
            if self._next.kind != ",":
                break
            self._take()
        self._expect("}")
        return syntax.Struct(opened.position, ".".join(names), entries)

    def _optional_mark(self) -> bool:
        if self._next.kind == "?":
            self._take()
            return True
        return False

    def _arguments(self, close: str) -> list[syntax.Node]:
        args: list[syntax.Node] = []
        if self._next.kind != close:
            args.append(self._expression())
            while self._next.kind == ",":
                self._take()
                args.append(self._expression())
        self._expect(close)
        return args

    def _called(self, call: syntax.Call) -> syntax.Node:
        expanded = macros.expand(call, binds=self._binds)
        if isinstance(expanded, syntax.Problem):
            self._problems.append(expanded)
            return call
        return expanded or call

    def _member(self, operand: syntax.Node) -> syntax.Node:
        depth = 0
        while self._next.kind in (".", "["):
            operand = self._dotted(operand) if self._next.kind == "." else self._indexed(operand)
            depth = self._deeper(depth, self._next)
        return operand

    def _dotted(self, operand: syntax.Node) -> syntax.Node:
        dot = self._take()
        optional = self._optional_mark()
        if self._next.kind != "ident":
            before = ".?" if optional else "."
            self._fail(f"no viable alternative at input '{before}{self._next.text}'")
        name = self._take()
        if optional:
            return syntax.Call(dot.position, "_?._", None, [operand, syntax.Literal(name.position, name.text)])
        if self._next.kind != "(":
            return syntax.Select(dot.position, operand, name.text)
        opened = self._take()
        return self._called(syntax.Call(opened.position, name.text, operand, self._arguments(")")))

    def _indexed(self, operand: syntax.Node) -> syntax.Node:
        opened = self._take()
        function = "_[?_]" if self._optional_mark() else "_[_]"
        index = self._expression()
        self._expect("]")
        return syntax.Call(opened.position, function, None, [operand, index])

    def _list(self) -> syntax.Node:
        opened = self._take()
        elements: list[syntax.Node] = []
        optional: set[int] = set()
        while self._next.kind != "]":
            if self._optional_mark():
                optional.add(len(elements))
            elements.append(self._expression())
            if not self._comma():
                break
        self._expect("]")
        return syntax.ListExpr(opened.position, elements, frozenset(optional))

    def _comma(self) -> bool:
        """Whether more may come: a trailing comma is allowed."""
        if self._next.kind != ",":
            return False
        self._take()
        return self._next.kind != "<EOF>"

    def _map(self) -> syntax.Node:
        opened = self._take()
        entries: list[syntax.Entry] = []
        while self._next.kind != "}":
            optional = self._optional_mark()
            key = self._expression()
            colon = self._expect(":")
            entries.append(syntax.Entry(key, self._expression(), optional, colon.position))
            if not self._comma():
                break
        self._expect("}")
        return syntax.MapExpr(opened.position, entries)


def _balanced(function: str, terms: list[syntax.Node], operators: list[int], low: int, high: int) -> syntax.Node:
    """Chains of ``&&`` become balanced trees, as cel-go makes them: depth is logarithmic."""
    if low > high:
        return terms[low]
    middle = (low + high + 1) // 2
    left = terms[middle] if middle == low else _balanced(function, terms, operators, low, middle - 1)
    right = terms[middle + 1] if middle == high else _balanced(function, terms, operators, middle + 1, high)
    return syntax.Call(operators[middle], function, None, [left, right])
