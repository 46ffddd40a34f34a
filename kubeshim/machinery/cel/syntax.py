"""Expressions as trees, and where in the source each part stands.

The checker writes ``type`` on each node, and ``overloads`` on calls; nothing else changes after parsing.
A comprehension is what every macro becomes: ``var`` (and ``var2``) run over ``range``, ``accumulator`` starts as
``initial`` and becomes ``step`` while ``condition`` holds; ``result`` is the value.
"""

import dataclasses
import unicodedata
from typing import Any

from kubeshim.machinery.cel import types

ACCUMULATOR = "@result"
UNUSED = "#unused"


@dataclasses.dataclass(slots=True, eq=False)
class Node:
    position: int
    """Offset in the source, in code points."""
    type: types.Type = dataclasses.field(default=types.DYN, init=False)


@dataclasses.dataclass(slots=True, eq=False)
class Literal(Node):
    value: Any


@dataclasses.dataclass(slots=True, eq=False)
class Ident(Node):
    name: str


@dataclasses.dataclass(slots=True, eq=False)
class Select(Node):
    operand: Node
    field: str
    test_only: bool = False
    """``has(operand.field)``."""
    qualified: str = dataclasses.field(default="", init=False)
    """Where the whole is the name of a variable or type (``authorizer.requestResource``)."""


@dataclasses.dataclass(slots=True, eq=False)
class Call(Node):
    function: str
    target: Node | None
    args: list[Node]
    overloads: tuple[Any, ...] = dataclasses.field(default=(), init=False)


@dataclasses.dataclass(slots=True, eq=False)
class ListExpr(Node):
    elements: list[Node]
    optional: frozenset[int] = frozenset()
    """Indices of ``?element``."""


@dataclasses.dataclass(slots=True, eq=False)
class Entry:
    key: Any
    """A ``Node`` in a map, a field's name in a struct."""
    value: Node
    optional: bool
    position: int


@dataclasses.dataclass(slots=True, eq=False)
class MapExpr(Node):
    entries: list[Entry]


@dataclasses.dataclass(slots=True, eq=False)
class Struct(Node):
    name: str
    entries: list[Entry]


@dataclasses.dataclass(slots=True, eq=False)
class Comprehension(Node):
    range: Node
    var: str
    var2: str
    accumulator: str
    initial: Node
    condition: Node
    step: Node
    result: Node

    def is_bind(self) -> bool:
        """A name for a value (``optMap`` makes them): no iteration at all."""
        return self.var == UNUSED


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    position: int
    text: str


class CompileError(ValueError):
    """An expression that does not parse or does not type-check; ``str()`` is the text a user sees."""


def report(source: str, problems: list[Problem]) -> CompileError:
    """All problems, each with the line it is in and a mark below."""
    return CompileError("\n".join(_shown(source, problem) for problem in problems))


def _shown(source: str, problem: Problem) -> str:
    before = source[: problem.position]
    line = before.count("\n")
    column = len(before) - (before.rfind("\n") + 1)
    text = source.split("\n")[line]
    header = f"ERROR: <input>:{line + 1}:{column + 1}: {problem.text}"
    if not text:
        return header
    wide = [unicodedata.east_asian_width(char) in "WF" for char in text]
    dots = "".join("．" if wide[index] else "." for index in range(min(column, len(text))))
    mark = "＾" if column < len(text) and wide[column] else "^"
    return f"{header}\n | {text.replace(chr(9), ' ')}\n | {dots}{mark}"
