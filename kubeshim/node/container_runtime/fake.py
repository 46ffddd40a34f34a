"""A runtime in memory, for tests and simulated nodes: containers run, exit and log by rules.

The first rule whose ``match`` accepts a container's spec plays it; without one it runs until it is stopped. A
``Rule`` says when it exits by itself, with which code, what it logs, whether it ignores its stop signal. Tests end
containers by hand with ``finish``. Sandboxes have invented process ids that exist nowhere.
"""

import dataclasses
import itertools
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from kubeshim.node.container_runtime import runtime


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """How containers that ``match`` behave."""

    match: Callable[[runtime.ContainerSpec], bool] = lambda spec: True
    exit_after: float | None = None
    """Seconds after its start that it exits by itself; None means never."""
    exit_code: int = 0
    output: Sequence[bytes] = ()
    """Lines it writes to stdout as it starts."""
    start_error: str = ""
    stop_code: int = 143
    """What it exits with when told to stop."""
    ignores_stop: bool = False
    """Whether only SIGKILL ends it."""
    exec_result: Callable[[Sequence[str]], tuple[int, bytes]] = lambda command: (0, b"")
    """Code and output of a command; raises ``StartFailure`` for programs that are not there."""


@dataclasses.dataclass(slots=True)
class _Container:
    record: runtime.Container
    spec: runtime.ContainerSpec
    rule: Rule
    resources: runtime.Resources
    lines: list[tuple[float, bytes]]
    timer: threading.Timer | None = None


