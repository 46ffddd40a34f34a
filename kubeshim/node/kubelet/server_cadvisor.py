"""``/metrics/cadvisor``: containers and pods under cAdvisor's names, as dashboards ask for them. Pure."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

from kubeshim import clock as clocks
from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object
from kubeshim.node.container_runtime import runtime
from kubeshim.node.kubelet import pod_spec, quality, server_machine
from kubeshim.wire import exposition

_CONTAINER = ("container", "id", "image", "name", "namespace", "pod")
_CPU = ("container", "cpu", *_CONTAINER[1:])
_DISK = ("container", "device", *_CONTAINER[1:])
_NETWORK = ("container", "id", "image", "interface", "name", "namespace", "pod")
_FAMILIES: dict[str, tuple[str, tuple[str, ...], str]] = {
    "cpu_usage_seconds_total": ("counter", _CPU, "Cumulative cpu time consumed in seconds."),
    "cpu_cfs_periods_total": ("counter", _CONTAINER, "Number of elapsed enforcement period intervals."),
    "cpu_cfs_throttled_periods_total": ("counter", _CONTAINER, "Number of throttled period intervals."),
    "cpu_cfs_throttled_seconds_total": (
        "counter", _CONTAINER, "Total time duration the container has been throttled in seconds.",
    ),
    "memory_cache": ("gauge", _CONTAINER, "Number of bytes of page cache memory."),
    "memory_rss": ("gauge", _CONTAINER, "Size of RSS in bytes."),
    "memory_swap": ("gauge", _CONTAINER, "Container swap usage in bytes."),
    "memory_usage_bytes": ("gauge", _CONTAINER, "Current memory usage in bytes, including all memory."),
    "memory_working_set_bytes": ("gauge", _CONTAINER, "Current working set in bytes."),
    "fs_reads_bytes_total": ("counter", _DISK, "Cumulative count of bytes read"),
    "fs_reads_total": ("counter", _DISK, "Cumulative count of reads completed"),
    "fs_writes_bytes_total": ("counter", _DISK, "Cumulative count of bytes written"),
    "fs_writes_total": ("counter", _DISK, "Cumulative count of writes completed"),
    "spec_cpu_period": ("gauge", _CONTAINER, "CPU period of the container."),
    "spec_cpu_quota": ("gauge", _CONTAINER, "CPU quota of the container."),
    "spec_cpu_shares": ("gauge", _CONTAINER, "CPU share of the container."),
    "spec_memory_limit_bytes": ("gauge", _CONTAINER, "Memory limit for the container."),
    "start_time_seconds": ("gauge", _CONTAINER, "Start time of the container since unix epoch in seconds."),
    "last_seen": ("gauge", _CONTAINER, "Last time a container was seen by the exporter"),
    "network_receive_bytes_total": ("counter", _NETWORK, "Cumulative count of bytes received"),
    "network_receive_errors_total": ("counter", _NETWORK, "Cumulative count of errors encountered while receiving"),
    "network_receive_packets_dropped_total": (
        "counter", _NETWORK, "Cumulative count of packets dropped while receiving",
    ),
    "network_receive_packets_total": ("counter", _NETWORK, "Cumulative count of packets received"),
    "network_transmit_bytes_total": ("counter", _NETWORK, "Cumulative count of bytes transmitted"),
    "network_transmit_errors_total": ("counter", _NETWORK, "Cumulative count of errors encountered while transmitting"),
    "network_transmit_packets_dropped_total": (
        "counter", _NETWORK, "Cumulative count of packets dropped while transmitting",
    ),
    "network_transmit_packets_total": ("counter", _NETWORK, "Cumulative count of packets transmitted"),
}  # fmt: skip

_Row = tuple[str, tuple[str, ...], float]
"""A family's name, the values of its labels, the figure."""


