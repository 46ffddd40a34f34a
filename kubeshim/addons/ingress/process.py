"""One HAProxy, in master-worker mode, and the files it reads.

The files of one state stand in one of two directories, ``a`` and ``b``; the link ``current`` leads to the one in
force, so that HAProxy never reads half of a change. A change is written to the other directory, tried there by
``haproxy -c``, and taken by SIGUSR2: the master starts a new worker on the same sockets and lets the old one finish
its connections, so none is refused and none cut. A master that is not yet listening to that signal would end by it, or
lose it: it is sent only to one that does, and the change is taken when there is a worker that was not there before.

The sockets are held by others as well. Therefore an HAProxy whose parent was killed is let finish in peace once its
successor listens; it is found by ``haproxy.json``, which tells its pid and start time.
"""

import contextlib
import json
import logging
import os
import pathlib
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence

from kubeshim import supervisor

_log = logging.getLogger(__name__)

RECORD = "haproxy.json"
_CURRENT = "current"
_PATIENCE = 30.0
"""Seconds for a new worker to come: some 50 ms where nobody else wants the processor."""


class Refused(Exception):
    """HAProxy does not take these files; what it said."""


class Proxy:
    """``namespace_pid`` is a process in the network namespace to run in (None: this one)."""

    def __init__(
        self, program: str, directory: pathlib.Path, sockets: Sequence[int], namespace_pid: int | None = None
    ) -> None:
        self._program, self._directory = program, directory
        self._sockets = tuple(sockets)
        self._namespace_pid = namespace_pid
        self._files: dict[str, bytes] = {}
        self._child: subprocess.Popen[bytes] | None = None

    def take(self, files: Mapping[str, bytes]) -> bool:
        """Runs with these files from now on; False where it does already. Raises ``Refused`` and goes on as before."""
        if files == self._files and self._child is not None:
            return False
        place = self._write(files)
        tried = self._start(["-c"], place, capture=True)
        said, _ = tried.communicate()
        if tried.returncode:
            raise Refused(said.decode(errors="replace").strip())
        self._switch(place)
        if self._child is None:
            previous = _recorded(self._directory)
            self._child = self._start(["-W", "-db"], self._directory / _CURRENT)
            self._record(self._child.pid)
            if previous:
                _log.info("letting an earlier HAProxy, pid %d, finish", previous)
                _signal(previous, signal.SIGUSR1)
            self._wait_for_a_worker(self._child.pid, beside=frozenset())
        else:
            self._wait_for_a_worker(self._child.pid, beside=frozenset())
            before = _workers(self._child.pid)
            self._child.send_signal(signal.SIGUSR2)
            self._wait_for_a_worker(self._child.pid, beside=before)
        self._files = dict(files)
        return True

    @property
    def ended(self) -> bool:
        return self._child is not None and self._child.poll() is not None

    def stop(self, patience: float = 5.0) -> None:
        if self._child is None:
            return
        self._child.terminate()
        try:
            self._child.wait(patience)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        (self._directory / RECORD).unlink(missing_ok=True)

    def _wait_for_a_worker(self, master: int, *, beside: frozenset[int]) -> None:
        """Until there is one, and the master listens again; also where it has ended. Raises ``Refused``."""
        deadline = time.monotonic() + _PATIENCE
        while not self.ended:
            if _workers(master) - beside and _listens(master):
                return
            if time.monotonic() >= deadline:
                raise Refused(f"no new worker within {_PATIENCE:.0f} s")
            time.sleep(0.005)

    def _write(self, files: Mapping[str, bytes]) -> pathlib.Path:
        """Into the directory that is not in force."""
        current = self._directory / _CURRENT
        place = self._directory / ("b" if current.is_symlink() and os.readlink(current) == "a" else "a")
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True, mode=0o700)
        for name, content in files.items():
            with open(place / name, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
                file.write(content)
        return place

    def _switch(self, place: pathlib.Path) -> None:
        link = self._directory / f"{_CURRENT}.new"
        link.unlink(missing_ok=True)
        link.symlink_to(place.name)
        link.rename(self._directory / _CURRENT)

    def _start(self, mode: Sequence[str], place: pathlib.Path, *, capture: bool = False) -> subprocess.Popen[bytes]:
        """The sockets go along under their own numbers."""
        with supervisor.network_namespace(self._namespace_pid):
            return subprocess.Popen(
                [self._program, *mode, "-C", str(place), "-f", "haproxy.cfg"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if capture else None,
                stderr=subprocess.STDOUT if capture else None,
                pass_fds=self._sockets,
            )

    def _record(self, pid: int) -> None:
        (self._directory / RECORD).write_text(json.dumps({"pid": pid, "startTime": supervisor.start_time(pid)}))


def end(directory: pathlib.Path, patience: float = 5.0) -> None:
    """Ends an HAProxy whose parent is gone, if there is one."""
    pid = _recorded(directory)
    if not pid:
        return
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        for number in (signal.SIGTERM, signal.SIGKILL):
            _signal(pid, number)
            if select.select([descriptor], [], [], patience)[0]:
                return
    finally:
        os.close(descriptor)


def _workers(master: int) -> frozenset[int]:
    return frozenset(int(pid) for pid in _of_process(f"{master}/task/{master}/children").split())


def _listens(master: int) -> bool:
    """Whether SIGUSR2 is heard now: neither deadly nor held back."""
    lines = (line.split(":\t") for line in _of_process(f"{master}/status").splitlines())
    masks = {line[0]: int(line[1], 16) for line in lines if line[0] in ("SigBlk", "SigCgt")}
    bit = 1 << (signal.SIGUSR2 - 1)
    return bool(masks.get("SigCgt", 0) & bit and not masks.get("SigBlk", 0) & bit)


def _of_process(path: str) -> str:
    try:
        return pathlib.Path("/proc", path).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _recorded(directory: pathlib.Path) -> int:
    """The pid of the HAProxy that runs by the record; 0 where none does."""
    try:
        entry = json.loads((directory / RECORD).read_text())
    except (FileNotFoundError, ValueError):
        return 0
    return int(entry["pid"]) if supervisor.is_running(entry) else 0


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
