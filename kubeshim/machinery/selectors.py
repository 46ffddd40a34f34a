"""Label and field selectors: the query texts, ``metav1.LabelSelector`` objects, and matching.

Parsing follows upstream's grammar token by token, because clients see its complaints word for word (they travel in a
400). Parsed selectors are frozen and cached by text: watches and controllers ask with the same few.
"""

import dataclasses
import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from kubeshim.machinery import errors
from kubeshim.machinery.validation import content, fields


class SelectorError(ValueError):
    """Not a selector. The message is what the API answers in its 400."""

    def as_bad_request(self) -> errors.BadRequest:
        return errors.BadRequest(str(self))


@dataclasses.dataclass(frozen=True, slots=True)
class Requirement:
    """One term. ``operator``: ``= == != in notin exists ! gt lt`` (upstream's words for them)."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        present = self.key in labels
        match self.operator:
            case "=" | "==" | "in":
                return present and labels[self.key] in self.values
            case "!=" | "notin":
                return not present or labels[self.key] not in self.values
            case "exists":
                return present
            case "!":
                return not present
            case _:
                return present and self._compares(labels[self.key])

    def _compares(self, text: str) -> bool:
        try:
            left, right = int(text), int(self.values[0])
        except ValueError:
            return False
        return left > right if self.operator == "gt" else left < right

    def __str__(self) -> str:
        match self.operator:
            case "exists":
                return self.key
            case "!":
                return "!" + self.key
            case "in" | "notin":
                return f"{self.key} {self.operator} ({','.join(sorted(self.values))})"
            case "gt" | "lt":
                return f"{self.key}{'>' if self.operator == 'gt' else '<'}{self.values[0]}"
            case _:
                return f"{self.key}{self.operator}{self.values[0]}"


@dataclasses.dataclass(frozen=True, slots=True)
class LabelSelector:
    """All requirements must hold; ``nothing`` (a null LabelSelector object) matches no labels at all."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False

    def matches(self, labels: Mapping[str, str] | None) -> bool:
        if self.nothing:
            return False
        labels = labels or {}
        return all(requirement.matches(labels) for requirement in self.requirements)

    @property
    def empty(self) -> bool:
        """Whether it selects everything."""
        return not self.requirements and not self.nothing

    def __str__(self) -> str:
        return ",".join(str(requirement) for requirement in self.requirements)


EVERYTHING = LabelSelector()
NOTHING = LabelSelector(nothing=True)


@functools.lru_cache(maxsize=4096)
def parse_labels(text: str) -> LabelSelector:
    """Reads ``a=b,c in (d,e),!f``. Raises ``SelectorError``."""
    return LabelSelector(tuple(sorted(_Parser(text).parse(), key=lambda requirement: requirement.key)))


def from_set(labels: Mapping[str, str] | None) -> LabelSelector:
    """All these labels; of no labels at all: everything (what a Service's ``selector`` means)."""
    return LabelSelector(tuple(Requirement(key, "=", (value,)) for key, value in sorted((labels or {}).items())))


_OBJECT_OPERATORS = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}


def from_label_selector(obj: Mapping[str, Any] | None) -> LabelSelector:
    """Reads a ``metav1.LabelSelector``; null selects nothing, ``{}`` everything. Raises ``SelectorError``."""
    if obj is None:
        return NOTHING
    found = [_requirement(key, "=", (value,)) for key, value in (obj.get("matchLabels") or {}).items()]
    for expression in obj.get("matchExpressions") or ():
        operator = _OBJECT_OPERATORS.get(expression.get("operator") or "")
        if operator is None:
            raise SelectorError(f'"{expression.get("operator") or ""}" is not a valid label selector operator')
        found.append(_requirement(expression.get("key") or "", operator, tuple(expression.get("values") or ())))
    return LabelSelector(tuple(sorted(found, key=lambda requirement: requirement.key)))


def from_node_selector_requirements(terms: Sequence[Mapping[str, Any]]) -> LabelSelector:
    """``matchExpressions`` of a node selector term, which know ``Gt`` and ``Lt`` too. Raises ``SelectorError``."""
    operators = {**_OBJECT_OPERATORS, "Gt": "gt", "Lt": "lt"}
    found = []
    for term in terms:
        operator = operators.get(term.get("operator") or "")
        if operator is None:
            raise SelectorError(f'"{term.get("operator") or ""}" is not a valid node selector operator')
        found.append(_requirement(term.get("key") or "", operator, tuple(term.get("values") or ())))
    return LabelSelector(tuple(found))


def format_label_selector(obj: Mapping[str, Any] | None) -> str:
    """How tables show a LabelSelector: ``<none>`` for null or empty."""
    try:
        text = str(from_label_selector(obj)) if obj is not None else ""
    except SelectorError:
        return "<error>"
    return text or "<none>"


