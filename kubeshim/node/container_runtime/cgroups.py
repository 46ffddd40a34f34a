"""Where the kernel keeps a container's accounts, and reading them.

The caller names a cgroup parent by parts joined with ``/`` (``kubepods/burstable/pod1234``). The cgroupfs driver
takes them as directories, the systemd driver as nested slices. Reading files of 50 containers takes 3 ms; the
engine's own stats call waits a second for each container.
"""

import dataclasses
import errno
import os
from collections.abc import Sequence

from kubeshim.node.container_runtime import runtime

ROOT = "/sys/fs/cgroup"
_WAYS = ("Read", "Write")


def parent_for_engine(parent: str, driver: str) -> str:
    """``HostConfig.CgroupParent`` for a parent in our own notation."""
    if not parent:
        return ""
    parts = parent.strip("/").split("/")
    if driver == "systemd":
        return _slice_name(parts)
    return "/" + "/".join(parts)


def _slice_name(parts: Sequence[str]) -> str:
    return "-".join(part.replace("-", "_") for part in parts) + ".slice"


def directory(engine_parent: str, driver: str) -> str:
    """The path below a hierarchy's root for what ``parent_for_engine`` gave."""
    if driver != "systemd":
        return engine_parent.strip("/") or "docker"
    name = engine_parent.removesuffix(".slice") or "system"
    parts = name.split("-")
    return "/".join("-".join(parts[: n + 1]) + ".slice" for n in range(len(parts)))


def container_directory(engine_parent: str, driver: str, container_id: str) -> str:
    leaf = f"docker-{container_id}.scope" if driver == "systemd" else container_id
    return f"{directory(engine_parent, driver)}/{leaf}"


def settings(version: int, resources: runtime.Resources) -> list[tuple[str, str, str]]:
    """What limits a cgroup: ``(controller, file, value)``. Zeros lift a limit, but leave shares alone."""
    period = resources.cpu_period
    if version == 2:
        quota = f"{resources.cpu_quota} {period}" if resources.cpu_quota else f"max {period}"
        found = [
            ("cpu", "cpu.max", quota),
            ("memory", "memory.max", str(resources.memory or "max")),
            ("pids", "pids.max", str(resources.pids or "max")),
        ]
        return [("cpu", "cpu.weight", str(weight(resources.cpu_shares))), *found] if resources.cpu_shares else found
    found = [
        ("cpu", "cpu.cfs_period_us", str(period)),
        ("cpu", "cpu.cfs_quota_us", str(resources.cpu_quota or -1)),
        ("memory", "memory.limit_in_bytes", str(resources.memory or -1)),
        ("pids", "pids.max", str(resources.pids or "max")),
    ]
    return [("cpu", "cpu.shares", str(resources.cpu_shares)), *found] if resources.cpu_shares else found


def weight(shares: int) -> int:
    """``cpu.weight`` of version 2 for shares of version 1, as runc converts them."""
    return 1 + (max(shares, 2) - 2) * 9999 // 262142


def limit(engine_parent: str, driver: str, version: int, resources: runtime.Resources, root: str = ROOT) -> None:
    """Limits a parent, made where the driver leaves that to us. Raises ``OSError``.

    With the systemd driver only what exists can be limited; a controller the kernel lacks is passed over.
    """
    where = directory(engine_parent, driver)
    if version == 2 and driver != "systemd":
        _delegate(root, where)
    elif driver != "systemd" and resources.huge_pages is not None and os.path.isdir(f"{root}/hugetlb"):
        os.makedirs(f"{root}/hugetlb/{where}", exist_ok=True)
    for controller, name, value in [*settings(version, resources), *_huge_pages(version, resources, root, where)]:
        top = root if version == 2 else f"{root}/{controller}"
        if not os.path.isdir(top):
            continue
        if driver != "systemd":
            os.makedirs(f"{top}/{where}", exist_ok=True)
        path = f"{top}/{where}/{name}"
        if os.path.exists(path) and _text(path).strip() != value:
            with open(path, "w", encoding="ascii") as file:
                file.write(value)


