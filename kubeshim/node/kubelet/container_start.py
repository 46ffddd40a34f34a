"""Starting one container: back-off, image, environment, mounts, create, start, postStart.

Each step that fails has its event and its waiting reason; ``Refused`` says when to try again.
"""

import dataclasses
import os
import threading
from collections.abc import Callable, Mapping, Sequence

from kubeshim.machinery import errors, objects
from kubeshim.machinery.objects import Object
from kubeshim.node.container_runtime import runtime
from kubeshim.node.kubelet import (
    back_off,
    credentials,
    environment,
    files,
    handlers,
    images,
    labels,
    observation,
    parts,
    pod_spec,
    quality,
    resize,
    security,
)
from kubeshim.node.kubelet.volumes import manager, volume

_RETRY = 5.0
_HOOK_REQUEST_SECONDS = 60.0
_LOOK = 0.25


class Refused(Exception):
    """Not started: why it waits, and after how many seconds to try again."""

    def __init__(self, reason: str, message: str, retry_after: float = _RETRY) -> None:
        super().__init__(f"{reason}: {message}")
        self.waiting = observation.Waiting(reason, message)
        self.retry_after = retry_after


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where containers of one pod start: all that is the same for each of them."""

    pod: Object
    sandbox: runtime.Sandbox
    found: observation.Observation
    volumes: Mapping[str, volume.Made]
    addresses: Sequence[str]
    cancelled: Callable[[], bool]
    round: int = 0

    @property
    def named(self) -> str:
        """``name_namespace(uid)``, as messages have it."""
        return f"{objects.name(self.pod)}_{objects.namespace(self.pod)}({objects.uid(self.pod)})"


def start(shared: parts.Parts, place: Place, container: Object) -> str:
    """The new container's id. Blocks. Raises ``Refused``, ``runtime.Unavailable``."""
    latest = place.found.latest(container["name"])
    _check_back_off(shared, place, container, latest)
    try:
        image = shared.images.ensure(place.pod, container, finder(shared, place.pod), place.cancelled)
    except images.ImageProblem as problem:
        _tell(shared, place, container, "Warning", "Failed", f"Error: {problem.reason}")
        raise Refused(problem.reason, problem.message, problem.retry_after or _RETRY) from problem
    restarts = _restarts(place, container, latest)
    unstarted = _unstarted(place, container, latest)
    if unstarted:
        with shared.starts:
            _start(shared, place, container, unstarted)
        _post_start(shared, place, container, unstarted)
        return unstarted
    try:
        spec = _spec(shared, place, container, image, restarts)
    except (environment.ConfigProblem, errors.APIStatusError, OSError, ValueError) as problem:
        _tell(shared, place, container, "Warning", "Failed", f"Error: {problem}")
        raise Refused("CreateContainerConfigError", str(problem)) from problem
    with shared.starts:
        identity = _create(shared, place, container, spec)
        _start(shared, place, container, identity)
    _post_start(shared, place, container, identity)
    return identity


def _tell(shared: parts.Parts, place: Place, container: Object, kind: str, reason: str, message: str) -> None:
    path = pod_spec.field_path(place.pod, container["name"])
    shared.recorder.event(place.pod, kind, reason, message, field_path=path)


def back_off_key(pod: Object, container: Object) -> str:
    return f"{objects.uid(pod)}/{container['name']}/{pod_spec.fingerprint(container)}"


def _check_back_off(shared: parts.Parts, place: Place, container: Object, latest: runtime.Container | None) -> None:
    if latest is None or latest.state is not runtime.State.EXITED:
        return
    name, key, now = container["name"], back_off_key(place.pod, container), shared.now()
    remaining = shared.crashes.remaining(key, latest.finished_at, now)
    if remaining > 0:
        _tell(shared, place, container, "Warning", "BackOff",
              f"Back-off restarting failed container {name} in pod {place.named}")  # fmt: skip
        delay = back_off.in_words(shared.crashes.delay(key))
        message = f"back-off {delay} restarting failed container={name} pod={place.named}"
        raise Refused("CrashLoopBackOff", message, remaining)
    shared.crashes.next(key, now)


