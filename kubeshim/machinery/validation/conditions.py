"""``metav1.Condition`` lists, as the kinds of newer groups have them in their status."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from kubeshim.machinery.errors import FieldError
from kubeshim.machinery.validation import content, fields

MESSAGE = "k8s.io.apimachinery.pkg.apis.meta.v1.Condition"
_REASON = "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?"
_is_reason = re.compile(_REASON).fullmatch
_REASON_TEXT = content.regex_error(
    "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric "
    "characters or '_,:', and must end with an alphanumeric character or '_'",
    _REASON, "my_name", "MY_NAME", "MyName", "ReasonA,ReasonB", "ReasonA:ReasonB",
)  # fmt: skip
_REASON_LIMIT, _MESSAGE_LIMIT = 1024, 32 * 1024


def validate(found: Sequence[Mapping[str, Any]] | None, base: str) -> list[FieldError]:
    wrong: list[FieldError] = []
    seen: set[str] = set()
    for index, condition in enumerate(found or ()):
        kind, path = condition.get("type") or "", f"{base}[{index}]"
        if kind in seen:
            wrong.append(fields.duplicate(path + ".type", kind))
        seen.add(kind)
        wrong += _condition(condition, kind, path)
    return wrong


def _condition(condition: Mapping[str, Any], kind: str, path: str) -> list[FieldError]:
    wrong = fields.all_invalid(path + ".type", kind, content.qualified_name(kind))
    wrong += fields.one_of(path + ".status", condition.get("status") or "", ("False", "True", "Unknown"))
    if (condition.get("observedGeneration") or 0) < 0:
        text = "must be greater than or equal to zero"
        wrong.append(fields.invalid(path + ".observedGeneration", condition["observedGeneration"], text))
    if not condition.get("lastTransitionTime"):
        wrong.append(fields.required(path + ".lastTransitionTime", "must be set"))
    reason, message = condition.get("reason") or "", condition.get("message") or ""
    if len(reason) > _REASON_LIMIT:
        wrong.append(fields.too_long(path + ".reason", _REASON_LIMIT))
    if not reason:
        wrong.append(fields.required(path + ".reason", "must be set"))
    elif not _is_reason(reason):
        wrong.append(fields.invalid(path + ".reason", reason, _REASON_TEXT))
    if len(message.encode()) > _MESSAGE_LIMIT:
        wrong.append(fields.too_long(path + ".message", _MESSAGE_LIMIT))
    return wrong
