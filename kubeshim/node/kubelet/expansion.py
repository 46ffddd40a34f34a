"""``$(NAME)`` in environment values, commands and arguments. ``$$`` is a dollar; what is not known stays as written."""

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\$(?:\$|\(([^)]*)\))")


def expand(text: str, values: Mapping[str, str]) -> str:
    def replacement(match: re.Match[str]) -> str:
        name = match.group(1)
        if name is None:
            return "$"
        return values.get(name, match.group(0))

    return _REFERENCE.sub(replacement, text)


def missing(text: str, values: Mapping[str, str]) -> list[str]:
    """Names referred to that have no value."""
    return [name for name in _REFERENCE.findall(text) if name and name not in values]