def as_go_text(obj: Mapping[str, Any] | None) -> str:
    """A LabelSelector as Go prints a pointer to one: some messages have it inside."""
    if obj is None:
        return "nil"
    labels = "".join(f"{key}: {value}," for key, value in sorted((obj.get("matchLabels") or {}).items()))
    expressions = "".join(
        f"LabelSelectorRequirement{{Key:{one['key']},Operator:{one['operator']},"
        f"Values:[{' '.join(one.get('values') or ())}],}},"
        for one in obj.get("matchExpressions") or ()
    )
    parts = f"MatchLabels:map[string]string{{{labels}}},MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},"
    return f"&LabelSelector{{{parts}}}"


def _requirement(key: str, operator: str, values: tuple[str, ...]) -> Requirement:
    """Checks as upstream's ``NewRequirement``, with its paths."""
    wrong = []
    if complaints := content.qualified_name(key):
        wrong.append(fields.invalid("key", key, "; ".join(complaints)))
    counts = len(values)
    if operator in ("in", "notin") and not counts:
        wrong.append(fields.invalid("values", list(values), "for 'in', 'notin' operators, values set can't be empty"))
    elif operator in ("=", "==", "!=") and counts != 1:
        wrong.append(fields.invalid("values", list(values), "exact-match compatibility requires one single value"))
    elif operator in ("exists", "!") and counts:
        text = "values set must be empty for exists and does not exist"
        wrong.append(fields.invalid("values", list(values), text))
    elif operator in ("gt", "lt"):
        wrong += _comparison_problems(values)
    for index, value in enumerate(values):
        if complaints := content.label_value(value):
            wrong.append(fields.invalid(f"values[{index}][{key}]", value, "; ".join(complaints)))
    if wrong:
        texts = list(dict.fromkeys(str(problem) for problem in wrong))
        raise SelectorError(texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]")
    return Requirement(key, operator, values)


def _comparison_problems(values: tuple[str, ...]) -> list[errors.FieldError]:
    wrong = []
    if len(values) != 1:
        text = "for 'Gt', 'Lt' operators, exactly one value is required"
        wrong.append(fields.invalid("values", list(values), text))
    for index, value in enumerate(values):
        if not re.fullmatch(r"[+-]?[0-9]+", value):
            text = "for 'Gt', 'Lt' operators, the value must be an integer"
            wrong.append(fields.invalid(f"values[{index}]", value, text))
    return wrong


_SYMBOLS = {")", ",", "!", "==", "=", ">", "<", "!=", "("}
_TOKEN = re.compile(r"[ \t\r\n]*(?:([=!(),><]+)|([^=!(),>< \t\r\n]+)|$)")
_END = "end"
_IDENTIFIER = "identifier"
_ERROR = "error"


def _scan(text: str) -> list[tuple[str, str]]:
    """``(token, literal)`` pairs; a symbol's token is itself, ``in``/``notin`` are tokens too."""
    found: list[tuple[str, str]] = []
    position = 0
    while True:
        match = _TOKEN.match(text, position)
        if match is None or match.end() == position or not (match[1] or match[2]):
            found.append((_END, ""))
            return found
        position = match.end()
        if match[2]:
            found.append((match[2] if match[2] in ("in", "notin") else _IDENTIFIER, match[2]))
            continue
        run = match[1]
        length = next((size for size in (min(2, len(run)), 1) if run[:size] in _SYMBOLS), 0)
        if length:
            found.append((run[:length], run[:length]))
            position = match.start(1) + length
        else:
            found.append((_ERROR, f"error expected: keyword found '{run}'"))


