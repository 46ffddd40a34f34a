"""JSONPath as Kubernetes understands it: ``.spec.ports[0].port``, ``.status.conditions[?(@.type=="Ready")].status``.

Supported: child names (dots in a name escaped as ``\\.``, or ``['name']``), ``*``, indexes and slices with
negative numbers, unions (``[0,2]``, ``['a','b']``), filters comparing a path below ``@`` with a literal or asking
whether it exists, and recursive descent (``..name``). A path compiles once to a function from a value to the
list of what it finds; steps that find nothing end in an empty list.
"""

import functools
import operator
import re
from collections.abc import Callable, Iterable
from typing import Any

Step = Callable[[list[Any]], list[Any]]
Path = Callable[[Any], list[Any]]

_TOKEN = re.compile(
    r"""
    (?P<descend>\.\.)
  | \.?(?P<star>\*)
  | \.(?P<name>(?:\\.|[^.\[\]\\{}\s])+)
  | \[(?P<bracket>(?:[^\[\]'"]|'(?:\\.|[^'])*'|"(?:\\.|[^"])*"|\[[^\]]*\])*)\]
  | (?P<bare>(?:\\.|[^.\[\]\\{}\s@$])+)
    """,
    re.VERBOSE,
)
_FILTER = re.compile(r"^\?\(\s*@(?P<path>.*?)\s*(?:(?P<operator>==|!=|<=|>=|<|>)\s*(?P<literal>.+?)\s*)?\)$", re.DOTALL)
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


@functools.lru_cache(maxsize=1024)
def compile_path(text: str) -> Path:
    """Raises ``ValueError`` where the text is no path this understands."""
    body = text.strip()
    if body.startswith("{") and body.endswith("}"):
        body = body[1:-1].strip()
    steps = list(_steps(body.removeprefix("$")))

    def find(value: Any) -> list[Any]:
        found = [value]
        for step in steps:
            found = step(found)
            if not found:
                break
        return found

    return find


def _steps(body: str) -> Iterable[Step]:
    position = 0
    if body == ".":
        return
    while position < len(body):
        match = _TOKEN.match(body, position)
        if not match:
            raise ValueError(f"unexpected {body[position:]!r} in JSONPath {body!r}")
        position = match.end()
        if match["descend"]:
            yield _descend
            if body[position : position + 1] not in ("[", "*"):
                name = _TOKEN.match(body, position)
                if not name or not name["bare"]:
                    raise ValueError(f"a name must follow '..' in JSONPath {body!r}")
                position = name.end()
                yield _child(_unescape(name["bare"]))
        elif match["star"]:
            yield _every
        elif match["bracket"] is not None:
            yield _bracket(match["bracket"].strip())
        else:
            yield _child(_unescape(match["name"] or match["bare"]))


def _unescape(name: str) -> str:
    return re.sub(r"\\(.)", r"\1", name)


def _child(name: str) -> Step:
    def step(values: list[Any]) -> list[Any]:
        return [value[name] for value in values if isinstance(value, dict) and name in value]

    return step


def _every(values: list[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        if isinstance(value, dict):
            found += value.values()
        elif isinstance(value, list):
            found += value
    return found


def _descend(values: list[Any]) -> list[Any]:
    found: list[Any] = []
    for value in values:
        found.append(value)
        if isinstance(value, dict | list):
            found += _descend(_every([value]))
    return found


def _bracket(text: str) -> Step:
    if text == "*":
        return _every
    if text.startswith("?"):
        return _filter(text)
    parts = [part.strip() for part in re.findall(r"""'(?:\\.|[^'])*'|"(?:\\.|[^"])*"|[^,]+""", text)]
    steps = [_selector(part) for part in parts if part]
    if not steps:
        raise ValueError("an empty [] in a JSONPath")
    return steps[0] if len(steps) == 1 else lambda values: [found for step in steps for found in step(values)]


def _selector(part: str) -> Step:
    if part[0] in "'\"":
        return _child(_unescape(part[1:-1]))
    numbers = part.split(":")
    if len(numbers) > 3 or not all(re.fullmatch(r"-?[0-9]+|", number.strip()) for number in numbers):
        return _child(_unescape(part))
    bounds = [int(number) if number.strip() else None for number in numbers]
    if len(bounds) == 1:
        return _index(bounds[0] or 0)
    window = slice(*bounds)
    return lambda values: [entry for value in values if isinstance(value, list) for entry in value[window]]


def _index(number: int) -> Step:
    def step(values: list[Any]) -> list[Any]:
        return [v[number] for v in values if isinstance(v, list) and -len(v) <= number < len(v)]

    return step


def _filter(text: str) -> Step:
    match = _FILTER.match(text)
    if not match:
        raise ValueError(f'a filter in a JSONPath must look like ?(@.field=="value"), not {text!r}')
    left = compile_path(match["path"] or ".")
    if not match["operator"]:
        return lambda values: [entry for entry in _every(values) if left(entry)]
    compare, right = _OPERATORS[match["operator"]], _literal(match["literal"])

    def matches(entry: Any) -> bool:
        found = left(entry)
        # booleans compare with booleans only, though Python counts them as numbers
        if not found or isinstance(found[0], bool) != isinstance(right, bool):
            return False
        try:
            return compare(found[0], right)
        except TypeError:
            return False

    return lambda values: [entry for entry in _every(values) if matches(entry)]


def _literal(text: str) -> Any:
    if text[0] in "'\"" and text[-1] == text[0] and len(text) > 1:
        return _unescape(text[1:-1])
    if text in ("true", "false"):
        return text == "true"
    try:
        return int(text)
    except ValueError:
        return float(text)
