"""``find`` and ``findAll``: regular expressions, RE2's."""

from typing import Any

from kubeshim.machinery import regexes
from kubeshim.machinery.cel import functions, types, values
from kubeshim.machinery.cel.types import INT, STRING


def _compiled(pattern: str) -> Any:
    try:
        return regexes.compile_pattern(pattern)
    except regexes.Malformed as problem:
        raise values.EvaluationError(f"Illegal regex: {problem}") from None


def _find(text: str, pattern: str) -> str:
    match = _compiled(pattern).search(text)
    return match.group() if match else ""


def _find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    found: list[str] = []
    if limit == 0:
        return found
    for match in _compiled(pattern).finditer(text):
        found.append(match.group())
        if len(found) == limit:
            break
    return found


LIBRARY = (
    functions.member("find", "string_find_string", (STRING, STRING), STRING, _find),
    functions.member("findAll", "string_find_all_string", (STRING, STRING), types.list_of(STRING), _find_all),
    functions.member("findAll", "string_find_all_string_int", (STRING, STRING, INT), types.list_of(STRING), _find_all),
)
