"""A JSON scanner in Python for the rare case: it names duplicate keys by path, and errors in Go's words.

It accepts what Go's ``encoding/json`` accepts, to the depth that our parsers can take.
"""

import json
import re

MAX_DEPTH = 256
"""Nesting of a body. Go bears 10,000, but everything that walks objects here is recursive; no API object comes near."""
MAX_REPORTED = 100
"""Upstream keeps this many strictness errors and drops the rest."""

_SPACE = re.compile(rb"[ \t\n\r]*")
_PLAIN = re.compile(rb'[^"\\\x00-\x1f]*')
_DIGITS = re.compile(rb"[0-9]*")
_LITERALS = {0x74: b"true", 0x66: b"false", 0x6E: b"null"}
_ESCAPES = b'"\\/bfnrt'
_HEX = b"0123456789abcdefABCDEF"


class SyntaxProblem(ValueError):
    """Not JSON; the text is what Go says."""


def scan(body: bytes) -> list[str]:
    """Paths of duplicate keys (``spec.containers[0].name``), in document order. Raises ``SyntaxProblem``."""
    scanner = _Scanner(body)
    scanner.value("", 0)
    scanner.space()
    if scanner.at < len(body):
        raise scanner.problem("after top-level value")
    return list(dict.fromkeys(scanner.duplicates))[:MAX_REPORTED]


class _Scanner:
    def __init__(self, body: bytes) -> None:
        self.body = body
        self.at = 0
        self.duplicates: list[str] = []

    def problem(self, where: str) -> SyntaxProblem:
        if self.at >= len(self.body):
            return SyntaxProblem("unexpected end of JSON input")
        return SyntaxProblem(f"invalid character {_quoted(self.body[self.at])} {where}")

    def space(self) -> None:
        self.at = _SPACE.match(self.body, self.at).end()  # type: ignore[union-attr]

    def peek(self) -> int:
        """The byte at hand, or -1 at the end."""
        return self.body[self.at] if self.at < len(self.body) else -1

    def value(self, path: str, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise SyntaxProblem("exceeded max depth")
        self.space()
        byte = self.peek()
        if byte == 0x7B:
            self.object(path, depth)
        elif byte == 0x5B:
            self.array(path, depth)
        elif byte == 0x22:
            self.string()
        elif byte in _LITERALS:
            self.literal(_LITERALS[byte])
        elif byte == 0x2D or 0x30 <= byte <= 0x39:
            self.number()
        else:
            raise self.problem("looking for beginning of value")

    def object(self, path: str, depth: int) -> None:
        self.at += 1
        seen: set[bytes] = set()
        self.space()
        if self.peek() == 0x7D:
            self.at += 1
            return
        while True:
            self.space()
            if self.peek() != 0x22:
                raise self.problem("looking for beginning of object key string")
            key = self.string()
            name = key.decode("utf-8", "replace")
            below = f"{path}.{name}" if path else name
            if key in seen:
                self.duplicates.append(below)
            seen.add(key)
            self.space()
            if self.peek() != 0x3A:
                raise self.problem("after object key")
            self.at += 1
            self.value(below, depth + 1)
            self.space()
            byte = self.peek()
            if byte not in (0x2C, 0x7D):
                raise self.problem("after object key:value pair")
            self.at += 1
            if byte == 0x7D:
                return

    def array(self, path: str, depth: int) -> None:
        self.at += 1
        self.space()
        if self.peek() == 0x5D:
            self.at += 1
            return
        index = 0
        while True:
            self.value(f"{path}[{index}]", depth + 1)
            index += 1
            self.space()
            byte = self.peek()
            if byte not in (0x2C, 0x5D):
                raise self.problem("after array element")
            self.at += 1
            if byte == 0x5D:
                return

    def string(self) -> bytes:
        """Reads a string and gives its value as UTF-8."""
        start = self.at + 1
        self.at = start
        escaped = False
        while True:
            self.at = _PLAIN.match(self.body, self.at).end()  # type: ignore[union-attr]
            byte = self.peek()
            if byte == 0x22:
                break
            if byte != 0x5C:
                raise self.problem("in string literal")
            escaped = True
            self.at += 1
            self.escape()
        raw = self.body[start : self.at]
        self.at += 1
        if not escaped:
            return raw
        text: str = json.loads('"' + raw.decode("utf-8", "replace") + '"')
        return text.encode("utf-8", "surrogatepass")

    def escape(self) -> None:
        byte = self.peek()
        if byte == 0x75:
            for _ in range(4):
                self.at += 1
                byte = self.peek()
                if byte == -1 or byte not in _HEX:
                    raise self.problem("in \\u hexadecimal character escape")
        elif byte == -1 or byte not in _ESCAPES:
            raise self.problem("in string escape code")
        self.at += 1

    def literal(self, word: bytes) -> None:
        for expected in word:
            if self.peek() != expected:
                raise self.problem(f"in literal {word.decode()} (expecting {_quoted(expected)})")
            self.at += 1

    def number(self) -> None:
        if self.peek() == 0x2D:
            self.at += 1
        if self.peek() == 0x30:
            self.at += 1
        else:
            self.digits("in numeric literal")
        if self.peek() == 0x2E:
            self.at += 1
            self.digits("after decimal point in numeric literal")
        if self.peek() in (0x65, 0x45):
            self.at += 1
            if self.peek() in (0x2B, 0x2D):
                self.at += 1
            self.digits("in exponent of numeric literal")

    def digits(self, where: str) -> None:
        end = _DIGITS.match(self.body, self.at).end()  # type: ignore[union-attr]
        if end == self.at:
            raise self.problem(where)
        self.at = end


def _quoted(byte: int) -> str:
    """Go's ``quoteChar``."""
    if byte == 0x27:
        return r"'\''"
    names = {0x0A: r"\n", 0x0D: r"\r", 0x09: r"\t", 0x08: r"\b", 0x0C: r"\f", 0x07: r"\a", 0x0B: r"\v", 0x5C: r"\\"}
    if byte in names:
        return f"'{names[byte]}'"
    if byte < 0x20 or byte == 0x7F:
        return f"'\\x{byte:02x}'"
    return f"'{chr(byte)}'"
