"""The supervisor of a cluster, seen from outside: is it there, start it, tell it, stop it."""

import json
import os
import pathlib
import select
import signal
import subprocess
import sys
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
    path = where.run / "components.json"
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps({"components": list(components)}))
    os.replace(temporary, path)
    entry = state(where)["supervisor"]
    if supervisor.is_running(entry):
        os.kill(entry["pid"], signal.SIGHUP)
        return
    with open(where.logs / "supervisor.log", "ab") as log:
        subprocess.Popen(
            [sys.executable, "-I", "-S", str(pathlib.Path(supervisor.__file__)), str(where.run), str(where.logs)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
        )


def wait_gone(where: layout.Layout, name: str, seconds: float) -> None:
    """Until the component's process, as last written down, has ended. Raises ``TimeoutError``."""
    entry = state(where)["components"].get(name)
    if not supervisor.is_running(entry):
        return
    try:
        descriptor = os.pidfd_open(entry["pid"])
    except ProcessLookupError:
        return
    try:
        if not select.select([descriptor], [], [], seconds)[0]:
            raise TimeoutError(f"{name}, pid {entry['pid']}, does not end")
    finally:
        os.close(descriptor)


def stop(where: layout.Layout, patience: float = 40.0) -> None:
    """Ends the components and the supervisor; where that one is gone, the components directly."""
    found = state(where)
    if supervisor.is_running(found["supervisor"]):
        _end(found["supervisor"], patience)
    for entry in reversed(list(found["components"].values())):
        if supervisor.is_running(entry):
            _end(entry, 15.0)


def _end(entry: dict[str, Any], patience: float) -> None:
    """SIGTERM, then SIGKILL."""
    try:
        descriptor = os.pidfd_open(entry["pid"])
    except ProcessLookupError:
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
