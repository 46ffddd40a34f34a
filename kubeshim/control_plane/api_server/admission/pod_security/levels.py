"""Which level a namespace enforces, audits and warns about, from its labels."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from kubeshim.machinery import errors
from kubeshim.machinery.validation import fields

PRIVILEGED, BASELINE, RESTRICTED = "privileged", "baseline", "restricted"
LEVELS = (PRIVILEGED, BASELINE, RESTRICTED)
"""From the laxest to the strictest."""
LATEST = 1 << 30
_PREFIX = "pod-security.kubernetes.io/"
_VERSION = re.compile(r"v1\.([0-9]|[1-9][0-9]*)").fullmatch


class LevelVersion(NamedTuple):
    """``minor`` is that of Kubernetes 1, or ``LATEST``."""

    level: str = PRIVILEGED
    minor: int = LATEST

    def __str__(self) -> str:
        return f"{self.level}:{'latest' if self.minor == LATEST else f'v1.{self.minor}'}"


class Policy(NamedTuple):
    enforce: LevelVersion = LevelVersion()
    audit: LevelVersion = LevelVersion()
    warn: LevelVersion = LevelVersion()


def is_labelled(labels: Mapping[str, str]) -> bool:
    return any(key.startswith(_PREFIX) for key in labels)


def policy(labels: Mapping[str, str]) -> tuple[Policy, list[errors.FieldError]]:
    """The policy, and what is wrong with the labels: what cannot be read counts as the strictest where it is enforced
    and as the laxest elsewhere."""
    problems: list[errors.FieldError] = []
    found = []
    for mode in Policy._fields:
        level, minor = PRIVILEGED, LATEST
        text = labels.get(_PREFIX + mode)
        if text is not None:
            level = text
            if text not in LEVELS:
                level = RESTRICTED if mode == "enforce" else PRIVILEGED
                problems.append(_problem(mode, text, f"must be one of {', '.join(LEVELS)}"))
        text = labels.get(f"{_PREFIX}{mode}-version")
        if text is not None and text != "latest":
            match = _VERSION(text)
            if match is None:
                problems.append(_problem(f"{mode}-version", text, 'must be "latest" or "v1.x"'))
            else:
                minor = int(match[1])
        found.append(LevelVersion(level, minor))
    return Policy(*found), problems


def _problem(label: str, value: str, detail: str) -> errors.FieldError:
    return fields.invalid(f"metadata.labels[{_PREFIX}{label}]", value, detail)
