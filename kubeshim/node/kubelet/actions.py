"""What a sync has to do: from the pod and what runs to a list of things to kill, make and start. Pure.

Init containers run one after another, each to its successful end; one with ``restartPolicy: Always`` (a sidecar)
only has to have started. Containers of an earlier sandbox do not count: a new sandbox begins from the first init
container again. Once some ordinary container has been made in the sandbox, initialization is over.
"""

import dataclasses
from collections.abc import Collection, Mapping, Sequence

from kubeshim.machinery.objects import Object
from kubeshim.node.container_runtime import runtime
from kubeshim.node.kubelet import container_status, labels, observation, pod_spec

LIVENESS, STARTUP = "liveness", "startup"
_RESTART_ALL = "Stopping container because all containers of the pod are restarted"


@dataclasses.dataclass(frozen=True, slots=True)
class Kill:
    """A container to stop, and what its Killing event says."""

    container: runtime.Container
    message: str
    because: str = ""
    """``liveness`` or ``startup`` where that probe failed."""


@dataclasses.dataclass(frozen=True, slots=True)
class Actions:
    """In the order they are done: kill, make the sandbox, start."""

    create_sandbox: bool = False
    kill_all: bool = False
    """Whether everything that still runs of the pod belongs to a dead sandbox."""
    kill: Sequence[Kill] = ()
    start: Sequence[Object] = ()
    """Containers' specs, init and ephemeral ones among them."""
    failed: bool = False
    """An init container failed for good."""
    round: int = 0
    """Which joint start of all containers this is: an exit may call for another."""


def compute(
    pod: Object,
    found: observation.Observation,
    unhealthy: Mapping[str, str],
    starting: Collection[str] = (),
) -> Actions:
    """``unhealthy`` maps container ids to the probe (``liveness``, ``startup``) that gave them up.

    ``starting`` are the ids of running containers that have not started yet as their startup probe sees it.
    """
    if not found.sandbox_ready:
        return _without_sandbox(pod, found)
    active = _in_sandbox(found)
    number = joint_start(pod, active)
    earlier = [container for container in found.running() if labels.round_of(container.labels) < number]
    if earlier:
        return Actions(kill=[Kill(container, _RESTART_ALL) for container in earlier], round=number)
    active = _of_round(active, number)
    kill: list[Kill] = []
    start: list[Object] = [
        container for container in pod_spec.ephemeral_containers(pod) if found.latest(container["name"]) is None
    ]
    initialized = any(active.latest(container["name"]) is not None for container in pod_spec.containers(pod))
    init = _init(pod, active, unhealthy, starting, initialized)
    kill += init.kill
    start += init.start
    if init.failed:
        return Actions(kill=kill, failed=True, round=number)
    if initialized or init.done:
        for container in pod_spec.containers(pod):
            _decide(pod, container, active, unhealthy, kill, start)
    return Actions(kill=kill, start=start, round=number)


def joint_start(pod: Object, found: observation.Observation) -> int:
    """The round that containers belong to from now on: one more once an exit calls for all to be restarted."""
    current = max((labels.round_of(each.labels) for each in found.every()), default=0)
    for container in [*pod_spec.init_containers(pod), *pod_spec.containers(pod)]:
        latest = found.latest(container["name"])
        if latest is None or latest.state is not runtime.State.EXITED or labels.round_of(latest.labels) != current:
            continue
        if container_status.rule_action(container, latest.exit_code) == "RestartAllContainers":
            return current + 1
    return current


def _of_round(found: observation.Observation, number: int) -> observation.Observation:
    kept = {
        name: [container for container in instances if labels.round_of(container.labels) == number]
        for name, instances in found.containers.items()
    }
    return dataclasses.replace(found, containers={name: instances for name, instances in kept.items() if instances})


def _without_sandbox(pod: Object, found: observation.Observation) -> Actions:
    """A new sandbox only where something is left to run in it."""
    began = found.sandbox is not None or bool(found.containers)
    running = bool(found.running())
    if began and pod_spec.restart_policy(pod) == "Never" and found.containers:
        return Actions(kill_all=running)
    wanted = [
        container
        for container in pod_spec.containers(pod)
        if not _succeeded(pod, container, found) and not _gave_up(pod, container, found)
    ]
    if not wanted:
        return Actions(kill_all=running)
    init = pod_spec.init_containers(pod)
    return Actions(create_sandbox=True, kill_all=running, start=[init[0]] if init else wanted)


def _succeeded(pod: Object, container: Object, found: observation.Observation) -> bool:
    latest = found.latest(container["name"])
    done = latest is not None and latest.state is runtime.State.EXITED and latest.exit_code == 0
    return done and pod_spec.restart_policy(pod) == "OnFailure"


def _gave_up(pod: Object, container: Object, found: observation.Observation) -> bool:
    return found.latest(container["name"]) is not None and pod_spec.restart_policy(pod) == "Never"


def _in_sandbox(found: observation.Observation) -> observation.Observation:
    """Only the containers of the sandbox that is."""
    identity = found.sandbox.id if found.sandbox else ""
    kept = {
        name: [container for container in instances if container.sandbox_id == identity]
        for name, instances in found.containers.items()
    }
    return dataclasses.replace(found, containers={name: instances for name, instances in kept.items() if instances})


@dataclasses.dataclass(slots=True)
class _Init:
    done: bool = False
    failed: bool = False
    kill: list[Kill] = dataclasses.field(default_factory=list)
    start: list[Object] = dataclasses.field(default_factory=list)


def _init(
    pod: Object,
    found: observation.Observation,
    unhealthy: Mapping[str, str],
    starting: Collection[str],
    initialized: bool,
) -> _Init:
    result = _Init()
    for container in pod_spec.init_containers(pod):
        if pod_spec.is_sidecar(container):
            before = len(result.start) + len(result.kill)
            _decide(pod, container, found, unhealthy, result.kill, result.start)
            latest = found.latest(container["name"])
            waits = len(result.start) + len(result.kill) > before or (latest is not None and latest.id in starting)
            if waits and not initialized:
                return result
        elif not initialized and not _init_step(pod, container, found, result):
            return result
    result.done = True
    return result


def _init_step(pod: Object, container: Object, found: observation.Observation, result: _Init) -> bool:
    """Whether this one is done and the next may be looked at."""
    latest = found.latest(container["name"])
    if latest is None or latest.state is runtime.State.CREATED:
        result.start.append(container)
        return False
    if latest.state is runtime.State.RUNNING:
        return False
    if latest.exit_code == 0:
        return True
    if container_status.restarts_after_exit(pod, container, latest.exit_code):
        result.start.append(container)
    else:
        result.failed = True
    return False


def _decide(
    pod: Object,
    container: Object,
    found: observation.Observation,
    unhealthy: Mapping[str, str],
    kill: list[Kill],
    start: list[Object],
) -> None:
    """One container that is to keep running."""
    latest = found.latest(container["name"])
    if latest is None or latest.state is not runtime.State.RUNNING:
        if container_status.should_restart(pod, container, found):
            start.append(container)
        return
    name = container["name"]
    because = unhealthy.get(latest.id, "")
    if latest.labels.get(labels.HASH, pod_spec.fingerprint(container)) != pod_spec.fingerprint(container):
        # Whatever the policy says: this is no end of its own. In the same round, so that nobody sees the pod unready.
        kill.append(Kill(latest, f"Container {name} definition changed, will be restarted"))
        start.append(container)
    elif because in (LIVENESS, STARTUP):
        after = ", will be restarted" if pod_spec.restart_policy(pod) != "Never" else ""
        kill.append(Kill(latest, f"Container {name} failed {because} probe{after}", because))
