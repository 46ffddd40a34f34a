"""The runtime's interface, after CRI (KEP-2040): sandboxes that own a network namespace, containers in them, images.

All calls block and may be made from any thread. Times are seconds since the epoch (floats), sizes bytes. What is
made carries the given labels and is found again after a restart of the caller: the runtime keeps no state of its
own that a new process could not list.

    RuntimeFailure
    ├── NotFound            no such sandbox, container or image
    ├── ImagePullFailure    the registry or the reference; ``reason`` is one of ErrImagePull's causes
    ├── StartFailure        the container could not start (``code`` 126/127/128 as a shell would say)
    └── Unavailable         the engine does not answer
"""

import dataclasses
import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol


class RuntimeFailure(Exception):
    """Base of what a runtime refuses."""


class NotFound(RuntimeFailure):
    pass


class Unavailable(RuntimeFailure):
    pass


class ImagePullFailure(RuntimeFailure):
    def __init__(self, message: str, reason: str = "ErrImagePull") -> None:
        super().__init__(message)
        self.reason = reason


class StartFailure(RuntimeFailure):
    def __init__(self, message: str, code: int = 128, reason: str = "StartError") -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason


class State(enum.Enum):
    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"


@dataclasses.dataclass(frozen=True, slots=True)
class SandboxSpec:
    """What a pod's containers share. ``network`` is ``own`` (a fresh namespace, lo down) or ``node``."""

    name: str
    hostname: str
    labels: Mapping[str, str]
    network: str = "own"
    sysctls: Mapping[str, str] = dataclasses.field(default_factory=dict)
    cgroup_parent: str = ""
    shm_size: int = 0
    host_ipc: bool = False
    host_pid: bool = False
    runtime_handler: str = ""
    resources: "Resources | None" = None
    """Limits of all containers together: those of ``cgroup_parent``."""


@dataclasses.dataclass(frozen=True, slots=True)
class Sandbox:
    """A sandbox as it is. ``pid`` is 0 when not running; its network namespace is ``/proc/PID/ns/net``."""

    id: str
    name: str
    state: State
    pid: int
    created_at: float
    labels: Mapping[str, str]
    network: str


@dataclasses.dataclass(frozen=True, slots=True)
class Mount:
    host_path: str
    container_path: str
    read_only: bool = False
    propagation: str = "private"
    """``private``, ``rslave`` or ``rshared``."""


@dataclasses.dataclass(frozen=True, slots=True)
class Resources:
    """Limits in cgroup terms; 0 means none. CPU shares and quota per 100 ms period as the kubelet derives them."""

    cpu_shares: int = 0
    cpu_quota: int = 0
    cpu_period: int = 100_000
    memory: int = 0
    pids: int = 0
    oom_score_adj: int = 0
    huge_pages: Mapping[int, int] | None = None
    """Bytes by the size of a page, of all sizes that are not named none; of a cgroup parent. None limits nothing."""


@dataclasses.dataclass(frozen=True, slots=True)
class Security:
    user: str = ""
    """``UID[:GID]``; empty for the image's."""
    groups: Sequence[int] = ()
    privileged: bool = False
    add_capabilities: Sequence[str] = ()
    drop_capabilities: Sequence[str] = ()
    no_new_privileges: bool = False
    read_only_root: bool = False
    seccomp: str = "unconfined"
    """``unconfined``, ``runtime/default``, or the JSON text of a profile."""
    apparmor: str = ""
    unmasked_proc: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class ContainerSpec:
    """One container. ``command`` overrides the image's entrypoint, ``args`` its command; None leaves them."""

    name: str
    image: str
    labels: Mapping[str, str]
    command: Sequence[str] | None = None
    args: Sequence[str] | None = None
    working_dir: str = ""
    env: Sequence[tuple[str, str]] = ()
    mounts: Sequence[Mount] = ()
    devices: Sequence[Mount] = ()
    resources: Resources = Resources()
    security: Security = Security()
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False
    stop_signal: str = ""
    share_pid_with: str = ""
    """``""`` own PID namespace, ``host``, ``sandbox``, or a container's id."""