def _huge_pages(version: int, resources: runtime.Resources, root: str, where: str) -> list[tuple[str, str, str]]:
    """Limits of every size of page that the kernel counts."""
    if resources.huge_pages is None:
        return []
    top = root if version == 2 else f"{root}/hugetlb"
    suffix = ".max" if version == 2 else ".limit_in_bytes"
    sizes = {page_name(size): limit for size, limit in resources.huge_pages.items()}
    counted = [
        name.removeprefix("hugetlb.").removesuffix(suffix)
        for name in _names(f"{top}/{where}")
        if name.startswith("hugetlb.") and name.endswith(suffix) and name.count(".") == 2
    ]
    return [("hugetlb", f"hugetlb.{name}{suffix}", str(sizes.get(name, 0))) for name in sorted(counted)]


def page_name(size: int) -> str:
    """``2MB``, as the kernel calls it."""
    for unit, name in ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB")):
        if size >= unit:
            return f"{size // unit}{name}"
    return str(size)


def _delegate(root: str, where: str) -> None:
    """Lets every level of ``where`` hand its controllers down."""
    path = root
    available = _text(f"{root}/cgroup.controllers").split() if os.path.exists(f"{root}/cgroup.controllers") else []
    for part in where.split("/"):
        with open(f"{path}/cgroup.subtree_control", "w", encoding="ascii") as file:
            file.write("+cpu +memory +pids" + (" +hugetlb" if "hugetlb" in available else ""))
        path = f"{path}/{part}"
        os.makedirs(path, exist_ok=True)


@dataclasses.dataclass(frozen=True, slots=True)
class Files:
    """The files that hold a container's accounts."""

    cpu: str
    memory: str
    memory_stat: str
    version: int
    throttling: str
    disks: tuple[str, ...]
    """Of version 1 bytes and numbers of operations apart."""
    swap: str = ""
    """Only where ``memory_stat`` does not tell."""


def files(engine_parent: str, driver: str, version: int, container_id: str, root: str = ROOT) -> Files:
    where = container_directory(engine_parent, driver, container_id)
    if version == 2:
        base = f"{root}/{where}"
        return Files(
            f"{base}/cpu.stat", f"{base}/memory.current", f"{base}/memory.stat", 2, f"{base}/cpu.stat",
            (f"{base}/io.stat",), f"{base}/memory.swap.current",
        )  # fmt: skip
    disks = f"{root}/blkio/{where}/blkio.throttle.io_serv"
    return Files(
        f"{root}/cpuacct/{where}/cpuacct.usage",
        f"{root}/memory/{where}/memory.usage_in_bytes",
        f"{root}/memory/{where}/memory.stat",
        1,
        f"{root}/cpu/{where}/cpu.stat",
        (f"{disks}ice_bytes", f"{disks}iced"),
    )


def read(paths: Files, now: float) -> runtime.Stats | None:
    """None where the container is not running any more."""
    try:
        cpu, usage, stat = (_text(path) for path in (paths.cpu, paths.memory, paths.memory_stat))
    except OSError:
        return None
    found = parse(paths.version, cpu, usage, stat, now)
    # A kernel without one of these controllers has no such file; the rest still counts.
    throttling, swap, *disks = (_text_if_any(path) for path in (paths.throttling, paths.swap, *paths.disks))
    return dataclasses.replace(
        found,
        memory_swap=int(swap) if swap else found.memory_swap,
        throttling=parse_throttling(throttling),
        disks=parse_disks(disks[0]) if paths.version == 2 else parse_old_disks(*disks),
    )


