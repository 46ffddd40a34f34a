"""Figures that are no container's: a pod's network, the node's disks and processes; read when they are asked for."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True)
class Interface:
    """Counters of one network interface since it was made."""

    name: str
    received: int
    receive_errors: int
    sent: int
    send_errors: int
    received_packets: int = 0
    receive_drops: int = 0
    sent_packets: int = 0
    send_drops: int = 0


def interfaces(pid: int) -> list[Interface]:
    """Of the network namespace of a process, loopback aside; empty where it is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/net/dev").read_text(encoding="ascii")
    except OSError:
        return []
    return parse_interfaces(text)


def parse_interfaces(text: str) -> list[Interface]:
    """Of ``/proc/net/dev``: two lines of headings, then a name, eight figures received and eight sent."""
    found: list[Interface] = []
    for line in text.splitlines()[2:]:
        name, _, rest = line.partition(":")
        figures = rest.split()
        if name.strip() != "lo" and len(figures) >= 12:
            numbers = [int(figures[position]) for position in (0, 2, 8, 10, 1, 3, 9, 11)]
            found.append(Interface(name.strip(), *numbers))
    return found


def device(numbers: str) -> str:
    """The name of a block device (``8:0`` is ``/dev/sda``), or the numbers where it has none."""
    try:
        text = pathlib.Path(f"/sys/dev/block/{numbers}/uevent").read_text(encoding="ascii")
    except OSError:
        return numbers
    name = next((line.partition("=")[2] for line in text.splitlines() if line.startswith("DEVNAME=")), "")
    return f"/dev/{name}" if name else numbers


def network(found: Sequence[Interface], moment: str) -> dict[str, Any]:
    """The summary's ``network``: the default interface's figures, and each one's."""
    listed = [
        {
            "name": each.name,
            "rxBytes": each.received,
            "rxErrors": each.receive_errors,
            "txBytes": each.sent,
            "txErrors": each.send_errors,
        }
        for each in found
    ]
    default = next((each for each in listed if each["name"] == "eth0"), {})
    return {"time": moment, **default, "interfaces": listed}


def disk(path: str, moment: str) -> dict[str, Any]:
    """The file system that ``path`` is on."""
    found = os.statvfs(path)
    return {
        "time": moment,
        "availableBytes": found.f_bavail * found.f_frsize,
        "capacityBytes": found.f_blocks * found.f_frsize,
        "usedBytes": (found.f_blocks - found.f_bfree) * found.f_frsize,
        "inodesFree": found.f_ffree,
        "inodes": found.f_files,
        "inodesUsed": found.f_files - found.f_ffree,
    }


def processes(moment: str) -> dict[str, Any]:
    """The summary's ``rlimit``: how many processes there may be, and are."""
    maximum = int(pathlib.Path("/proc/sys/kernel/pid_max").read_text(encoding="ascii"))
    running = pathlib.Path("/proc/loadavg").read_text(encoding="ascii").split()[3].partition("/")[2]
    return {"time": moment, "maxpid": maximum, "curproc": int(running)}
