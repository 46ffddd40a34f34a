"""What every component tells of itself: the figures of its process, and which build it is.

Several components may share a process (``agent``): each then tells the same figures, as one scraped alone would.
"""

import os
import pathlib
import resource
from collections.abc import Iterator, Mapping

from kubeshim.wire import exposition

_BUILD = ("buildDate", "compiler", "gitCommit", "gitTreeState", "gitVersion", "goVersion", "major", "minor", "platform")


def lines() -> Iterator[str]:
    """The calling process, under the names of Prometheus' client libraries."""
    fields = _figures()
    used = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    pages = os.sysconf("SC_PAGE_SIZE")
    yield from exposition.family(
        "process_cpu_seconds_total", "counter", "Total user and system CPU time spent in seconds.", (), [((), used)]
    )
    for name, about, figure in (
        ("max_fds", "Maximum number of open file descriptors.", resource.getrlimit(resource.RLIMIT_NOFILE)[0]),
        ("open_fds", "Number of open file descriptors.", len(os.listdir("/proc/self/fd"))),
        ("resident_memory_bytes", "Resident memory size in bytes.", int(fields[21]) * pages),
        ("start_time_seconds", "Start time of the process since unix epoch in seconds.", round(started(), 2)),
        ("virtual_memory_bytes", "Virtual memory size in bytes.", int(fields[20])),
    ):
        yield from exposition.gauge(f"process_{name}", about, figure)


def started() -> float:
    """When the calling process began, in seconds since 1970."""
    return _booted() + int(_figures()[19]) / os.sysconf("SC_CLK_TCK")


def build(version: Mapping[str, str]) -> Iterator[str]:
    """``version`` is what ``/version`` answers."""
    known = {_snake(name): version.get(name, "") for name in _BUILD}
    return exposition.gauge(
        "kubernetes_build_info", "A constant 1, labelled with the version and how it was built.", 1, known
    )


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def _figures() -> list[str]:
    return pathlib.Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()


def _booted() -> float:
    for line in pathlib.Path("/proc/stat").read_text(encoding="ascii").splitlines():
        if line.startswith("btime "):
            return float(line.split()[1])
    raise RuntimeError("/proc/stat has no boot time")
