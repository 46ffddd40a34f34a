"""One change of a cluster at a time, whoever makes it: ``up``, ``down``, ``node``, an agent whose node has died."""

import fcntl
import os
import pathlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from kubeshim.cluster import layout


class GivenUp(Exception):
    """Somebody else changes the cluster, and whoever wanted to has stopped waiting."""


@contextmanager
def locked(where: layout.Layout, wait: Callable[[], bool] | None = None) -> Iterator[None]:
    """Holds the cluster's lock. ``wait`` is called between attempts: False stops trying and raises ``GivenUp``."""
    path = layout.ROOT / f".{where.directory.name}.lock"
    while True:
        with _opened(path) as file:
            if wait is None:
                fcntl.flock(file, fcntl.LOCK_EX)
            else:
                while not _taken(file):
                    if not wait():
                        raise GivenUp(f"{path} is held by another process")
            if _is_at(file, path):
                yield
                return


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


def _opened(path: pathlib.Path) -> IO[str]:
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return open(path, "w")
        except FileNotFoundError:  # the last cluster's end has just taken the directory away
            continue


def _is_at(file: IO[str], path: pathlib.Path) -> bool:
    """Not so where ``down``, which we waited for, took the file away: others lock the next one."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _taken(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