def parse(version: int, cpu: str, usage: str, stat: str, now: float) -> runtime.Stats:
    """The working set is usage without inactive file pages, as the kubelet counts it."""
    fields = _fields(stat)
    if version == 2:
        names, nanoseconds = ("inactive_file", "anon", "file", ""), _fields(cpu).get("usage_usec", 0) * 1000
    else:
        names, nanoseconds = ("total_inactive_file", "total_rss", "total_cache", "total_swap"), int(cpu)
    inactive, rss, cache, swap = (fields.get(name, 0) for name in names)
    used = int(usage)
    return runtime.Stats(nanoseconds, used, max(0, used - inactive), rss, now, memory_cache=cache, memory_swap=swap)


def parse_throttling(text: str) -> runtime.Throttling | None:
    """None where the kernel does not tell."""
    fields = _fields(text)
    if "nr_periods" not in fields:
        return None
    nanoseconds = fields.get("throttled_time", 0) + fields.get("throttled_usec", 0) * 1000
    return runtime.Throttling(fields["nr_periods"], fields.get("nr_throttled", 0), nanoseconds)


def parse_disks(text: str) -> tuple[runtime.Disk, ...]:
    """Of ``io.stat``: ``8:0 rbytes=4096 wbytes=0 rios=1 wios=0 …``."""
    found = []
    for line in text.splitlines():
        device, *pairs = line.split()
        told = {name: int(value) for name, _, value in (pair.partition("=") for pair in pairs) if value.isdigit()}
        if told:
            found.append(runtime.Disk(device, *(told.get(name, 0) for name in ("rbytes", "wbytes", "rios", "wios"))))
    return tuple(found)


def parse_old_disks(transferred: str, operations: str) -> tuple[runtime.Disk, ...]:
    """Of the two files of version 1: ``8:0 Read 4096``, a line for each kind of operation."""
    sizes, numbers = ({(line[0], line[1]): int(line[2]) for line in map(str.split, text.splitlines()) if len(line) == 3}
                      for text in (transferred, operations))  # fmt: skip
    devices = dict.fromkeys(device for device, _ in sizes)
    return tuple(
        runtime.Disk(device, *(figures.get((device, way), 0) for figures in (sizes, numbers) for way in _WAYS))
        for device in devices
    )


def remove(engine_parent: str, driver: str, version: int, root: str = ROOT, *, ancestors: bool = False) -> bool:
    """Takes an empty parent away from every hierarchy, and its empty ``ancestors``; the engine leaves them behind.

    Ancestors may only go while nothing is being started: the engine makes directories from the top. Says whether the
    parent is gone from all of them.
    """
    if driver == "systemd" or not engine_parent:
        return True  # systemd collects empty slices by itself
    gone = True
    parts = directory(engine_parent, driver).split("/")
    hierarchies = [root] if version == 2 else [f"{root}/{name}" for name in _names(root)]
    for hierarchy in hierarchies:
        for depth in range(len(parts), 0 if ancestors else len(parts) - 1, -1):
            try:
                os.rmdir("/".join([hierarchy, *parts[:depth]]))
            except FileNotFoundError:
                continue  # a level that another removal took away
            except OSError as error:
                gone = gone and (depth < len(parts) or error.errno not in (errno.EBUSY, errno.ENOTEMPTY))
                break  # somebody is still in it: the next removal comes by again
    return gone


def children(engine_parent: str, driver: str, version: int, root: str = ROOT) -> list[str]:
    """Names directly below a parent, in whatever hierarchy; none with systemd, which collects empty slices itself."""
    if driver == "systemd":
        return []
    where = directory(engine_parent, driver)
    hierarchies = [root] if version == 2 else [f"{root}/{name}" for name in _names(root)]
    found: set[str] = set()
    for hierarchy in hierarchies:
        parent = f"{hierarchy}/{where}"
        found.update(name for name in _names(parent) if os.path.isdir(f"{parent}/{name}"))
    return sorted(found)


def _names(root: str) -> list[str]:
    try:
        return os.listdir(root)
    except OSError:
        return []


def _fields(text: str) -> dict[str, int]:
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2}


def _text_if_any(path: str) -> str:
    try:
        return _text(path) if path else ""
    except OSError:
        return ""


def _text(path: str) -> str:
    with open(path, encoding="ascii") as file:
        return file.read()
