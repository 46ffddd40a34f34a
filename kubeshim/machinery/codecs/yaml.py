"""YAML bodies, read as ``sigs.k8s.io/yaml`` reads them: YAML 1.1 turned into JSON's values.

libyaml (through PyYAML) parses into nodes; the scalars' types are decided here, since go-yaml's rules are not
PyYAML's: ``0o17`` and ``017`` are octal, ``1_000`` is a number, ``12:30`` and timestamps are strings, ``yes``
is true. Keys become strings and are sorted, as on the way through JSON. Aliases may not multiply a document beyond
go-yaml's ratio.
"""

import base64
import re
from typing import Any

import yaml

from kubeshim.machinery.codecs import json, json_scanner

_ALIAS_LOW, _ALIAS_HIGH = 400_000, 4_000_000

_TRUE = frozenset(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"))
_FALSE = frozenset(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"))
_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_NOT_JSON = frozenset(
    sign + word for sign in ("", "+", "-") for word in (".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF")
)
_INTEGER = re.compile(r"[-+]?(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_TAG = "tag:yaml.org,2002:"
_PLAIN = "plain"
_TOO_DEEP = "yaml: exceeded max depth of 10000"


class _Composer(yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader):  # type: ignore[misc]
    """Only composes nodes; a plain scalar without a tag is marked, and read by ``plain`` later.

    Depth is bounded while composing: libyaml's own work grows with the square of it.
    """

    depth = 0

    def descend_resolver(self, parent: yaml.Node | None, index: Any) -> None:
        self.depth += 1
        if self.depth > json_scanner.MAX_DEPTH:
            raise json.Malformed(_TOO_DEEP)

    def ascend_resolver(self) -> None:
        self.depth -= 1

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        if kind is yaml.ScalarNode:
            return _PLAIN if implicit[0] else _TAG + "str"
        return _TAG + ("seq" if kind is yaml.SequenceNode else "map")


def decode(body: bytes, *, strict: bool) -> tuple[Any, list[str]]:
    """What the first document says; with ``strict`` also one text that lists all duplicate keys, as go-yaml words it.

    Raises ``json.Malformed``.
    """
    composer = _Composer(body)
    try:
        node = composer.get_node() if composer.check_node() else None
    except yaml.YAMLError as problem:
        raise json.Malformed(_worded(problem)) from None
    except RecursionError:
        raise json.Malformed(_TOO_DEEP) from None
    finally:
        composer.dispose()
    reader = _Reader()
    value = reader.value(node, 0) if node is not None else None
    if strict and reader.duplicates:
        lines = "".join(f"\n  {text}" for text in reader.duplicates)
        return value, [f"yaml: unmarshal errors:{lines}"]
    return value, []


def _worded(problem: yaml.YAMLError) -> str:
    """libyaml's complaint in go-yaml's frame."""
    mark = getattr(problem, "problem_mark", None) or getattr(problem, "context_mark", None)
    text = (
        getattr(problem, "problem", None) or getattr(problem, "reason", None) or "unknown problem parsing YAML content"
    )
    line = mark.line if mark is not None else 0
    if line and isinstance(problem, yaml.scanner.ScannerError):
        line += 1
    return f"yaml: line {line}: {text}" if line else f"yaml: {text}"


class _Reader:
    """Turns nodes into values, counting how much of the work is due to aliases."""

    def __init__(self) -> None:
        self.duplicates: list[str] = []
        self._seen: set[int] = set()
        self._open: set[int] = set()
        self._inside_alias = 0
        self._decoded = 0
        self._aliased = 0

    def value(self, node: yaml.Node, depth: int) -> Any:
        self._count()
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node)
        identity = id(node)
        if identity in self._open:
            raise json.Malformed(f"yaml: anchor '{_anchor(node)}' value contains itself")
        if depth > json_scanner.MAX_DEPTH:
            raise json.Malformed(_TOO_DEEP)
        again = identity in self._seen
        self._seen.add(identity)
        self._open.add(identity)
        self._inside_alias += again
        if isinstance(node, yaml.SequenceNode):
            result: Any = [self.value(item, depth + 1) for item in node.value]
        else:
            result = self._mapping(node, depth, report=not again)
        self._inside_alias -= again
        self._open.discard(identity)
        return result

    def _count(self) -> None:
        self._decoded += 1
        if self._inside_alias:
            self._aliased += 1
        if self._aliased > 100 and self._decoded > 1000 and self._aliased / self._decoded > _allowed(self._decoded):
            raise json.Malformed("yaml: document contains excessive aliasing")

    def _mapping(self, node: yaml.Node, depth: int, *, report: bool) -> dict[str, Any]:
        result: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if _is_merge(key_node):
                self._merge(merged, value_node, depth)
                continue
            key = self._key(key_node)
            if key in result and report:
                self.duplicates.append(f"line {key_node.start_mark.line + 1}: key {_quoted(key)} already set in map")
            result[key] = self.value(value_node, depth + 1)
        found = {**merged, **result} if merged else result
        return {key: found[key] for key in sorted(found)}

    def _merge(self, into: dict[str, Any], node: yaml.Node, depth: int) -> None:
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for source in reversed(sources):
            if not isinstance(source, yaml.MappingNode):
                raise json.Malformed("yaml: map merge requires map or sequence of maps as the value")
            into.update(self.value(source, depth + 1))

    def _key(self, node: yaml.Node) -> str:
        self._count()
        if not isinstance(node, yaml.ScalarNode):
            raise json.Malformed("yaml: invalid map key: only scalars can be keys")
        key = _scalar(node)
        if isinstance(key, str):
            return key
        if key is None:
            return "null"
        if isinstance(key, bool):
            return "true" if key else "false"
        return str(key)


def _allowed(decoded: int) -> float:
    """go-yaml's bound: small documents may be nearly all aliases, big ones a tenth."""
    if decoded <= _ALIAS_LOW:
        return 0.99
    if decoded >= _ALIAS_HIGH:
        return 0.10
    return 0.99 - 0.89 * (decoded - _ALIAS_LOW) / (_ALIAS_HIGH - _ALIAS_LOW)


def _anchor(node: yaml.Node) -> str:
    return str(getattr(node, "anchor", "") or "")


def _is_merge(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.value == "<<" and node.tag in (_PLAIN, _TAG + "merge")


def _scalar(node: yaml.ScalarNode) -> Any:
    text: str = node.value
    if node.tag == _PLAIN:
        return plain(text)
    tag = node.tag.removeprefix(_TAG)
    if tag == "binary":
        try:
            return base64.b64decode(text).decode("utf-8", "replace")
        except ValueError:
            raise json.Malformed("yaml: !!binary value contains invalid base64 data") from None
    return plain(text) if tag in ("int", "float", "bool", "null") else text


def plain(text: str) -> Any:
    """The value of an unquoted scalar."""
    if text in _NULL:
        return None
    first = text[0]
    if first in "yYnNtTfFoO":
        if text in _TRUE:
            return True
        if text in _FALSE:
            return False
        return text
    if first not in "0123456789+-.":
        return text
    if text in _NOT_JSON:
        raise json.Malformed(f"json: unsupported value: {text.replace('.', '').capitalize()}")
    compact = text.replace("_", "")
    if _INTEGER.match(compact):
        number = _integer(compact)
        return text if isinstance(number, str) else number
    if _FLOAT.match(compact):
        number = float(compact)
        if abs(number) == float("inf"):
            return text
        return int(number) if number.is_integer() and abs(number) < 1e21 else number
    return text


_LONGEST = 310
"""Digits, beyond which a number is infinite as a float."""


def _integer(text: str) -> int | float | str:
    """What 64 bits do not hold is a float in decimal notation, and no number in any other."""
    sign = -1 if text[0] == "-" else 1
    digits = text.lstrip("+-").lower()
    if len(digits) > _LONGEST:
        return text
    base = {"0x": 16, "0b": 2, "0o": 8}.get(digits[:2], 0)
    is_octal = not base and len(digits) > 1 and digits[0] == "0"
    number = sign * (int(digits, base) if base else int(digits, 8 if is_octal else 10))
    if -(1 << 63) <= number < 1 << 64:
        return number
    return text if base else float(text)


def _quoted(key: str) -> str:
    return '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'


def encode(value: Any) -> bytes:
    """Block style with sorted keys, as ``sigs.k8s.io/yaml`` marshals."""
    text = yaml.dump(
        value, Dumper=_Dumper, default_flow_style=False, sort_keys=True, allow_unicode=True, width=1_000_000
    )
    return text.encode() if isinstance(text, str) else bytes(text)


class _Dumper(yaml.CSafeDumper if hasattr(yaml, "CSafeDumper") else yaml.SafeDumper):  # type: ignore[misc]
    """Quotes what go-yaml would read as something else than a string; writes shared parts twice, not as aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    if "\n" in text:
        return dumper.represent_scalar(_TAG + "str", text, style="|")
    try:
        ambiguous = plain(text) != text or not isinstance(plain(text), str)
    except json.Malformed:
        ambiguous = True
    return dumper.represent_scalar(_TAG + "str", text, style='"' if ambiguous else None)


_Dumper.add_representer(str, _represent_text)
