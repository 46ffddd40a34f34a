"""A sandbox's network namespace, as far as the runtime is concerned: that it has left ours, and its ``net.*``
kernel parameters, which the engine refuses to set in ``host`` mode.
"""

import os
import time
from collections.abc import Mapping

from kubeshim.node import namespaces

_POLL = 0.0005


def wait_for_own(pid: int, timeout: float = 60.0) -> bool:
    """Until the process has left this process's network namespace; False if it ended or never does.

    Usually true at the first look: leaving is the pause program's first system call.
    """
    home = os.readlink("/proc/self/ns/net")
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        try:
            if os.readlink(namespaces.of_process(pid)) != home:
                return True
        except OSError:
            return False
        time.sleep(_POLL)
    return False


def write_sysctls(pid: int, sysctls: Mapping[str, str]) -> None:
    """``/proc/sys/net`` shows the namespace of the thread that looks."""

    def write() -> None:
        for name, value in sysctls.items():
            with open("/proc/sys/" + name.replace(".", "/"), "w", encoding="ascii") as file:
                file.write(value)

    namespaces.run_in(namespaces.of_process(pid), write)
