"""The 422 for a patch whose result does not fit its type or has fields that do not exist."""

import json

from kubeshim.machinery import errors, go_text


def unfit(shown: str, why: str) -> errors.Invalid:
    """`` "" is invalid: patch: Invalid value: "…": json: cannot unmarshal …``.

    ``shown`` is the patched document for JSON and merge patches, the patch itself for strategic ones.
    """
    problem = errors.FieldError("patch", "FieldValueInvalid", f"Invalid value: {_quoted(shown)}: {why}")
    return errors.invalid("", "", "", [problem])


def shown_map(patch: object) -> str:
    """A strategic patch as Go prints the map it decoded it into."""
    return go_text.value(patch)


def _quoted(text: str) -> str:
    """Go's ``%q``, for JSON and printed maps."""
    return json.dumps(text, ensure_ascii=False)
