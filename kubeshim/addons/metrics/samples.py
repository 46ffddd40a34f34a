"""A kubelet's ``/metrics/resource``: counters and gauges of the node and of each container, at one moment."""

import dataclasses
import re
from collections.abc import Iterator, Mapping

_LINE = re.compile(r"^([a-z_]+)(?:\{(.*)\})? (\S+)(?: \d+)?$")
_LABEL = re.compile(r'([a-zA-Z_]+)="((?:[^"\\]|\\.)*)"')
_CPU, _MEMORY, _START = "cpu_usage_seconds_total", "memory_working_set_bytes", "start_time_seconds"

Container = tuple[str, str, str]
"""Namespace, pod, container."""


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """``cpu`` in seconds since the start, ``memory`` in bytes, ``started`` in seconds since the epoch (0: unknown)."""

    cpu: float
    memory: int
    started: float = 0.0


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """One kubelet's word. ``taken`` in seconds since the epoch."""

    taken: float
    node: Sample | None
    containers: Mapping[Container, Sample]


def read(text: str, taken: float) -> Reading:
    """What has no CPU or no memory is left out: half a figure helps nobody."""
    node: dict[str, float] = {}
    found: dict[Container, dict[str, float]] = {}
    for name, labels, value in _lines(text):
        family, _, figure = name.partition("_")
        if family == "node":
            node[figure] = value
        elif family == "container":
            key = labels.get("namespace", ""), labels.get("pod", ""), labels.get("container", "")
            found.setdefault(key, {})[figure] = value
    samples = {key: sample for key, figures in found.items() if (sample := _sample(figures)) is not None}
    return Reading(taken, _sample(node), samples)


def _sample(figures: Mapping[str, float]) -> Sample | None:
    if _CPU not in figures or _MEMORY not in figures:
        return None
    return Sample(figures[_CPU], int(figures[_MEMORY]), figures.get(_START, 0.0))


def _lines(text: str) -> Iterator[tuple[str, dict[str, str], float]]:
    for line in text.splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        try:
            value = float(match[3])
        except ValueError:
            continue
        yield match[1], dict(_LABEL.findall(match[2] or "")), value
