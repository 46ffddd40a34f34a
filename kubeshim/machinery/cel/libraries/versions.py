"""``semver``: semantic versions 2.0, strictly, or normalised first (``v1.0`` → ``1.0.0``)."""

import dataclasses
import re

from kubeshim.machinery.cel import functions, types, values
from kubeshim.machinery.cel.types import BOOL, INT, STRING

TYPE = types.opaque("kubernetes.Semver")
_DIGITS = 19
_NUMBER = r"0|[1-9][0-9]*"
_VERSION = re.compile(
    rf"({_NUMBER})\.({_NUMBER})\.({_NUMBER})"
    r"(?:-((?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9][0-9]*|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*))*))?"
    r"(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?"
).fullmatch
_Key = tuple[tuple[int, int, int], int, tuple[tuple[int, int, str], ...]]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Version:
    numbers: tuple[int, int, int]
    pre: tuple[str, ...]
    build: str
    cel_type = TYPE

    def key(self) -> _Key:
        """Sorts as versions precede; builds do not count."""
        parts = tuple((0, _order(part), "") if part.isdigit() else (1, 0, part) for part in self.pre)
        return self.numbers, 0 if parts else 1, parts

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self.key() == other.key()

    def __hash__(self) -> int:
        return hash(self.key())

    def cel_json(self) -> str:
        text = ".".join(map(str, self.numbers))
        return text + ("-" + ".".join(self.pre) if self.pre else "") + ("+" + self.build if self.build else "")


def _order(digits: str) -> int:
    return int(digits) if len(digits) < 4000 else 10**4000


def _normalised(text: str) -> str:
    text = text.removeprefix("v")
    cut = next((index for index, char in enumerate(text) if char in "-+"), len(text))
    parts = text[:cut].split(".")
    if len(parts) > 3:
        return text
    parts = [part.lstrip("0") or "0" if part.isdigit() else part for part in parts]
    if len(parts) < 3 and cut < len(text):
        return text
    return ".".join(parts + ["0"] * (3 - len(parts))) + text[cut:]


def _parse(text: str, normalise: bool) -> Version | str:
    """The version, or what is wrong."""
    match = _VERSION(_normalised(text) if normalise else text)
    if match is None:
        return _reason(_normalised(text) if normalise else text)
    if max(len(match[1]), len(match[2]), len(match[3])) > _DIGITS:
        return "Version number out of range"
    numbers = (int(match[1]), int(match[2]), int(match[3]))
    return Version(numbers, tuple(match[4].split(".")) if match[4] else (), match[5] or "")


def _reason(text: str) -> str:
    if not text:
        return "Version string empty"
    parts = text.split(".", 2)
    if len(parts) != 3:
        return "No Major.Minor.Patch elements found"
    for part in parts[:2]:
        if not part.isdigit():
            return f'Invalid character(s) found in {"major" if part is parts[0] else "minor"} number "{part}"'
        if len(part) > 1 and part[0] == "0":
            return f'{"Major" if part is parts[0] else "Minor"} number must not contain leading zeroes "{part}"'
    patch = re.split(r"[-+]", parts[2], maxsplit=1)[0]
    if len(patch) > 1 and patch[0] == "0" and patch.isdigit():
        return f'Patch number must not contain leading zeroes "{patch}"'
    return f'Invalid character(s) found in patch number "{patch}"'


def _semver(text: str, normalise: bool = False) -> Version:
    found = _parse(text, normalise)
    if isinstance(found, str):
        raise values.EvaluationError(found)
    return found


def _is_semver(text: str, normalise: bool = False) -> bool:
    return isinstance(_parse(text, normalise), Version)


LIBRARY = (
    functions.plain("semver", "string_to_semver", (STRING,), TYPE, _semver),
    functions.plain("semver", "string_bool_to_semver", (STRING, BOOL), TYPE, _semver),
    functions.plain("isSemver", "is_semver_string", (STRING,), BOOL, _is_semver),
    functions.plain("isSemver", "is_semver_string_bool", (STRING, BOOL), BOOL, _is_semver),
    functions.member("major", "semver_major", (TYPE,), INT, lambda a: a.numbers[0]),
    functions.member("minor", "semver_minor", (TYPE,), INT, lambda a: a.numbers[1]),
    functions.member("patch", "semver_patch", (TYPE,), INT, lambda a: a.numbers[2]),
    functions.member("isLessThan", "semver_less_than", (TYPE, TYPE), BOOL, lambda a, b: a.key() < b.key()),
    functions.member("isGreaterThan", "semver_greater_than", (TYPE, TYPE), BOOL, lambda a, b: a.key() > b.key()),
    functions.member("compareTo", "semver_compare_to", (TYPE, TYPE), INT,
                     lambda a, b: (a.key() > b.key()) - (a.key() < b.key())),
)  # fmt: skip
