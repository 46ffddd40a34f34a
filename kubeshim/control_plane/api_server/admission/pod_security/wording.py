"""What the checks share: walking over containers and wording findings."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

Spec = dict[str, Any]
Metadata = dict[str, Any]


class Violation(NamedTuple):
    """``reason`` is said always, ``detail`` where one pod is judged."""

    reason: str
    detail: str


def containers(spec: Spec) -> Iterator[dict[str, Any]]:
    """All of them: initial, ordinary, ephemeral."""
    for field in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(field) or ()


def security(holder: dict[str, Any]) -> dict[str, Any]:
    """The securityContext of a container or of a pod's spec."""
    return holder.get("securityContext") or {}


def quoted(names: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def named(what: str, names: Sequence[str]) -> str:
    """``container "a"``, ``containers "a", "b"``."""
    return f"{what if len(names) == 1 else what + 's'} {quoted(names)}"


def setters(pod: bool, names: Sequence[str]) -> str:
    """Who set something: ``pod and container "a"``; empty if nobody did."""
    return " and ".join([*(["pod"] if pod else []), *([named("container", names)] if names else [])])


def in_user_namespace(spec: Spec) -> bool:
    return spec.get("hostUsers") is False


def is_windows(spec: Spec) -> bool:
    return (spec.get("os") or {}).get("name") == "windows"
