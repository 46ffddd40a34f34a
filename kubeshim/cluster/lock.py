"""One change of a cluster at a time, whoever makes it: ``up``, ``down``, ``node``, an agent whose node has died."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from kubeshim.cluster import layout


class GivenUp(Exception):
    """Somebody else changes the cluster, and whoever wanted to has stopped waiting."""


@contextmanager
def locked(where: layout.Layout, wait: Callable[[], bool] | None = None) -> Iterator[None]:
    """Holds the cluster's lock. ``wait`` is called between attempts: False stops trying and raises ``GivenUp``."""
    layout.ROOT.mkdir(parents=True, exist_ok=True)
    path = layout.ROOT / f".{where.directory.name}.lock"
    with open(path, "w") as file:
        if wait is None:
            fcntl.flock(file, fcntl.LOCK_EX)
        else:
            while not _taken(file):
                if not wait():
                    raise GivenUp(f"{path} is held by another process")
        yield


@contextmanager
def choosing() -> Iterator[None]:
    """One new cluster at a time looks for what is free on the machine and writes down what it takes."""
    layout.ROOT.mkdir(parents=True, exist_ok=True)
    directory = os.open(layout.ROOT, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)


def _taken(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
