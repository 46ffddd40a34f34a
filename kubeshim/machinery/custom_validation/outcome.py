"""What a schema has to say of a value: the complaints of kube-openapi's validator, then worded as field errors.

``matches`` counts what fitted: of several alternatives none of which fits, the one that fits most is shown.
"""

import dataclasses
from typing import Any

import orjson

from kubeshim.machinery import errors
from kubeshim.machinery.validation import fields


@dataclasses.dataclass(frozen=True, slots=True)
class Complaint:
    """``path`` is ``spec.ports[0]``, below the value that was given; ``detail`` stands behind the value."""

    path: str
    kind: str
    """``required``, ``enum``, ``too long``, ``too many``, ``type``, ``invalid`` or ``composite``."""
    value: Any
    detail: str
    limit: int = 0
    choices: tuple[Any, ...] = ()


@dataclasses.dataclass(slots=True)
class Outcome:
    complaints: list[Complaint] = dataclasses.field(default_factory=list)
    matches: int = 0

    @property
    def valid(self) -> bool:
        return not self.complaints

    def add(self, complaint: Complaint) -> None:
        """The same text is said once."""
        if not any(
            (known.path, known.kind, known.detail) == (complaint.path, complaint.kind, complaint.detail)
            for known in self.complaints
        ):
            self.complaints.append(complaint)

    def merge(self, other: "Outcome") -> None:
        self.matches += other.matches
        for complaint in other.complaints:
            self.add(complaint)


def worded(complaint: Complaint, prefix: str = "") -> errors.FieldError:
    """The field error; ``prefix`` is where the whole value stands, if it is part of something."""
    place = "" if complaint.kind == "composite" else complaint.path.removeprefix(".")
    path = f"{prefix}.{place}" if prefix and place else prefix or place or "<nil>"
    value = complaint.value
    match complaint.kind:
        case "required":
            return fields.required(path)
        case "enum":
            return fields.not_supported(path, value, [_choice(choice) for choice in complaint.choices])
        case "too long":
            return fields.too_long(path, complaint.limit)
        case "too many":
            return fields.too_many(path, value, complaint.limit)
        case "type":
            return fields.type_invalid(path, "" if value is None else value, complaint.detail)
        case "composite":
            return fields.invalid(path, "", complaint.detail)
    return fields.invalid(path, "" if value is None else value, complaint.detail)


def _choice(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
