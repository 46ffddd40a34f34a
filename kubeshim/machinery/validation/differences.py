"""Shows what changed between two values, for refusals that would otherwise leave one guessing.

As upstream does it: a unified difference, without the names of files, of the JSON of its Go structs, one blank of
indentation a level.
"""

import difflib
import json
from collections.abc import Mapping
from typing import Any

from kubeshim.machinery.validation import fields, go_values

_HEADER = 2


def text(message: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """The lines that differ, and three around them. ``message``: the name of the struct."""
    return "".join(list(difflib.unified_diff(_lines(message, old), _lines(message, new)))[_HEADER:])


def _lines(message: str, value: Mapping[str, Any]) -> list[str]:
    shown = json.dumps(go_values.internal(message, value), indent=1, ensure_ascii=False)
    return [line + "\n" for line in fields.go_escaped(shown).split("\n")]