def text(
    containers: Iterable[tuple[Object, Object, runtime.Stats]],
    networks: Iterable[tuple[Object, Sequence[server_machine.Interface]]],
    cpus: int,
    memory: int,
    device: Callable[[str], str] = lambda numbers: numbers,
) -> str:
    """``containers`` are ``(pod, its status entry, figures)``; ``networks`` pods with their interfaces.

    ``device`` names a block device of these numbers.
    """
    found: dict[str, list[tuple[tuple[str, ...], float]]] = {name: [] for name in _FAMILIES}
    rows = [_container(pod, status, stats, memory, device) for pod, status, stats in containers]
    rows += [_interface(pod, each) for pod, interfaces in networks for each in interfaces]
    for name, values, figure in itertools.chain.from_iterable(rows):
        found[name].append((values, figure))
    return exposition.text(
        *(_family(name, series) for name, series in found.items()),
        exposition.gauge("machine_cpu_cores", "Number of logical CPU cores.", cpus),
        exposition.gauge("machine_memory_bytes", "Amount of memory installed on the machine.", memory),
    )


def _family(name: str, series: exposition.Series) -> Iterator[str]:
    kind, labels, about = _FAMILIES[name]
    return exposition.family(f"container_{name}", kind, about, labels, series)


def _container(
    pod: Object, status: Object, stats: runtime.Stats, capacity: int, device: Callable[[str], str]
) -> Iterator[_Row]:
    name = status["name"]
    identity = str(status.get("containerID") or "").rpartition("//")[2]
    path = f"/pod{objects.uid(pod)}/{identity}"
    names = (path, status.get("image") or "", identity, objects.namespace(pod), objects.name(pod))
    plain = (name, *names)
    yield "cpu_usage_seconds_total", (name, "total", *names), stats.cpu_nanoseconds / 1e9
    spec = pod_spec.find(pod, name) or {"name": name}
    limits = quality.container_resources(pod, spec, capacity)
    if limits.cpu_quota:
        yield "spec_cpu_quota", plain, limits.cpu_quota
        if stats.throttling is not None:
            yield "cpu_cfs_periods_total", plain, stats.throttling.periods
            yield "cpu_cfs_throttled_periods_total", plain, stats.throttling.throttled
            yield "cpu_cfs_throttled_seconds_total", plain, stats.throttling.nanoseconds / 1e9
    yield "spec_cpu_period", plain, limits.cpu_period
    yield "spec_cpu_shares", plain, limits.cpu_shares
    yield "spec_memory_limit_bytes", plain, limits.memory
    yield "memory_cache", plain, stats.memory_cache
    yield "memory_rss", plain, stats.memory_rss
    yield "memory_swap", plain, stats.memory_swap
    yield "memory_usage_bytes", plain, stats.memory_usage
    yield "memory_working_set_bytes", plain, stats.memory_working_set
    for disk in stats.disks:
        which = (name, device(disk.device), *names)
        yield "fs_reads_bytes_total", which, disk.read_bytes
        yield "fs_reads_total", which, disk.reads
        yield "fs_writes_bytes_total", which, disk.written_bytes
        yield "fs_writes_total", which, disk.writes
    yield "last_seen", plain, int(stats.time)
    started = objects.dig(status, "state", "running", "startedAt")
    if started:
        yield "start_time_seconds", plain, clocks.parse_rfc3339(started).timestamp()


def _interface(pod: Object, each: server_machine.Interface) -> Iterator[_Row]:
    names = ("", f"/pod{objects.uid(pod)}", "", each.name, "", objects.namespace(pod), objects.name(pod))
    yield "network_receive_bytes_total", names, each.received
    yield "network_receive_errors_total", names, each.receive_errors
    yield "network_receive_packets_dropped_total", names, each.receive_drops
    yield "network_receive_packets_total", names, each.received_packets
    yield "network_transmit_bytes_total", names, each.sent
    yield "network_transmit_errors_total", names, each.send_errors
    yield "network_transmit_packets_dropped_total", names, each.send_drops
    yield "network_transmit_packets_total", names, each.sent_packets
