"""How a simulated pod's containers behave, by annotations of the pod. Pure.

simulation.kubeshim.example/start-after: 5s     so long until they run
simulation.kubeshim.example/exit-after: 10s     so long they run; never ending without it, 1s for pods of Jobs
simulation.kubeshim.example/exit-code: "1"      with which they exit then
simulation.kubeshim.example/stop-after: 3s      so long they take to stop, within the grace period
"""

import dataclasses
import re

from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object
from kubeshim.node.container_runtime import fake

PREFIX = "simulation.kubeshim.example/"
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_JOB_SECONDS = 1.0


@dataclasses.dataclass(frozen=True, slots=True)
class Play:
    """The rule for every container, and what concerns the pod as a whole."""

    rule: fake.Rule = dataclasses.field(default_factory=fake.Rule)
    start_after: float = 0.0
    stop_after: float = 0.0


def of(pod: Object) -> Play:
    """What cannot be read counts as not said."""
    said = objects.annotations(pod)
    owner = objects.controller_of(pod)
    default = _JOB_SECONDS if owner is not None and owner.get("kind") == "Job" else None
    code = said.get(PREFIX + "exit-code", "0")
    return Play(
        fake.Rule(
            exit_after=seconds(said.get(PREFIX + "exit-after", ""), default),
            exit_code=int(code) if code.isdecimal() and int(code) < 256 else 0,
        ),
        seconds(said.get(PREFIX + "start-after", ""), 0.0) or 0.0,
        seconds(said.get(PREFIX + "stop-after", ""), 0.0) or 0.0,
    )


def seconds(text: str, default: float | None) -> float | None:
    """Of a Go duration with one unit or several."""
    found = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text)
    if not found or "".join(number + unit for number, unit in found) != text:
        return default
    return sum(float(number) * _UNITS[unit] for number, unit in found)
