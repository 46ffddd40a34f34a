"""What a sync finds: the pod's sandboxes and containers as the runtime has them, in the order they were made."""

import dataclasses
from collections.abc import Mapping, Sequence

from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object
from kubeshim.node.container_runtime import runtime
from kubeshim.node.kubelet import labels


@dataclasses.dataclass(frozen=True, slots=True)
class Waiting:
    """Why a container is not running yet: ``waiting.reason`` and ``waiting.message``."""

    reason: str
    message: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Health:
    """What probes say. ``started`` is true without a startup probe once its postStart hook ended."""

    ready: bool
    started: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Observation:
    """A pod on this node, at one moment."""

    sandbox: runtime.Sandbox | None
    """The newest one, running or not."""
    old_sandboxes: Sequence[runtime.Sandbox] = ()
    containers: Mapping[str, Sequence[runtime.Container]] = dataclasses.field(default_factory=dict)
    """By container name, newest first."""

    @property
    def sandbox_ready(self) -> bool:
        return self.sandbox is not None and self.sandbox.state is runtime.State.RUNNING

    def latest(self, name: str) -> runtime.Container | None:
        found = self.containers.get(name)
        return found[0] if found else None

    def running(self) -> list[runtime.Container]:
        state = runtime.State.RUNNING
        return [container for found in self.containers.values() for container in found if container.state is state]

    def every(self) -> list[runtime.Container]:
        return [container for found in self.containers.values() for container in found]


def of(sandboxes: Sequence[runtime.Sandbox], containers: Sequence[runtime.Container]) -> Observation:
    newest_first = sorted(sandboxes, key=lambda sandbox: sandbox.created_at, reverse=True)
    by_name: dict[str, list[runtime.Container]] = {}
    for container in containers:
        by_name.setdefault(container.labels.get(labels.CONTAINER, ""), []).append(container)
    for found in by_name.values():
        found.sort(key=lambda container: (labels.restarts(container.labels), container.created_at), reverse=True)
    return Observation(newest_first[0] if newest_first else None, newest_first[1:], by_name)


def healths(pod: Object) -> dict[str, Health]:
    """By container id, what the API says of running containers."""
    found: dict[str, Health] = {}
    for field in ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"):
        for entry in objects.dig(pod, "status", field, default=()):
            identity = str(entry.get("containerID") or "").rpartition("//")[2]
            if identity and "running" in (entry.get("state") or {}):
                found[identity] = Health(bool(entry.get("ready")), bool(entry.get("started")))
    return found
