"""Source text to tokens, with the complaints of upstream's scanner."""

import dataclasses
import math
import re
from typing import Any

from kubeshim.machinery.cel import standard, syntax, values

_ESCAPED = r"\\(?:[abfnrtv\\?\"'`]|[xX][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-3][0-7]{2})"
_LONG = r"(?:\"\"\".*?\"\"\"|'''.*?''')"
_RAW = r"[rR](?:\"[^\"\n\r]*\"|'[^'\n\r]*')"
_SHORT = rf"\"(?:{_ESCAPED}|[^\\\"\n\r])*\"|'(?:{_ESCAPED}|[^\\'\n\r])*'"
_QUOTED = rf"[rR]?{_LONG}|{_RAW}|{_SHORT}"
_TOKEN = re.compile(
    rf"(?P<space>[ \t\r\n\f]+|//[^\n]*)|(?P<string>{_QUOTED})|(?P<bytes>[bB](?:{_QUOTED}))"
    r"|(?P<float>[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+|\.[0-9]+(?:[eE][+-]?[0-9]+)?)"
    r"|(?P<uint>(?:0x[0-9a-fA-F]+|[0-9]+)[uU])|(?P<int>0x[0-9a-fA-F]+|[0-9]+)|(?P<ident>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<op>==|!=|<=|>=|&&|\|\||[-+*/%<>!?:.,()\[\]{}])",
    re.DOTALL,
)
_ESCAPE = re.compile(
    r"\\(?:([abfnrtv\\?\"'`])|[xX]([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2}))"
)
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}

KEYWORDS = frozenset({"in", "true", "false", "null"})
RESERVED = frozenset({
    "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let", "loop", "package",
    "namespace", "return", "var", "void", "while",
})  # fmt: skip
_INT_MAX, _UINT_MAX = 2**63 - 1, 2**64 - 1


@dataclasses.dataclass(frozen=True, slots=True)
class Token:
    """``kind`` is ``ident``, a keyword or operator itself, ``literal`` or ``<EOF>``; ``value`` a literal's value."""

    kind: str
    text: str
    position: int
    value: Any = None
    negatable: bool = False
    """A number: a minus in front belongs to it."""


def tokens(source: str, problems: list[syntax.Problem]) -> list[Token]:
    """All tokens and an ``<EOF>``; what is no token is told in ``problems`` and left out."""
    found: list[Token] = []
    at = 0
    while at < len(source):
        match = _TOKEN.match(source, at)
        if match is None:
            end = _unrecognised(source, at)
            problems.append(
                syntax.Problem(at, f"Syntax error: token recognition error at: '{_visible(source[at:end])}'")
            )
            at = end
            continue
        if match.lastgroup != "space":
            found.append(_token(match, problems))
        at = match.end()
    found.append(Token("<EOF>", "<EOF>", len(source)))
    return found


def _unrecognised(source: str, at: int) -> int:
    """A quote takes the rest of its line (or up to the escape that is none) along."""
    if source[at] not in "\"'":
        return at + 1
    end = at + 1
    while end < len(source) and source[end] not in "\n\r":
        if source[end] == "\\" and not _ESCAPE.match(source, end):
            return min(end + 2, len(source))
        end += 2 if source[end] == "\\" else 1
    return min(end, len(source))


def _visible(text: str) -> str:
    return text.replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")


def _token(match: "re.Match[str]", problems: list[syntax.Problem]) -> Token:
    text, at, group = match.group(), match.start(), match.lastgroup
    if group == "ident":
        if text in ("true", "false", "null"):
            return Token("literal", text, at, {"true": True, "false": False, "null": None}[text])
        return Token(text if text in KEYWORDS else "ident", text, at)
    if group == "op":
        return Token(text, text, at)
    if group in ("string", "bytes"):
        try:
            return Token("literal", text, at, _unquote(text) if group == "string" else _unquote_bytes(text[1:]))
        except ValueError:
            problems.append(syntax.Problem(at, "unable to unescape string"))
            return Token("literal", text, at, "")
    if group == "float":
        if math.isinf(float(text)):
            problems.append(syntax.Problem(at, "invalid double literal"))
        return Token("literal", text, at, float(text), True)
    unsigned = group == "uint"
    digits = text[:-1] if unsigned else text
    number = int(digits, 16) if digits[:2] == "0x" else standard.whole(digits)
    limit = _UINT_MAX if unsigned else _INT_MAX + 1
    if number > limit:
        problems.append(syntax.Problem(at, "invalid uint literal" if unsigned else "invalid int literal"))
        number = 0
    return Token("literal", text, at, values.Uint(number) if unsigned else number, not unsigned)


def _body(text: str) -> tuple[str, bool]:
    raw = text[0] in "rR"
    if raw:
        text = text[1:]
    width = 3 if text[:3] in ('"""', "'''") else 1
    return text[width:-width].replace("\r\n", "\n").replace("\r", "\n"), raw


def _unquote(text: str) -> str:
    body, raw = _body(text)
    return body if raw or "\\" not in body else _ESCAPE.sub(_char, body)


def _char(match: "re.Match[str]") -> str:
    simple, two, four, eight, octal = match.groups()
    if simple:
        return _SIMPLE.get(simple, simple)
    code = int(octal, 8) if octal else int(two or four or eight, 16)
    if 0xD800 <= code < 0xE000:
        raise ValueError("a surrogate is no character")
    return chr(code)


def _unquote_bytes(text: str) -> bytes:
    body, raw = _body(text)
    if raw or "\\" not in body:
        return body.encode()
    made, at = bytearray(), 0
    for match in _ESCAPE.finditer(body):
        made += body[at : match.start()].encode()
        _, two, _, _, octal = match.groups()
        # a byte's escape is the byte itself, not a code point in UTF-8
        made += bytes([int(two, 16) if two else int(octal, 8)]) if two or octal else _char(match).encode()
        at = match.end()
    return bytes(made + body[at:].encode())
