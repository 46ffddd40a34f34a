"""The runtime over the Docker engine, 20.10 to 29.

A sandbox is a pause container (``pause``); containers join its namespaces. Nothing is remembered that a list by
label would not give back; the small tables here are caches of what never changes (a container's cgroup parent,
whether it has a terminal) and of deaths: the engine's ``die`` event comes some ten milliseconds before its inspect
agrees, so whoever asks after a death waits for the inspect to follow.
"""

import contextlib
import json
import math
import os
import platform
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from kubeshim.node.container_runtime import (
    cgroups,
    dialect,
    engine_bodies,
    engine_execs,
    engine_http,
    engine_images,
    engine_records,
    engine_streams,
    pause,
    runtime,
    sandbox_network,
)

_DEATH_PATIENCE = 20.0
"""Seconds in which the engine's inspect agrees with its event; usually it is milliseconds."""


class Docker:
    """``runtime.Runtime`` over one engine.

    ``node_container`` is the container whose network namespace is the node's; without one it is the machine's.
    """

    def __init__(self, socket_path: str = engine_http.SOCKET, *, node_container: str = "") -> None:
        self._engine = engine_http.Engine(socket_path)
        self._execs = engine_execs.Execs(self._engine)
        self._node_container = node_container
        self._info = self._engine.call("GET", "/info", timeout=30.0)
        version = self._engine.call("GET", "/version", timeout=30.0)
        self.dialect = dialect.of(self._info, version, this_machine())
        self._engine.prefix = f"/v{self.dialect.api_version}"
        self._lock = threading.Lock()
        self._parents: dict[str, tuple[str, str]] = {}
        self._died: dict[str, int] = {}
        self._starting = 0
        self._pause_ready = False
        self._closed = False

    # --- the engine

    def info(self) -> runtime.Info:
        speech = self.dialect
        details = {**self._info, "oom_score_floor": speech.oom_score_floor, "image_store": speech.image_store}
        return runtime.Info(
            name="docker",
            version=speech.engine_version,
            api_version=speech.api_version,
            cgroup_driver=speech.cgroup_driver,
            cgroup_version=speech.cgroup_version,
            root_dir=speech.root_dir,
            details=details,
        )

    def close(self) -> None:
        self._closed = True
        self._engine.close()

    def events(self, labels: Mapping[str, str], stop: Callable[[], bool]) -> Iterator[runtime.Event]:
        """The first call of ``stop`` tells that the subscription stands: what happens from then on is delivered."""
        wanted = engine_bodies.filters(labels, type=["container"], event=["start", "die", "oom", "destroy"])
        answer = self._engine.stream("GET", "/events", {"filters": wanted})
        buffer = b""
        try:
            if stop():
                return
            for chunk in answer.chunks(lambda: stop() or self._closed):
                *whole, buffer = (buffer + chunk).split(b"\n")
                for line in whole:
                    event = engine_records.event(json.loads(line)) if line.strip() else None
                    if event is not None:
                        self._note(event)
                        yield event
        except OSError as error:
            raise runtime.Unavailable(f"events: {error}") from error
        finally:
            answer.connection.close()
        if not (stop() or self._closed):
            raise runtime.Unavailable("the Docker engine ended its stream of events")

    def _note(self, event: runtime.Event) -> None:
        with self._lock:
            if event.kind == "died":
                self._died[event.id] = event.exit_code or 0
            elif event.kind == "started":
                self._died.pop(event.id, None)  # somebody has started it once more
            elif event.kind == "removed":
                self._died.pop(event.id, None)
                self._parents.pop(event.id, None)

    # --- sandboxes

    def run_sandbox(self, spec: runtime.SandboxSpec) -> runtime.Sandbox:
        self._ensure_pause()
        body = engine_bodies.sandbox(spec, self.dialect, self._node_container)
        identity = self._create(spec.name, body)
        try:
            with self._start_in_flight():
                # A slice is made by systemd when the engine starts something in it; directories are ours to make.
                by_systemd = self.dialect.cgroup_driver == "systemd"
                if spec.resources is not None and not by_systemd:
                    self.limit_cgroup(spec.cgroup_parent, spec.resources)
                self._engine.call("POST", f"/containers/{identity}/start")
                if spec.resources is not None and by_systemd:
                    self.limit_cgroup(spec.cgroup_parent, spec.resources)
            sandbox = engine_records.sandbox(self._inspect(identity))
            if spec.network == "own":
                self._await_network(sandbox, spec)
        except BaseException:
            self.remove_sandbox(identity)
            raise
        with self._lock:
            self._parents[identity] = (body["HostConfig"]["CgroupParent"], spec.runtime_handler)
        return sandbox

    def cgroups_in(self, parent: str) -> list[str]:
        speech = self.dialect
        return cgroups.children(
            cgroups.parent_for_engine(parent, speech.cgroup_driver), speech.cgroup_driver, speech.cgroup_version
        )

    def remove_cgroup(self, parent: str) -> bool:
        speech = self.dialect
        where = cgroups.parent_for_engine(parent, speech.cgroup_driver)
        return cgroups.remove(where, speech.cgroup_driver, speech.cgroup_version)

    def limit_cgroup(self, parent: str, resources: runtime.Resources) -> None:
        speech = self.dialect
        where = cgroups.parent_for_engine(parent, speech.cgroup_driver)
        try:
            cgroups.limit(where, speech.cgroup_driver, speech.cgroup_version, resources)
        except OSError as error:
            raise runtime.RuntimeFailure(f"cgroup {parent}: {error}") from error

    def _await_network(self, sandbox: runtime.Sandbox, spec: runtime.SandboxSpec) -> None:
        if not sandbox.pid or not sandbox_network.wait_for_own(sandbox.pid):
            raise runtime.RuntimeFailure(f"sandbox {spec.name} did not get a network namespace of its own")
        sysctls = {name: value for name, value in spec.sysctls.items() if name.startswith("net.")}
        if sysctls:
            sandbox_network.write_sysctls(sandbox.pid, sysctls)

    def _ensure_pause(self) -> None:
        if self._pause_ready:
            return
        if self.image(pause.IMAGE) is None:
            entrypoint = f"ENTRYPOINT {json.dumps(list(pause.ENTRYPOINT))}"
            engine_images.make(self._engine, pause.IMAGE, pause.archive(), entrypoint)
        self._pause_ready = True

    def stop_sandbox(self, sandbox_id: str) -> None:
        try:
            self._engine.call("POST", f"/containers/{sandbox_id}/kill")
        except engine_http.EngineError as error:
            if error.status not in (404, 409):
                raise

    def remove_sandbox(self, sandbox_id: str) -> None:
        parent, _ = self._parent(sandbox_id)
        self.remove_container(sandbox_id)
        with self._lock:
            idle = self._starting == 0
            cgroups.remove(parent, self.dialect.cgroup_driver, self.dialect.cgroup_version, ancestors=idle)

    @contextlib.contextmanager
    def _start_in_flight(self) -> Iterator[None]:
        """While the engine starts something, no empty cgroup may be taken from under it."""
        with self._lock:
            self._starting += 1
        try:
            yield
        finally:
            with self._lock:
                self._starting -= 1

    def sandboxes(self, labels: Mapping[str, str]) -> list[runtime.Sandbox]:
        return [engine_records.sandbox(answer) for answer in self._inspect_all(labels, "sandbox")]

    # --- containers

    def create_container(self, sandbox_id: str, spec: runtime.ContainerSpec) -> str:
        parent, handler = self._parent(sandbox_id)
        body = engine_bodies.container(sandbox_id, parent, spec, self.dialect, handler)
        return self._create(spec.name, body)

    def _create(self, name: str, body: Mapping[str, Any]) -> str:
        """Creates by name; what a crash left under that name, never started, makes way."""
        try:
            answer = self._engine.call("POST", "/containers/create", {"name": name}, body)
        except engine_http.EngineError as error:
            if error.status == 404:
                raise runtime.NotFound(error.message) from error
            if error.status != 409 or not self._ours(name, body["Labels"]):
                raise
            self.remove_container(name)
            answer = self._engine.call("POST", "/containers/create", {"name": name}, body)
        return str(answer["Id"])

    def _ours(self, name: str, labels: Mapping[str, str]) -> bool:
        found = self._inspect(name)
        theirs = found["Config"].get("Labels") or {}
        kind = engine_bodies.KIND
        return theirs.get(kind) == labels[kind] and engine_records.state(found["State"]) != runtime.State.RUNNING

    def start_container(self, container_id: str) -> None:
        try:
            with self._start_in_flight():
                self._engine.call("POST", f"/containers/{container_id}/start")
        except engine_http.EngineError as error:
            if error.status == 404 and "No such container" in error.message:
                raise runtime.NotFound(error.message) from error
            raise runtime.StartFailure(error.message) from error

    def stop_container(self, container_id: str, grace: float) -> None:
        seconds = max(0, math.ceil(grace))
        try:
            if seconds == 0:
                self._engine.call("POST", f"/containers/{container_id}/kill")
                self._engine.call("POST", f"/containers/{container_id}/wait", timeout=30.0)
            else:
                path = f"/containers/{container_id}/stop"
                self._engine.call("POST", path, {"t": seconds}, timeout=seconds + 60.0)
        except engine_http.EngineError as error:
            if error.status not in (404, 409):
                raise

    def remove_container(self, container_id: str) -> None:
        try:
            self._engine.call("DELETE", f"/containers/{container_id}", {"v": True, "force": True})
        except engine_http.EngineError as error:
            if error.status == 409 and "already in progress" in error.message:
                return
            if error.status != 404:
                raise

    def containers(self, labels: Mapping[str, str]) -> list[runtime.Container]:
        return [engine_records.container(answer) for answer in self._inspect_all(labels, "container")]

    def container(self, container_id: str) -> runtime.Container:
        return engine_records.container(self._settled(container_id))

    def _inspect_all(self, labels: Mapping[str, str], kind: str) -> list[dict[str, Any]]:
        wanted = engine_bodies.filters({**labels, engine_bodies.KIND: kind})
        found: list[dict[str, Any]] = []
        for row in self._engine.call("GET", "/containers/json", {"all": True, "filters": wanted}):
            try:
                found.append(self._settled(row["Id"]))
            except runtime.NotFound:
                continue  # removed since the list was made
        return found

    def _settled(self, container_id: str) -> dict[str, Any]:
        """An inspect that knows of a death we were told about."""
        deadline = time.monotonic() + _DEATH_PATIENCE
        while True:
            answer = self._inspect(container_id)
            known_dead = answer["Id"] in self._died
            if not (known_dead and answer["State"].get("Running")):
                return answer
            if time.monotonic() > deadline:
                with self._lock:
                    self._died.pop(answer["Id"], None)  # it lives again, and we were not told
                return answer
            time.sleep(0.005)

    def _inspect(self, container_id: str) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = self._engine.call("GET", f"/containers/{container_id}/json")
        except engine_http.EngineError as error:
            if error.status == 404:
                raise runtime.NotFound(error.message) from error
            raise
        return answer

    def _parent(self, container_id: str) -> tuple[str, str]:
        """The engine's cgroup parent and runtime handler of a container; empty where it is gone."""
        with self._lock:
            known = self._parents.get(container_id)
        if known is None:
            try:
                host = self._inspect(container_id)["HostConfig"]
            except runtime.NotFound:
                return "", ""
            default = str(self._info.get("DefaultRuntime") or "")
            handler = str(host.get("Runtime") or "")
            known = str(host.get("CgroupParent") or ""), "" if handler == default else handler
            with self._lock:
                self._parents[container_id] = known
        return known

    def update_resources(self, container_id: str, resources: runtime.Resources) -> None:
        try:
            self._engine.call("POST", f"/containers/{container_id}/update", None, engine_bodies.limits(resources))
        except engine_http.EngineError as error:
            if error.status == 404:
                raise runtime.NotFound(error.message) from error
            raise

    def stats(self, container_id: str) -> runtime.Stats | None:
        speech = self.dialect
        parent, _ = self._parent(container_id)
        paths = cgroups.files(parent, speech.cgroup_driver, speech.cgroup_version, container_id)
        return cgroups.read(paths, time.time())

    def storage(self, container_id: str) -> runtime.Storage | None:
        try:
            answer = self._engine.call("GET", f"/containers/{container_id}/json", {"size": True})
        except engine_http.EngineError as error:
            if error.status == 404:
                return None
            raise
        return runtime.Storage(int(answer.get("SizeRw") or 0), _log_size(str(answer.get("LogPath") or "")))

    # --- logs and sessions

    def logs(self, container_id: str, options: runtime.LogOptions) -> Iterator[tuple[str, bytes]]:
        terminal = bool(self._inspect(container_id)["Config"].get("Tty"))
        query = {
            "stdout": options.stdout,
            "stderr": options.stderr,
            "follow": options.follow,
            "timestamps": options.timestamps,
            "tail": "all" if options.tail_lines is None else options.tail_lines,
            "since": None if options.since is None else f"{options.since:.9f}",
        }
        answer = self._engine.stream("GET", f"/containers/{container_id}/logs", query)
        try:
            stop = options.stop or (lambda: False)
            chunks = answer.chunks(lambda: self._closed or stop())
            if terminal:
                yield from engine_streams.terminal(chunks)
            else:
                yield from engine_streams.lines(engine_streams.frames(chunks), options.timestamps)
        except OSError:
            return  # the engine cuts the stream when the container is removed
        finally:
            answer.connection.close()

    def exec(
        self, container_id: str, command: Sequence[str], *, stdin: bool, stdout: bool, stderr: bool, tty: bool
    ) -> runtime.Session:
        return self._execs.start(container_id, command, stdin=stdin, stdout=stdout, stderr=stderr, tty=tty)[0]

    def exec_sync(self, container_id: str, command: Sequence[str], timeout: float) -> tuple[int, bytes]:
        return self._execs.run(container_id, command, timeout)

    def attach(self, container_id: str, *, stdin: bool, stdout: bool, stderr: bool, tty: bool) -> runtime.Session:
        found = self._inspect(container_id)
        if not found["State"].get("Running"):
            raise runtime.RuntimeFailure(engine_streams.EXITED)
        terminal = bool(found["Config"].get("Tty"))
        query = {"stream": True, "stdin": stdin, "stdout": stdout, "stderr": stderr}
        connection = self._engine.hijack(f"/containers/{container_id}/attach", query)
        return engine_streams.HijackedSession(
            connection,
            tty=terminal,
            resize=lambda width, height: engine_execs.resize(
                self._engine, f"/containers/{container_id}/resize", width, height
            ),
            exit_code=lambda: None,
            ended=lambda: not self._is_running(container_id),
        )

    def _is_running(self, container_id: str) -> bool:
        try:
            return bool(self._inspect(container_id)["State"].get("Running"))
        except runtime.NotFound:
            return False

    # --- images

    def pull_image(
        self, reference: str, auth: Mapping[str, str] | None, progress: Callable[[str], None] | None = None
    ) -> str:
        return engine_images.pull(self._engine, reference, auth, progress)

    def image(self, reference: str) -> runtime.Image | None:
        return engine_images.find(self._engine, reference)

    def images(self) -> list[runtime.Image]:
        return engine_images.every(self._engine)

    def remove_image(self, reference: str) -> None:
        engine_images.remove(self._engine, reference)

    def export_image(self, image_id: str, labels: Mapping[str, str]) -> Iterator[bytes]:
        """Out of a container that is never started; what a crash leaves of it makes way for the next."""
        node = "-".join(sorted(labels.values()))
        name = f"kubeshim-export-{node}-{image_id.rpartition(':')[2][:12]}"
        body = {"Image": image_id, "Cmd": ["none"], "Labels": {**labels, engine_bodies.KIND: "export"}}
        identity = self._create(name, body)
        try:
            answer = self._engine.stream("GET", f"/containers/{identity}/export")
            try:
                yield from answer.chunks()
            finally:
                answer.connection.close()
        finally:
            self.remove_container(identity)


def _log_size(path: str) -> int:
    """Of a log and its rotated predecessors (``PATH.1`` …)."""
    if not path:
        return 0
    try:
        with os.scandir(os.path.dirname(path)) as entries:
            return sum(entry.stat().st_size for entry in entries if entry.path.startswith(path))
    except OSError:
        return 0


def this_machine() -> dialect.Machine:
    """What this process may do; the engine, on the same machine, can do no more."""
    bounding = 0
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("CapBnd:"):
                bounding = int(line.split()[1], 16)
    with open("/proc/self/oom_score_adj", encoding="ascii") as file:
        score = int(file.read())
    return dialect.Machine(bounding, score, platform.machine())
