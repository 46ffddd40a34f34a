"""Shows what changed between two values, for refusals that would otherwise leave one guessing.

Upstream prints a diff of its Go structs here, whose form is not stable even between its own releases; this one is of
the JSON form: one line a changed place, ``-`` before and ``+`` after.
"""

from collections.abc import Iterator
from typing import Any

import orjson

_ABSENT = object()


def text(old: Any, new: Any) -> str:
    """One pair of lines for each place that differs."""
    lines = [f"  {path}:\n- \t{_shown(before)}\n+ \t{_shown(after)}" for path, before, after in _walk("", old, new)]
    return "\n".join(lines) + "\n" if lines else ""


def _shown(value: Any) -> str:
    return "<absent>" if value is _ABSENT else orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def _walk(path: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys((*old, *new)):
            yield from _walk(f"{path}.{key}" if path else key, old.get(key, _ABSENT), new.get(key, _ABSENT))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _walk(f"{path}[{index}]", before, after)
    else:
        yield path, old, new
