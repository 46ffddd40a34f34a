"""The supervisor of a cluster, seen from outside: is it there, start it, tell it, stop it."""

import json
import os
import pathlib
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from kubeshim import supervisor
from kubeshim.cluster import layout


def state(where: layout.Layout) -> dict[str, Any]:
    """``{"supervisor": entry, "components": {name: entry}}`` as last written; entries may be of dead processes."""
    try:
        found: dict[str, Any] = json.loads((where.run / "state.json").read_text())
        return found
    except (FileNotFoundError, ValueError):
        return {"supervisor": None, "components": {}}


def running(where: layout.Layout) -> dict[str, bool]:
    """Which of ``supervisor`` and the components run."""
    found = state(where)
    return {
        "supervisor": supervisor.is_running(found["supervisor"]),
        **{name: supervisor.is_running(entry) for name, entry in found["components"].items()},
    }


def restarts(where: layout.Layout, component: str) -> int:
    """How often the supervisor had to start it again."""
    entry = state(where)["components"].get(component)
    return int(entry["restarts"]) if entry else 0


def wanted(where: layout.Layout) -> list[dict[str, Any]]:
    """What the supervisor was last told to run."""
    try:
        found: list[dict[str, Any]] = json.loads((where.run / "components.json").read_text())["components"]
        return found
    except (FileNotFoundError, ValueError):
        return []


def want(where: layout.Layout, components: Sequence[dict[str, Any]]) -> None:
    """Tells what shall run, and starts a supervisor where none is (it takes over what still runs)."""
    _write(where.run / "components.json", {"components": list(components)})
    if not _tell(where):
        _start(where)


def _tell(where: layout.Layout) -> bool:
    """Has the supervisor read what is wanted; False where there is none."""
    descriptor = supervisor.open_process(state(where)["supervisor"])
    if descriptor < 0:
        return False
    try:
        signal.pidfd_send_signal(descriptor, signal.SIGHUP)
    except ProcessLookupError:  # it ended in this moment
        return False
    finally:
        os.close(descriptor)
    return True


def _start(where: layout.Layout) -> None:
    """Starts a supervisor, and notes that before it begins.

    It may take its time until it writes its state: whoever has something to tell meanwhile would not see it, and start
    another. Signals that come before it can hear them are kept for it.
    """
    gate, opener = os.pipe()
    command = [sys.executable, "-I", "-S", str(pathlib.Path(supervisor.__file__)), str(where.run), str(where.logs)]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGHUP, signal.SIGTERM))
    try:
        with open(where.logs / "supervisor.log", "ab") as log:
            process = subprocess.Popen(
                [*command, str(gate)],
                pass_fds=(gate,),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
            )
        entry = {"pid": process.pid, "startTime": supervisor.start_time(process.pid)}
        _write(where.run / "state.json", {**state(where), "supervisor": entry})
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(gate)
        os.close(opener)


def _write(path: pathlib.Path, content: dict[str, Any]) -> None:
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(content))
    os.replace(temporary, path)


_LOOK = 0.02


def wait_gone(where: layout.Layout, name: str, seconds: float) -> None:
    """Until the supervisor has heard that the component is not wanted, and its process has ended.

    What is written down of the process is not enough before: it may be starting another one. Raises ``TimeoutError``.
    """
    deadline = time.monotonic() + seconds
    while not _has_heard(where):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the supervisor does not end {name}")
        time.sleep(_LOOK)
    entry = state(where)["components"].get(name)
    descriptor = supervisor.open_process(entry)
    if descriptor < 0:
        return
    try:
        if not select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise TimeoutError(f"{name}, pid {entry['pid']}, does not end")
    finally:
        os.close(descriptor)


def _has_heard(where: layout.Layout) -> bool:
    """Whether the supervisor has done what it was last told, as far as it is there and says so."""
    found = state(where)
    told = supervisor.digest({"components": wanted(where)})
    return "told" not in found or found["told"] == told or not supervisor.is_running(found["supervisor"])


def stop(where: layout.Layout, patience: float = 40.0) -> None:
    """Ends the components and the supervisor; where that one is gone, the components directly."""
    found = state(where)
    _end(found["supervisor"], patience)
    # it may have started some again after that was written, and not come to end them
    for entry in reversed([*found["components"].values(), *state(where)["components"].values()]):
        _end(entry, 15.0)


def _end(entry: dict[str, Any] | None, patience: float) -> None:
    """SIGTERM, then SIGKILL, where the process runs."""
    descriptor = supervisor.open_process(entry)
    if descriptor < 0:
        return
    try:
        for number, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, 10.0)):
            try:
                signal.pidfd_send_signal(descriptor, number)
            except ProcessLookupError:
                return
            if select.select([descriptor], [], [], seconds)[0]:
                return
    finally:
        os.close(descriptor)