def finder(shared: parts.Parts, pod: Object) -> Callable[[str], list[dict[str, str]]]:
    """Looks for an image's credentials in the pod's pull secrets."""

    def find(image: str) -> list[dict[str, str]]:
        secrets: list[Object] = []
        for reference in pod_spec.spec(pod).get("imagePullSecrets") or ():
            secret = shared.cache.get("Secret", objects.namespace(pod), reference.get("name") or "")
            if secret is not None:
                secrets.append(secret)
        return credentials.find(secrets, image)

    return find


def _unstarted(place: Place, container: Object, latest: runtime.Container | None) -> str:
    """What an earlier process made, as this one would, before it died: it may be starting at this moment."""
    if latest is None or latest.state is not runtime.State.CREATED or latest.sandbox_id != place.sandbox.id:
        return ""
    same = latest.labels.get(labels.HASH) == pod_spec.fingerprint(container)
    return latest.id if same and labels.round_of(latest.labels) == place.round else ""


def _restarts(place: Place, container: Object, latest: runtime.Container | None) -> int:
    """Of the next instance. One that was never started does not count; it makes way."""
    if latest is not None and latest.state is runtime.State.CREATED:
        return labels.restarts(latest.labels)
    if latest is not None:
        return labels.restarts(latest.labels) + 1
    fields = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
    entries = [entry for field in fields for entry in objects.dig(place.pod, "status", field, default=())]
    for entry in entries:
        if entry["name"] == container["name"] and entry.get("containerID"):
            return int(entry.get("restartCount") or 0) + 1
    return 0


def _spec(
    shared: parts.Parts, place: Place, container: Object, image: runtime.Image, restarts: int
) -> runtime.ContainerSpec:
    pod, name = place.pod, container["name"]
    known = _variables(shared, place, container)
    command, args = environment.command(container, known)
    defaults = security.Defaults(shared.config.seccomp_default, os.path.join(shared.config.data_dir, "seccomp"))
    directory = shared.pod_directory(objects.uid(pod))
    mounts = manager.mounts_of(pod, container, place.volumes, directory, known)
    resources = quality.container_resources(pod, container, shared.memory_capacity)
    own = labels.of_container(pod, container, restarts, pod_spec.fingerprint(container))
    fixed = _fixed_mounts(shared, place, container, restarts, {mount.container_path for mount in mounts})
    return runtime.ContainerSpec(
        name=labels.container_name(pod, name, restarts),
        image=container["image"],
        labels={
            **shared.own_labels(),
            **own,
            labels.RESOURCES: resize.as_text(resources),
            labels.ROUND: str(place.round),
        },
        command=command,
        args=args,
        working_dir=container.get("workingDir") or "",
        env=list(known.items()),
        mounts=[*mounts, *fixed],
        devices=manager.devices_of(container, place.volumes),
        resources=resources,
        security=security.of(pod, container, image.user, defaults),
        stdin=bool(container.get("stdin")),
        stdin_once=bool(container.get("stdinOnce")),
        tty=bool(container.get("tty")),
        stop_signal=objects.dig(container, "lifecycle", "stopSignal", default=""),
        share_pid_with=_pid_namespace(place, container),
    )


def _pid_namespace(place: Place, container: Object) -> str:
    spec = pod_spec.spec(place.pod)
    if spec.get("hostPID"):
        return "host"
    if container.get("targetContainerName"):
        target = place.found.latest(container["targetContainerName"])
        if target is not None and target.state is runtime.State.RUNNING:
            return target.id
    return "sandbox" if spec.get("shareProcessNamespace") else ""


def _variables(shared: parts.Parts, place: Place, container: Object) -> dict[str, str]:
    namespace = objects.namespace(place.pod)
    facts = shared.facts(list(place.addresses))
    sources = environment.Sources(
        lambda kind, name: shared.cache.get(kind, namespace, name),
        shared.services(namespace),
        facts,
        {name: made.path for name, made in place.volumes.items() if not made.block},
    )
    return environment.variables(place.pod, container, sources)