class Fake:
    """``runtime.Runtime`` in memory. ``images`` are those present; ``registry`` those that can be pulled."""

    def __init__(
        self, rules: Sequence[Rule] = (), *, images: Sequence[str] = (), registry: Sequence[str] | None = None
    ) -> None:
        self._rules = [*rules, Rule()]
        self._changed = threading.Condition()
        self._numbers = itertools.count(1)
        self._sandboxes: dict[str, runtime.Sandbox] = {}
        self._containers: dict[str, _Container] = {}
        self._images = {name: self._image(name) for name in images}
        self._registry = registry
        self._subscribers: list[tuple[Mapping[str, str], queue.SimpleQueue[runtime.Event | None]]] = []
        self.pulled: list[tuple[str, Mapping[str, str] | None]] = []
        self.specs: dict[str, runtime.ContainerSpec] = {}
        """What each container was made from, by its id; kept after removal, for tests."""
        self.cgroups: dict[str, runtime.Resources] = {}
        """Limits in force, by parent."""
        self.used: dict[str, runtime.Storage] = {}
        """Disk that containers use, by id, for tests."""

    def info(self) -> runtime.Info:
        return runtime.Info("fake", "1.0.0", "1.0", "cgroupfs", 1, "/nowhere", {"oom_score_floor": -1000})

    def close(self) -> None:
        for container in list(self._containers.values()):
            if container.timer:
                container.timer.cancel()
        for _, events in self._subscribers:
            events.put(None)

    def _identity(self) -> str:
        return f"{next(self._numbers):064x}"

    # --- sandboxes

    def run_sandbox(self, spec: runtime.SandboxSpec) -> runtime.Sandbox:
        identity = self._identity()
        pid = 4_194_304 + int(identity, 16)  # above the kernel's largest, so never somebody's
        sandbox = runtime.Sandbox(
            identity, spec.name, runtime.State.RUNNING, pid, time.time(), dict(spec.labels), spec.network
        )
        with self._changed:
            self._sandboxes[identity] = sandbox
            if spec.resources is not None:
                self.cgroups[spec.cgroup_parent] = spec.resources
        self._emit("started", identity, sandbox.labels)
        return sandbox

    def stop_sandbox(self, sandbox_id: str) -> None:
        with self._changed:
            sandbox = self._sandboxes.get(sandbox_id)
            if sandbox is None or sandbox.state != runtime.State.RUNNING:
                return
            self._sandboxes[sandbox_id] = dataclasses.replace(sandbox, state=runtime.State.EXITED, pid=0)
        self._emit("died", sandbox_id, sandbox.labels, 0)

    def remove_sandbox(self, sandbox_id: str) -> None:
        with self._changed:
            sandbox = self._sandboxes.pop(sandbox_id, None)
        if sandbox is not None:
            self._emit("removed", sandbox_id, sandbox.labels)

    def cgroups_in(self, parent: str) -> list[str]:
        below = [name.removeprefix(f"{parent}/") for name in self.cgroups if name.startswith(f"{parent}/")]
        return sorted({name.partition("/")[0] for name in below})

    def remove_cgroup(self, parent: str) -> bool:
        self.cgroups.pop(parent, None)
        return True

    def limit_cgroup(self, parent: str, resources: runtime.Resources) -> None:
        self.cgroups[parent] = resources

    def sandboxes(self, labels: Mapping[str, str]) -> list[runtime.Sandbox]:
        with self._changed:
            return [sandbox for sandbox in self._sandboxes.values() if _carries(sandbox.labels, labels)]

    # --- containers

    def create_container(self, sandbox_id: str, spec: runtime.ContainerSpec) -> str:
        identity = self._identity()
        with self._changed:
            if sandbox_id not in self._sandboxes:
                raise runtime.NotFound(f"no such sandbox: {sandbox_id}")
            image = self._find_image(spec.image)
            if image is None:
                raise runtime.NotFound(f"No such image: {spec.image}")
            rule = next(rule for rule in self._rules if rule.match(spec))
            record = runtime.Container(
                id=identity, name=spec.name, sandbox_id=sandbox_id, state=runtime.State.CREATED, image=spec.image,
                image_id=image.id, created_at=time.time(), started_at=0.0, finished_at=0.0, exit_code=0, signal=0,
                oom_killed=False, message="", pid=0, labels=dict(spec.labels),
            )  # fmt: skip
            self._containers[identity] = _Container(record, spec, rule, spec.resources, [])
            self.specs[identity] = spec
        return identity

    def start_container(self, container_id: str) -> None:
        with self._changed:
            container = self._get(container_id)
            rule = container.rule
            if rule.start_error:
                now = time.time()
                container.record = dataclasses.replace(
                    container.record, state=runtime.State.EXITED, exit_code=128, message=rule.start_error,
                    finished_at=now,
                )  # fmt: skip
                raise runtime.StartFailure(rule.start_error)
            now = time.time()
            container.lines = [(now, line) for line in rule.output]
            container.record = dataclasses.replace(
                container.record, state=runtime.State.RUNNING, started_at=now, pid=8_388_608 + int(container_id, 16)
            )
            if rule.exit_after is not None:
                container.timer = threading.Timer(rule.exit_after, self.finish, (container_id, rule.exit_code))
                container.timer.daemon = True
                container.timer.start()
        self._emit("started", container_id, container.record.labels)

    def finish(self, container_id: str, exit_code: int = 0, *, oom: bool = False) -> None:
        """The container's process ends."""
        with self._changed:
            container = self._containers.get(container_id)
            if container is None or container.record.state != runtime.State.RUNNING:
                return
            if container.timer:
                container.timer.cancel()
            container.record = dataclasses.replace(
                container.record, state=runtime.State.EXITED, exit_code=exit_code, finished_at=time.time(), pid=0,
                oom_killed=oom,
            )  # fmt: skip
            self._changed.notify_all()
        if oom:
            self._emit("oom", container_id, container.record.labels)
        self._emit("died", container_id, container.record.labels, exit_code)

    def stop_container(self, container_id: str, grace: float) -> None:
        with self._changed:
            container = self._containers.get(container_id)
            if container is None or container.record.state != runtime.State.RUNNING:
                return
            stubborn = container.rule.ignores_stop
            if stubborn:
                self._changed.wait_for(lambda: container.record.state != runtime.State.RUNNING, timeout=grace)
        self.finish(container_id, 137 if stubborn or grace <= 0 else container.rule.stop_code)

    def remove_container(self, container_id: str) -> None:
        self.finish(container_id, 137)
        with self._changed:
            container = self._containers.pop(container_id, None)
        if container is not None:
            self._emit("removed", container_id, container.record.labels)

    def containers(self, labels: Mapping[str, str]) -> list[runtime.Container]:
        with self._changed:
            return [entry.record for entry in self._containers.values() if _carries(entry.record.labels, labels)]

    def container(self, container_id: str) -> runtime.Container:
        with self._changed:
            return self._get(container_id).record

    def _get(self, container_id: str) -> _Container:
        container = self._containers.get(container_id)
        if container is None:
            raise runtime.NotFound(f"No such container: {container_id}")
        return container

    def update_resources(self, container_id: str, resources: runtime.Resources) -> None:
        with self._changed:
            self._get(container_id).resources = resources

    def resources(self, container_id: str) -> runtime.Resources:
        """The limits in force, for tests."""
        with self._changed:
            return self._get(container_id).resources

    def stats(self, container_id: str) -> runtime.Stats | None:
        with self._changed:
            container = self._containers.get(container_id)
        if container is None or container.record.state != runtime.State.RUNNING:
            return None
        return runtime.Stats(1_000_000, 1 << 20, 1 << 20, 1 << 20, time.time())

    def storage(self, container_id: str) -> runtime.Storage | None:
        with self._changed:
            return self.used.get(container_id, runtime.Storage(0, 0)) if container_id in self._containers else None

    # --- logs and sessions

    def logs(self, container_id: str, options: runtime.LogOptions) -> Iterator[tuple[str, bytes]]:
        with self._changed:
            kept = list(self._get(container_id).lines)
        if options.since is not None:
            kept = [entry for entry in kept if entry[0] >= options.since]
        if options.tail_lines is not None:
            kept = kept[len(kept) - min(options.tail_lines, len(kept)) :]
        for moment, line in kept if options.stdout else ():
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment)) + f".{int(moment % 1 * 1e9):09d}Z "
            yield "stdout", stamp.encode() + line if options.timestamps else line
        if options.follow:
            stop = options.stop or (lambda: False)
            with self._changed:
                while not stop() and not self._changed.wait_for(lambda: self._stopped(container_id), 0.2):
                    pass

    def _stopped(self, container_id: str) -> bool:
        container = self._containers.get(container_id)
        return container is None or container.record.state != runtime.State.RUNNING

    def exec(
        self, container_id: str, command: Sequence[str], *, stdin: bool, stdout: bool, stderr: bool, tty: bool
    ) -> runtime.Session:
        try:
            code, output = self.exec_sync(container_id, command, 0)
        except runtime.StartFailure as failure:
            return _Finished(b"", None, failure)
        return _Finished(output, code)

    def exec_sync(self, container_id: str, command: Sequence[str], timeout: float) -> tuple[int, bytes]:
        with self._changed:
            container = self._get(container_id)
            if container.record.state != runtime.State.RUNNING:
                raise runtime.RuntimeFailure(f"Container {container_id} is not running")
        return container.rule.exec_result(command)

    def attach(self, container_id: str, *, stdin: bool, stdout: bool, stderr: bool, tty: bool) -> runtime.Session:
        with self._changed:
            lines = [line for _, line in self._get(container_id).lines]
        return _Finished(b"".join(lines), None)

    # --- events

    def events(self, labels: Mapping[str, str], stop: Callable[[], bool]) -> Iterator[runtime.Event]:
        events: queue.SimpleQueue[runtime.Event | None] = queue.SimpleQueue()
        with self._changed:
            self._subscribers.append((labels, events))
        try:
            while not stop():
                try:
                    event = events.get(timeout=0.2)
                except queue.Empty:
                    continue
                if event is None:
                    return
                yield event
        finally:
            with self._changed:
                self._subscribers.remove((labels, events))

    def _emit(self, kind: str, identity: str, labels: Mapping[str, str], exit_code: int | None = None) -> None:
        event = runtime.Event(kind, identity, labels, exit_code, time.time())
        with self._changed:
            for wanted, events in self._subscribers:
                if _carries(labels, wanted):
                    events.put(event)

    # --- images

    def pull_image(
        self, reference: str, auth: Mapping[str, str] | None, progress: Callable[[str], None] | None = None
    ) -> str:
        self.pulled.append((reference, auth))
        if self._registry is not None and reference not in self._registry:
            raise runtime.ImagePullFailure(f"manifest for {reference} not found: manifest unknown")
        if progress:
            progress("Pulling from fake")
        with self._changed:
            return self._images.setdefault(reference, self._image(reference)).id

    def _image(self, reference: str) -> runtime.Image:
        digest = f"{abs(hash(reference)):064x}"
        name = reference.partition("@")[0]
        return runtime.Image(f"sha256:{digest}", (reference,), (f"{name}@sha256:{digest}",), 1 << 20, "")

    def _find_image(self, reference: str) -> runtime.Image | None:
        by_id = (image for image in self._images.values() if image.id == reference)
        return self._images.get(reference) or next(by_id, None)

    def image(self, reference: str) -> runtime.Image | None:
        with self._changed:
            return self._find_image(reference)

    def images(self) -> list[runtime.Image]:
        with self._changed:
            return list(self._images.values())

    def export_image(self, image_id: str, labels: Mapping[str, str]) -> Iterator[bytes]:
        """An empty archive."""
        yield bytes(10240)

    def remove_image(self, reference: str) -> None:
        with self._changed:
            if self._images.pop(reference, None) is None:
                raise runtime.NotFound(f"No such image: {reference}")


class _Finished:
    """A session that has already said everything."""

    def __init__(self, output: bytes, code: int | None, failure: runtime.StartFailure | None = None) -> None:
        self._output = output
        self._code = code
        self._failure = failure

    def read(self) -> Iterator[tuple[str, bytes]]:
        if self._failure is not None:
            raise self._failure
        if self._output:
            yield "stdout", self._output

    def write(self, data: bytes) -> None:
        return

    def close_stdin(self) -> None:
        return

    def resize(self, width: int, height: int) -> None:
        return

    def exit_code(self) -> int | None:
        return self._code

    def close(self) -> None:
        return


def _carries(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(labels.get(key) == value for key, value in wanted.items())