class _Parser:
    """Recursive descent over the tokens, complaining in upstream's words."""

    def __init__(self, text: str) -> None:
        self._tokens = _scan(text)
        self._position = 0

    def _peek(self) -> tuple[str, str]:
        token, literal = self._tokens[min(self._position, len(self._tokens) - 1)]
        return (_IDENTIFIER if token in ("in", "notin") else token), literal

    def _next(self) -> tuple[str, str]:
        found = self._peek()
        self._position += 1
        return found

    def parse(self) -> list[Requirement]:
        found: list[Requirement] = []
        while True:
            token, literal = self._peek()
            if token == _END:
                return found
            if token not in (_IDENTIFIER, "!"):
                raise SelectorError(f"found '{literal}', expected: !, identifier, or 'end of string'")
            try:
                found.append(self._requirement())
            except SelectorError as error:
                raise SelectorError(f"unable to parse requirement: {error}") from None
            token, literal = self._next()
            if token == _END:
                return found
            if token != ",":
                raise SelectorError(f"found '{literal}', expected: ',' or 'end of string'")
            token, literal = self._peek()
            if token not in (_IDENTIFIER, "!"):
                raise SelectorError(f"found '{literal}', expected: identifier after ','")

    def _requirement(self) -> Requirement:
        token, literal = self._next()
        negated = token == "!"
        if negated:
            token, literal = self._next()
        if token != _IDENTIFIER:
            raise SelectorError(f"found '{literal}', expected: identifier")
        if complaints := content.qualified_name(literal):
            raise SelectorError(str(fields.invalid("<nil>", literal, "; ".join(complaints))))
        key = literal
        if negated:
            return _requirement(key, "!", ())
        if self._peek()[0] in (_END, ","):
            return _requirement(key, "exists", ())
        operator = self._operator()
        values = self._values() if operator in ("in", "notin") else self._exact()
        return _requirement(key, operator, tuple(sorted(values)))

    def _operator(self) -> str:
        token, literal = self._tokens[min(self._position, len(self._tokens) - 1)]
        self._position += 1
        if token in (">", "<"):
            return "gt" if token == ">" else "lt"
        if token not in ("in", "notin", "=", "==", "!="):
            raise SelectorError(f"found '{literal}', expected: in, notin, =, ==, !=, gt, lt")
        return token

    def _exact(self) -> set[str]:
        if self._peek()[0] in (_END, ","):
            return {""}
        token, literal = self._next()
        if token != _IDENTIFIER:
            raise SelectorError(f"found '{literal}', expected: identifier")
        return {literal}

    def _values(self) -> set[str]:
        token, literal = self._next()
        if token != "(":
            raise SelectorError(f"found '{literal}' expected: '('")
        token, literal = self._peek()
        if token == ")":
            self._next()
            return {""}
        if token not in (_IDENTIFIER, ","):
            raise SelectorError(f"found '{literal}', expected: ',', ')' or identifier")
        found = self._list()
        if self._next()[0] != ")":
            raise SelectorError(f"found '{literal}', expected: ')'")
        return found

    def _list(self) -> set[str]:
        found: set[str] = set()
        while True:
            token, literal = self._next()
            if token == _IDENTIFIER:
                found.add(literal)
                following, text = self._peek()
                if following == ")":
                    return found
                if following != ",":
                    raise SelectorError(f"found '{text}', expected: ',' or ')'")
            elif token == ",":
                if not found:
                    found.add("")
                following = self._peek()[0]
                if following == ")":
                    found.add("")
                    return found
                if following == ",":
                    self._next()
                    found.add("")
            else:
                raise SelectorError(f"found '{literal}', expected: ',', or identifier")


@dataclasses.dataclass(frozen=True, slots=True)
class FieldRequirement:
    """``field`` is a dotted path; ``operator`` is ``=`` or ``!=``."""

    field: str
    operator: str
    value: str


@dataclasses.dataclass(frozen=True, slots=True)
class FieldSelector:
    """All requirements must hold. ``fields`` maps dotted paths to the object's values as text."""

    requirements: tuple[FieldRequirement, ...] = ()

    def matches(self, fields: Mapping[str, str]) -> bool:
        return all((fields.get(term.field, "") == term.value) == (term.operator == "=") for term in self.requirements)

    def exact(self, field: str) -> str | None:
        """The one value ``field`` must have, if the selector says so."""
        for term in self.requirements:
            if term.field == field and term.operator == "=":
                return term.value
        return None

    @property
    def empty(self) -> bool:
        return not self.requirements

    def __str__(self) -> str:
        return ",".join(f"{term.field}{term.operator}{escape_field(term.value)}" for term in self.requirements)


_ESCAPED = re.compile(r"\\(.?)|([,=])", re.DOTALL)


@functools.lru_cache(maxsize=4096)
def parse_fields(text: str) -> FieldSelector:
    r"""Reads ``spec.nodeName=a,status.phase!=Failed`` (``\,`` ``\=`` ``\\`` escape). Raises ``SelectorError``."""
    found = []
    for part in re.findall(r"(?:\\.|[^,\\]|\\$)+", text, re.DOTALL):
        match = re.match(r"(.*?)(!=|==|=)(.*)", part, re.DOTALL)
        if match is None:
            raise SelectorError(f"invalid selector: '{text}'; can't understand '{part}'")
        found.append(FieldRequirement(match[1], "!=" if match[2] == "!=" else "=", _unescape(match[3])))
    return FieldSelector(tuple(found))


def escape_field(value: str) -> str:
    return value.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")


def _unescape(value: str) -> str:
    def replace(match: re.Match[str]) -> str:
        if match[2]:
            raise SelectorError(f"invalid field selector: unescaped character in value: {ord(match[2])}")
        if match[1] not in ("\\", ",", "="):
            raise SelectorError(f"invalid field selector: invalid escape sequence: \\{match[1]}")
        return match[1]

    return _ESCAPED.sub(replace, value)
