"""Regular expressions as Go has them: RE2's syntax, and time linear in the text whatever the pattern.

Schemas come from users, so Python's own ``re`` will not do: other syntax, and patterns that take for ever.
The one door to ``google-re2``.
"""

import functools
from typing import Any

import re2  # type: ignore[import-untyped]

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False

_GO_WORDS = {
    "missing ]": "missing closing ]",
    "missing )": "missing closing )",
    "unexpected )": "unexpected )",
    "no argument for repetition operator": "missing argument to repetition operator",
    "invalid repetition size": "invalid repeat count",
    "bad repetition operator": "invalid nested repetition operator",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "invalid named capture group": "invalid named capture",
    "trailing \\": "trailing backslash at end of expression",
}
"""What C++ says, and what Go says to the same."""


class Malformed(ValueError):
    """The message is Go's: ``error parsing regexp: missing closing ]: `[a```."""


@functools.lru_cache(maxsize=4096)
def compile_pattern(pattern: str) -> Any:
    """An object whose ``search(text)`` finds the pattern anywhere. Raises ``Malformed``."""
    try:
        return re2.compile(pattern, _OPTIONS)
    except re2.error as problem:
        raise Malformed(_go_message(problem, pattern)) from None


def _go_message(problem: Exception, pattern: str) -> str:
    told = problem.args[0] if problem.args else ""
    text = told.decode("utf-8", "replace") if isinstance(told, bytes) else str(told)
    why, _, where = text.partition(": ")
    word = _GO_WORDS.get(why, why)
    if word == "trailing backslash at end of expression":
        return f"error parsing regexp: {word}: ``"
    return f"error parsing regexp: {word}: `{where or pattern}`"