@dataclasses.dataclass(frozen=True, slots=True)
class Container:
    """A container as it is."""

    id: str
    name: str
    sandbox_id: str
    state: State
    image: str
    image_id: str
    created_at: float
    started_at: float
    finished_at: float
    exit_code: int
    signal: int
    oom_killed: bool
    message: str
    pid: int
    labels: Mapping[str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class Image:
    id: str
    tags: Sequence[str]
    digests: Sequence[str]
    size: int
    user: str
    """USER of the image's configuration, as written there."""


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """A container or sandbox changed. ``kind`` is ``started``, ``died``, ``oom`` or ``removed``."""

    kind: str
    id: str
    labels: Mapping[str, str]
    exit_code: int | None
    time: float


@dataclasses.dataclass(frozen=True, slots=True)
class LogOptions:
    follow: bool = False
    tail_lines: int | None = None
    since: float | None = None
    timestamps: bool = False
    stdout: bool = True
    stderr: bool = True
    stop: Callable[[], bool] | None = None
    """Looked at while a followed log is silent; ends it within seconds."""


@dataclasses.dataclass(frozen=True, slots=True)
class Stats:
    """What cgroup files say of one container. ``cpu_nanoseconds`` is total usage since start."""

    cpu_nanoseconds: int
    memory_usage: int
    memory_working_set: int
    memory_rss: int
    time: float
    memory_cache: int = 0
    memory_swap: int = 0
    throttling: "Throttling | None" = None
    disks: "Sequence[Disk]" = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Throttling:
    """How often a limit of CPU time was looked at and hit since the container started, and for how long in all."""

    periods: int
    throttled: int
    nanoseconds: int


@dataclasses.dataclass(frozen=True, slots=True)
class Disk:
    """What a container read from and wrote to one block device, by its numbers (``254:0``)."""

    device: str
    read_bytes: int
    written_bytes: int
    reads: int
    writes: int


@dataclasses.dataclass(frozen=True, slots=True)
class Storage:
    """Bytes of disk that one container has for itself: what it wrote to its root, and its log."""

    writable: int
    logs: int

    @property
    def total(self) -> int:
        return self.writable + self.logs


@dataclasses.dataclass(frozen=True, slots=True)
class Info:
    name: str
    version: str
    api_version: str
    cgroup_driver: str
    cgroup_version: int
    root_dir: str
    details: Mapping[str, Any]


class Session(Protocol):
    """A running exec or attach: bytes both ways until both outputs end.

    ``read`` gives ``("stdout"|"stderr", data)`` and ends the iteration at EOF. With a TTY all is stdout. It raises
    ``StartFailure`` where an exec's program could not be run: some engines only tell then.
    """

    def read(self) -> Iterator[tuple[str, bytes]]: ...

    def write(self, data: bytes) -> None: ...

    def close_stdin(self) -> None: ...

    def resize(self, width: int, height: int) -> None: ...

    def exit_code(self) -> int | None:
        """Of an exec, after ``read`` ended; None for attach."""

    def close(self) -> None: ...


class Runtime(Protocol):
    """What runs containers."""

    def info(self) -> Info: ...

    def run_sandbox(self, spec: SandboxSpec) -> Sandbox:
        """Makes and starts it; returns when its namespaces can be entered."""

    def stop_sandbox(self, sandbox_id: str) -> None:
        """Ends it at once. Stopping what is stopped or gone is no error."""

    def remove_sandbox(self, sandbox_id: str) -> None: ...

    def cgroups_in(self, parent: str) -> list[str]:
        """Names of what is directly below a cgroup parent; none where something else looks after them (systemd)."""

    def remove_cgroup(self, parent: str) -> bool:
        """Takes an empty cgroup parent away; one that is used stays as it is, which the answer tells: False."""

    def limit_cgroup(self, parent: str, resources: Resources) -> None:
        """Limits everything below a ``cgroup_parent``, or an ancestor of one. Makes it where it is not there."""

    def sandboxes(self, labels: Mapping[str, str]) -> list[Sandbox]: ...

    def create_container(self, sandbox_id: str, spec: ContainerSpec) -> str: ...

    def start_container(self, container_id: str) -> None:
        """Raises ``StartFailure``."""

    def stop_container(self, container_id: str, grace: float) -> None:
        """Stop signal, then SIGKILL after ``grace`` seconds; returns when it has exited."""

    def remove_container(self, container_id: str) -> None: ...

    def containers(self, labels: Mapping[str, str]) -> list[Container]: ...

    def container(self, container_id: str) -> Container: ...

    def update_resources(self, container_id: str, resources: Resources) -> None: ...

    def logs(self, container_id: str, options: LogOptions) -> Iterator[tuple[str, bytes]]:
        """``("stdout"|"stderr", line with its newline)``; timestamps put an RFC 3339 time and a space first."""

    def exec(
        self, container_id: str, command: Sequence[str], *, stdin: bool, stdout: bool, stderr: bool, tty: bool
    ) -> Session: ...

    def exec_sync(self, container_id: str, command: Sequence[str], timeout: float) -> tuple[int, bytes]:
        """Exit code and both outputs together, cut at 10 KiB. Raises ``TimeoutError``, ``StartFailure``."""

    def attach(self, container_id: str, *, stdin: bool, stdout: bool, stderr: bool, tty: bool) -> Session: ...

    def stats(self, container_id: str) -> Stats | None: ...

    def storage(self, container_id: str) -> Storage | None:
        """Takes a look at every file the container wrote. None where it is gone."""

    def events(self, labels: Mapping[str, str], stop: Callable[[], bool]) -> Iterator[Event]:
        """Until ``stop()`` is true or the engine goes away (``Unavailable``).

        The first call of ``stop`` tells that the subscription stands: list after it, and nothing is missed.
        """

    def pull_image(
        self, reference: str, auth: Mapping[str, str] | None, progress: Callable[[str], None] | None = None
    ) -> str:
        """Returns the image id. ``auth`` has ``username``, ``password``, ``serveraddress``, ``identitytoken``."""

    def image(self, reference: str) -> Image | None: ...

    def images(self) -> list[Image]: ...

    def export_image(self, image_id: str, labels: Mapping[str, str]) -> Iterator[bytes]:
        """A tar stream of all the image's files. What is made for it carries ``labels``."""

    def remove_image(self, reference: str) -> None: ...

    def close(self) -> None: ...
