"""``/metrics/cadvisor``: containers and pods under cAdvisor's names, as dashboards ask for them. Pure."""

from collections.abc import Iterable, Mapping, Sequence

from kubeshim import clock as clocks
from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object
from kubeshim.node.container_runtime import runtime
from kubeshim.node.kubelet import server_machine

Sample = tuple[str, float]
"""Labels in braces' text, and the value."""

_FAMILIES: dict[str, tuple[str, str]] = {
    "container_cpu_usage_seconds_total": ("counter", "Cumulative cpu time consumed in seconds."),
    "container_memory_usage_bytes": ("gauge", "Current memory usage in bytes, including all memory."),
    "container_memory_working_set_bytes": ("gauge", "Current working set in bytes."),
    "container_memory_rss": ("gauge", "Size of RSS in bytes."),
    "container_start_time_seconds": ("gauge", "Start time of the container since unix epoch in seconds."),
    "container_last_seen": ("gauge", "Last time a container was seen by the exporter"),
    "container_network_receive_bytes_total": ("counter", "Cumulative count of bytes received"),
    "container_network_receive_errors_total": ("counter", "Cumulative count of errors encountered while receiving"),
    "container_network_transmit_bytes_total": ("counter", "Cumulative count of bytes transmitted"),
    "container_network_transmit_errors_total": ("counter", "Cumulative count of errors encountered while transmitting"),
    "machine_cpu_cores": ("gauge", "Number of logical CPU cores."),
    "machine_memory_bytes": ("gauge", "Amount of memory installed on the machine."),
}


def text(
    containers: Iterable[tuple[Object, Object, runtime.Stats]],
    networks: Iterable[tuple[Object, Sequence[server_machine.Interface]]],
    cpus: int,
    memory: int,
) -> str:
    """``containers`` are ``(pod, its status entry, figures)``; ``networks`` pods with their interfaces."""
    found: dict[str, list[Sample]] = {name: [] for name in _FAMILIES}
    found["machine_cpu_cores"].append(("", cpus))
    found["machine_memory_bytes"].append(("", memory))
    for pod, status, stats in containers:
        _container(found, pod, status, stats)
    for pod, interfaces in networks:
        for each in interfaces:
            names = _labels(container="", id=f"/pod{objects.uid(pod)}", image="", interface=each.name, name="", pod=pod)
            found["container_network_receive_bytes_total"].append((names, each.received))
            found["container_network_receive_errors_total"].append((names, each.receive_errors))
            found["container_network_transmit_bytes_total"].append((names, each.sent))
            found["container_network_transmit_errors_total"].append((names, each.send_errors))
    return "".join(_family(name, samples) for name, samples in found.items() if samples)


def _container(found: dict[str, list[Sample]], pod: Object, status: Object, stats: runtime.Stats) -> None:
    identity = str(status.get("containerID") or "").rpartition("//")[2]
    known = {
        "container": status["name"],
        "id": f"/pod{objects.uid(pod)}/{identity}",
        "image": status.get("image") or "",
        "name": identity,
    }
    names = _labels(**known, pod=pod)
    cpu = _labels(**{**known, "cpu": "total"}, pod=pod)
    found["container_cpu_usage_seconds_total"].append((cpu, stats.cpu_nanoseconds / 1e9))
    found["container_memory_usage_bytes"].append((names, stats.memory_usage))
    found["container_memory_working_set_bytes"].append((names, stats.memory_working_set))
    found["container_memory_rss"].append((names, stats.memory_rss))
    found["container_last_seen"].append((names, int(stats.time)))
    started = objects.dig(status, "state", "running", "startedAt")
    if started:
        found["container_start_time_seconds"].append((names, clocks.parse_rfc3339(started).timestamp()))


def _labels(*, pod: Object, **names: str) -> str:
    every: Mapping[str, str] = {**names, "namespace": objects.namespace(pod), "pod": objects.name(pod)}
    return ",".join(f'{name}="{every[name]}"' for name in sorted(every))


def _family(name: str, samples: Sequence[Sample]) -> str:
    kind, words = _FAMILIES[name]
    lines = [f"# HELP {name} {words}", f"# TYPE {name} {kind}"]
    lines += [f"{name}{{{labels}}} {value}" if labels else f"{name} {value}" for labels, value in samples]
    return "\n".join(lines) + "\n"