def message_path(shared: parts.Parts, uid: str, container: str, restarts: int) -> str:
    """The file on this machine that is a container's termination message."""
    return os.path.join(shared.pod_directory(uid), "containers", container, f"message-{restarts}")


def _fixed_mounts(
    shared: parts.Parts, place: Place, container: Object, restarts: int, taken: set[str]
) -> list[runtime.Mount]:
    """``/etc/hosts``, ``/etc/resolv.conf`` and the termination log, where the pod mounts nothing there itself."""
    uid = objects.uid(place.pod)
    directory = shared.pod_directory(uid)
    read_only = bool(objects.dig(container, "securityContext", "readOnlyRootFilesystem"))
    found = [
        runtime.Mount(os.path.join(directory, "etc-hosts"), "/etc/hosts", read_only),
        runtime.Mount(os.path.join(directory, "resolv.conf"), "/etc/resolv.conf", read_only),
    ]
    log = container.get("terminationMessagePath") or "/dev/termination-log"
    path = message_path(shared, uid, container["name"], restarts)
    files.write(path, "", 0o666)
    found.append(runtime.Mount(path, log))
    return [mount for mount in found if mount.container_path not in taken]


def _create(shared: parts.Parts, place: Place, container: Object, spec: runtime.ContainerSpec) -> str:
    try:
        identity = shared.engine.create_container(place.sandbox.id, spec)
    except runtime.Unavailable:
        raise
    except runtime.RuntimeFailure as problem:
        _tell(shared, place, container, "Warning", "Failed", f"Error: {problem}")
        raise Refused("CreateContainerError", str(problem)) from problem
    _tell(shared, place, container, "Normal", "Created", "Container created")
    return identity


def _start(shared: parts.Parts, place: Place, container: Object, identity: str) -> None:
    try:
        shared.engine.start_container(identity)
    except runtime.Unavailable:
        raise
    except runtime.RuntimeFailure as problem:
        _tell(shared, place, container, "Warning", "Failed", f"Error: {problem}")
        # The failed container stays and counts: the next attempt finds it exited and backs off.
        raise Refused("RunContainerError", str(problem), 0.05) from problem
    _tell(shared, place, container, "Normal", "Started", "Container started")


def _post_start(shared: parts.Parts, place: Place, container: Object, identity: str) -> None:
    hook = objects.dig(container, "lifecycle", "postStart")
    if not hook:
        return
    address = place.addresses[0] if place.addresses else shared.config.node_ip
    target = handlers.Target(place.pod, container, identity, address)
    try:
        _run_hook(shared, place, hook, target)
    except handlers.Failure as failure:
        name = container["name"]
        _tell(shared, place, container, "Warning", "FailedPostStartHook", f"PostStartHook failed: {failure}")
        _tell(shared, place, container, "Normal", "Killing", f"FailedPostStartHook: killing container {name}")
        shared.engine.stop_container(identity, pod_spec.grace_period(place.pod))
        raise Refused("PostStartHookError", str(failure), 0.05) from failure


def _run_hook(shared: parts.Parts, place: Place, hook: Object, target: handlers.Target) -> None:
    """Returns when it has ended, or the pod is to end: what is left of the hook goes with its container then."""
    problems: list[Exception] = []
    done = threading.Event()

    def run() -> None:
        try:
            # Only requests are bounded: a command or a sleep takes as long as it takes.
            shared.hooks.run(hook, target, _HOOK_REQUEST_SECONDS if hook.get("httpGet") else 0)
        except Exception as problem:
            problems.append(problem)
        finally:
            done.set()

    threading.Thread(target=run, name="post-start", daemon=True).start()
    while not done.wait(_LOOK):
        if place.cancelled():
            return
    if problems:
        raise problems[0]
