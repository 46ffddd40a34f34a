"""Commands run in containers: the engine makes an exec, and starts it with a connection that is taken over."""

import math
import os
import queue
import threading
import time
from collections.abc import Sequence
from typing import Any

from kubeshim.node.container_runtime import engine_http, engine_streams, runtime

_OUTPUT_LIMIT = 10 * 1024
"""Bytes of output ``run`` keeps, as probes do."""
_CODE_PATIENCE = 30.0
"""Seconds in which a process whose output has ended does so too, and the engine notes it."""
_RUN_PATIENCE = 5.0
"""The same at least, for one whose time is over."""
_FIRST_PAUSE, _LAST_PAUSE = 0.005, 0.25
_START_PATIENCE = 5.0
"""Seconds in which a process begins."""


class Execs:
    """Those of one engine."""

    def __init__(self, engine: engine_http.Engine) -> None:
        self._engine = engine

    def start(
        self, container_id: str, command: Sequence[str], *, stdin: bool, stdout: bool, stderr: bool, tty: bool
    ) -> tuple[runtime.Session, str]:
        """The session and the exec's id. Raises ``runtime.NotFound`` for a container that is not there."""
        body = {
            "AttachStdin": stdin,
            "AttachStdout": stdout,
            "AttachStderr": stderr and not tty,
            "Tty": tty,
            "Cmd": list(command),
        }
        try:
            identity = str(self._engine.call("POST", f"/containers/{container_id}/exec", None, body)["Id"])
        except engine_http.EngineError as error:
            if error.status == 404:
                raise runtime.NotFound(error.message) from error
            raise
        connection = self._engine.hijack(f"/exec/{identity}/start", None, {"Detach": False, "Tty": tty})
        session = engine_streams.HijackedSession(
            connection,
            tty=tty,
            resize=lambda width, height: self._resize(identity, width, height),
            exit_code=lambda: self._code(identity),
            began=lambda: self._began(identity),
        )
        return session, identity

    def run(self, container_id: str, command: Sequence[str], timeout: float) -> tuple[int, bytes]:
        """Exit code and output. Raises ``TimeoutError`` (0: never), and ``runtime.RuntimeFailure``."""
        session, identity = self.start(container_id, command, stdin=False, stdout=True, stderr=True, tty=False)
        began = time.monotonic()
        done: queue.SimpleQueue[bytes | runtime.RuntimeFailure] = queue.SimpleQueue()
        reader = threading.Thread(target=lambda: done.put(_collect(session)), name="exec-sync", daemon=True)
        reader.start()
        try:
            output = done.get(timeout=timeout if timeout > 0 else None)
        except queue.Empty:
            self._kill(identity)
            raise TimeoutError(f"command timed out after {timeout:g} s") from None
        finally:
            session.close()
        if isinstance(output, runtime.RuntimeFailure):
            raise output
        left = max(timeout - (time.monotonic() - began), _RUN_PATIENCE) if timeout > 0 else math.inf
        code = self._code(identity, left)
        if code is None:
            self._kill(identity)
            raise TimeoutError(f"command timed out after {timeout:g} s")
        return code, output

    def _resize(self, identity: str, width: int, height: int) -> None:
        """The first size usually comes before the process does, and it comes once: it waits for the process."""
        deadline = time.monotonic() + _START_PATIENCE
        last = False
        while not resize(self._engine, f"/exec/{identity}/resize", width, height) and not last:
            last = self._has_process(identity) or time.monotonic() > deadline
            if not last:
                time.sleep(0.01)

    def _inspect(self, identity: str) -> dict[str, Any]:
        found: dict[str, Any] = self._engine.call("GET", f"/exec/{identity}/json")
        return found

    def _has_process(self, identity: str) -> bool:
        """Or had one."""
        try:
            answer = self._inspect(identity)
        except engine_http.EngineError:
            return True
        return bool(answer.get("Pid")) or answer.get("ExitCode") is not None

    def _began(self, identity: str) -> bool:
        """A process has a number, also after its end; what could not be started never had one."""
        answer = self._inspect(identity)
        return bool(answer.get("Pid")) or answer.get("ExitCode") not in (126, 127)

    def _code(self, identity: str, patience: float = _CODE_PATIENCE) -> int | None:
        """None where it runs on."""
        deadline, pause = time.monotonic() + patience, _FIRST_PAUSE
        while True:
            answer = self._inspect(identity)
            if not answer.get("Running"):
                code = answer.get("ExitCode")
                return None if code is None else int(code)
            if time.monotonic() > deadline:
                return None
            time.sleep(pause)
            pause = min(2 * pause, _LAST_PAUSE)

    def _kill(self, identity: str) -> None:
        """The engine cannot kill an exec: its process is killed by its number on this machine."""
        answer = self._inspect(identity)
        pid = int(answer.get("Pid") or 0)
        if answer.get("Running") and pid > 1:
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                pass


def resize(engine: engine_http.Engine, path: str, width: int, height: int) -> bool:
    """Sizes an exec's or a container's terminal; False where there is no process that has it (yet)."""
    try:
        engine.call("POST", path, {"w": width, "h": height}, timeout=15.0)
    except engine_http.EngineError:
        return False
    return True


def _collect(session: runtime.Session) -> bytes | runtime.RuntimeFailure:
    found = bytearray()
    try:
        for _, data in session.read():
            if len(found) < _OUTPUT_LIMIT:
                found += data[: _OUTPUT_LIMIT - len(found)]
    except runtime.RuntimeFailure as failure:
        return failure
    return bytes(found)
