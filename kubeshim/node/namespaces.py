"""Doing things inside another network namespace, without forking.

A thread enters the namespace, does one thing and ends, so no other thread of the process ever stands in the wrong
network. Sockets made there stay there and may be used from any thread afterwards.
"""

import ctypes
import os
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def run_in(path: str, function: Callable[[], T]) -> T:
    """The result of ``function`` called in the network namespace at ``path`` (``/proc/PID/ns/net``).

    Raises what ``function`` raises, and ``OSError`` where the namespace cannot be entered.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            enter(path)
            results.append(function())
        except BaseException as error:  # carried over to the caller's thread
            errors.append(error)

    thread = threading.Thread(target=work, name="in-namespace", daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def enter(path: str) -> None:
    """Moves the calling thread, and only it, into a network namespace."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), path)
    finally:
        os.close(descriptor)


def of_process(pid: int) -> str:
    """The path of a process's network namespace."""
    return f"/proc/{pid}/ns/net"
