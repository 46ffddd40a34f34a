"""What this machine has and how it is: read from ``/proc`` and the file systems."""

import dataclasses
import functools
import os
import platform
from collections.abc import Mapping

from kubeshim.machinery import quantity


@dataclasses.dataclass(frozen=True, slots=True)
class Machine:
    """Facts that do not change while the machine is up. Sizes are bytes."""

    cpus: int
    memory: int
    architecture: str
    """In Go's words: ``amd64``, ``arm64``."""
    machine_id: str
    system_uuid: str
    boot_id: str
    kernel: str
    os_image: str
    swap: int
    huge_pages: Mapping[str, int] = dataclasses.field(default_factory=dict)
    """Bytes set aside, by the resource's name (``hugepages-2Mi``)."""


@dataclasses.dataclass(frozen=True, slots=True)
class Load:
    """How it is now."""

    memory_available: int
    disk_total: int
    disk_free: int
    inodes_total: int
    inodes_free: int
    processes: int
    processes_limit: int


_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def read() -> Machine:
    memory = _memory()
    release = _pairs(_text("/etc/os-release"), "=")
    return Machine(
        cpus=os.cpu_count() or 1,
        memory=memory.get("MemTotal", 0),
        architecture=_ARCHITECTURES.get(platform.machine(), platform.machine()),
        machine_id=_text("/etc/machine-id").strip(),
        system_uuid=_text("/sys/class/dmi/id/product_uuid").strip() or _text("/etc/machine-id").strip(),
        boot_id=_text("/proc/sys/kernel/random/boot_id").strip(),
        kernel=platform.release(),
        os_image=release.get("PRETTY_NAME", "Linux").strip('"'),
        swap=memory.get("SwapTotal", 0),
        huge_pages=huge_pages(),
    )


def huge_pages(root: str = "/sys/kernel/mm/hugepages") -> dict[str, int]:
    """What the machine's administrator has set aside of each size the kernel has."""
    found = {}
    for name in _names(root):
        size = name.removeprefix("hugepages-").removesuffix("kB")
        count = _text(f"{root}/{name}/nr_hugepages").strip()
        if size.isdigit() and count.isdigit():
            found[f"hugepages-{quantity.of(int(size) * 1024, 'BinarySI').canonical()}"] = int(size) * 1024 * int(count)
    return found


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []


@functools.cache
def has_apparmor() -> bool:
    """Whether the kernel has it, and it is on."""
    return _text("/sys/module/apparmor/parameters/enabled").startswith("Y")


def load(directory: str) -> Load:
    """``directory`` is on the file system that pods use."""
    disk = os.statvfs(directory)
    processes = _text("/proc/loadavg").split()
    running = processes[3].partition("/")[2] if len(processes) > 3 else "0"
    return Load(
        memory_available=_memory().get("MemAvailable", 0),
        disk_total=disk.f_blocks * disk.f_frsize,
        disk_free=disk.f_bavail * disk.f_frsize,
        inodes_total=disk.f_files,
        inodes_free=disk.f_favail,
        processes=int(running),
        processes_limit=int(_text("/proc/sys/kernel/pid_max").strip() or 0),
    )


def _memory() -> Mapping[str, int]:
    """``/proc/meminfo`` in bytes."""
    found: dict[str, int] = {}
    for name, value in _pairs(_text("/proc/meminfo"), ":").items():
        words = value.split()
        if words:
            found[name] = int(words[0]) * (1024 if len(words) > 1 else 1)
    return found


def _pairs(text: str, separator: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, sign, value = line.partition(separator)
        if sign:
            found[name.strip()] = value.strip()
    return found


def _text(path: str) -> str:
    """Empty where the file is not there."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
