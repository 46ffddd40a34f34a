"""One webhook of a configuration, ready to be asked."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kubeshim.control_plane.api_server import webhook_client
from kubeshim.control_plane.api_server.admission import rules
from kubeshim.machinery import objects

if TYPE_CHECKING:
    from kubeshim.machinery.cel import environment

_DEFAULT_SECONDS = 10


@dataclasses.dataclass(frozen=True, slots=True)
class Hook:
    name: str
    configuration: str
    rules: tuple[rules.Rule, ...]
    client: webhook_client.Client
    policy: str
    """``matchPolicy``."""
    namespaces: Mapping[str, Any] | None
    labels: Mapping[str, Any] | None
    conditions: "tuple[tuple[str, environment.Expression], ...]"
    broken: str
    """Why a match condition cannot be compiled; empty if all can."""
    fails_open: bool
    seconds: int
    harmless: bool
    """Has no side effects in a dry run."""
    review_versions: tuple[str, ...]
    again: bool
    """Is asked once more where later plugins change the object."""


def of(configuration: objects.Object) -> tuple[Hook, ...]:
    name = objects.name(configuration)
    return tuple(_hook(name, hook) for hook in configuration.get("webhooks") or ())


def _hook(configuration: str, found: Mapping[str, Any]) -> Hook:
    conditions, broken = _conditions(found.get("matchConditions") or ())
    return Hook(
        name=found.get("name") or "",
        configuration=configuration,
        rules=rules.rules(found.get("rules")),
        client=webhook_client.of(found.get("clientConfig") or {}),
        policy=found.get("matchPolicy") or "Equivalent",
        namespaces=found.get("namespaceSelector"),
        labels=found.get("objectSelector"),
        conditions=conditions,
        broken=broken,
        fails_open=found.get("failurePolicy") == "Ignore",
        seconds=found.get("timeoutSeconds") or _DEFAULT_SECONDS,
        harmless=found.get("sideEffects") in ("None", "NoneOnDryRun"),
        review_versions=tuple(found.get("admissionReviewVersions") or ()),
        again=found.get("reinvocationPolicy") == "IfNeeded",
    )


def _conditions(found: Any) -> "tuple[tuple[tuple[str, environment.Expression], ...], str]":
    if not found:
        return (), ""
    from kubeshim.machinery.cel import admission, environment  # the engine is loaded with the first expression

    compiled = []
    for condition in found:
        try:
            compiled.append((str(condition["name"]), admission.compile_condition(condition["expression"])))
        except environment.CompileError as problem:
            return (), str(problem)
    return tuple(compiled), ""
