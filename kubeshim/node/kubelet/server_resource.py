"""``/metrics/resource``: what containers, pods and the node use, as metrics-server reads it. Pure."""

import dataclasses
from collections.abc import Iterator, Sequence

from kubeshim import clock as clocks
from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object
from kubeshim.node.container_runtime import runtime
from kubeshim.wire import exposition

_POD = ("namespace", "pod")
_CONTAINER = ("container", *_POD)
_CPU = "Cumulative cpu time consumed by the {} in core-seconds"
_MEMORY = "Current working set of the {} in bytes"


@dataclasses.dataclass(frozen=True, slots=True)
class Usage:
    """One container of one pod, running now."""

    pod: Object
    container: str
    started_at: str
    stats: runtime.Stats
    status: Object
    """The container's entry in the pod's status."""


def text(usages: Sequence[Usage], node: runtime.Stats) -> str:
    return exposition.text(_lines(usages, node))


def _lines(usages: Sequence[Usage], node: runtime.Stats) -> Iterator[str]:
    named = [((usage.container, *_pod(usage)), usage) for usage in usages]
    started = [
        (names, clocks.parse_rfc3339(usage.started_at).timestamp()) for names, usage in named if usage.started_at
    ]
    container_cpu = [(names, usage.stats.cpu_nanoseconds / 1e9) for names, usage in named]
    container_memory = [(names, usage.stats.memory_working_set) for names, usage in named]
    container_swap = [(names, usage.stats.memory_swap) for names, usage in named]
    pod_cpu: dict[tuple[str, str], float] = {}
    pod_memory: dict[tuple[str, str], float] = {}
    pod_swap: dict[tuple[str, str], float] = {}
    for usage in usages:
        pod, stats = _pod(usage), usage.stats
        pod_cpu[pod] = pod_cpu.get(pod, 0.0) + stats.cpu_nanoseconds / 1e9
        pod_memory[pod] = pod_memory.get(pod, 0) + stats.memory_working_set
        pod_swap[pod] = pod_swap.get(pod, 0) + stats.memory_swap
    family = exposition.family
    yield from family(
        "container_cpu_usage_seconds_total", "counter", _CPU.format("container"), _CONTAINER, container_cpu
    )
    yield from family(
        "container_memory_working_set_bytes", "gauge", _MEMORY.format("container"), _CONTAINER, container_memory
    )
    yield from family(
        "container_start_time_seconds",
        "gauge",
        "Start time of the container since unix epoch in seconds",
        _CONTAINER,
        started,
    )
    yield from family(
        "container_swap_usage_bytes",
        "gauge",
        "Current amount of the container swap usage in bytes.",
        _CONTAINER,
        container_swap,
    )
    yield from family(
        "node_cpu_usage_seconds_total", "counter", _CPU.format("node"), (), [((), node.cpu_nanoseconds / 1e9)]
    )
    yield from exposition.gauge("node_memory_working_set_bytes", _MEMORY.format("node"), node.memory_working_set)
    yield from family("pod_cpu_usage_seconds_total", "counter", _CPU.format("pod"), _POD, pod_cpu.items())
    yield from family("pod_memory_working_set_bytes", "gauge", _MEMORY.format("pod"), _POD, pod_memory.items())
    yield from family(
        "pod_swap_usage_bytes", "gauge", "Current amount of the pod swap usage in bytes.", _POD, pod_swap.items()
    )
    yield from exposition.gauge(
        "resource_scrape_error", "1 if there was an error while getting container metrics, 0 otherwise", 0
    )


def _pod(usage: Usage) -> tuple[str, str]:
    return objects.namespace(usage.pod), objects.name(usage.pod)
