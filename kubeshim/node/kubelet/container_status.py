"""From what runs to ``status.containerStatuses``. Pure.

A container that is to be started again shows as waiting with the reason why that takes time (back-off, image),
and what it was goes to ``lastState``; without such a reason it keeps showing as terminated, which says more.
"""

import dataclasses
import datetime
from collections.abc import Mapping, Sequence

from kubeshim import clock
from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object
from kubeshim.node.container_runtime import runtime
from kubeshim.node.kubelet import labels, mounts, observation, pod_spec

UNKNOWN_EXIT = 137


@dataclasses.dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known beside the pod and its containers."""

    waiting: Mapping[str, observation.Waiting] = dataclasses.field(default_factory=dict)
    """By container name."""
    health: Mapping[str, observation.Health] = dataclasses.field(default_factory=dict)
    """By container name, of running containers."""
    messages: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Termination messages by container id."""
    resources: Mapping[str, Object] = dataclasses.field(default_factory=dict)
    """``resources`` in force by container name; what is not named has its spec's."""
    digests: Mapping[tuple[str, str], str] = dataclasses.field(default_factory=dict)
    """``imageID`` by the runtime's image id and the reference asked for."""
    users: Mapping[str, Object] = dataclasses.field(default_factory=dict)
    """``user.linux`` by container name."""


def should_restart(pod: Object, container: Object, found: observation.Observation) -> bool:
    """Whether the next sync will start this (not init) container, as far as policy goes."""
    if objects.is_deleting(pod):
        return False
    latest = found.latest(container["name"])
    if latest is None or latest.state is runtime.State.CREATED:
        return True
    if latest.state is runtime.State.RUNNING:
        return False
    return restarts_after_exit(pod, container, latest.exit_code)


def restarts_after_exit(pod: Object, container: Object, code: int) -> bool:
    """By the container's own rules and policy, else the pod's. For init containers ``Always`` is ``OnFailure``."""
    if rule_action(container, code):
        return True
    policy = container.get("restartPolicy") or pod_spec.restart_policy(pod)
    if pod_spec.is_init(pod, container["name"]) and not pod_spec.is_sidecar(container):
        return bool(code != 0 and policy != "Never")
    return bool(policy == "Always" or (policy == "OnFailure" and code != 0))


def rule_action(container: Object, code: int) -> str:
    """What the container's own rules say of an exit: ``Restart``, ``RestartAllContainers``, or nothing."""
    for rule in container.get("restartPolicyRules") or ():
        codes = rule.get("exitCodes") or {}
        if (code in (codes.get("values") or ())) == (codes.get("operator") == "In"):
            return str(rule.get("action") or "")
    return ""


def statuses(
    pod: Object,
    containers: Sequence[Object],
    old: Sequence[Object],
    found: observation.Observation,
    known: Circumstances,
    *,
    init: bool,
) -> list[Object]:
    """One entry a container, in the spec's order."""
    before = {status["name"]: status for status in old}
    default = "PodInitializing" if pod_spec.init_containers(pod) else "ContainerCreating"
    return [_status(pod, each, before.get(each["name"]), found, known, default, init=init) for each in containers]


def _status(
    pod: Object,
    container: Object,
    old: Object | None,
    found: observation.Observation,
    known: Circumstances,
    default_waiting: str,
    *,
    init: bool,
) -> Object:
    instances = found.containers.get(container["name"], ())
    if instances:
        status = _from_runtime(instances[0], known)
        if len(instances) > 1 and instances[1].state is runtime.State.EXITED:
            status["lastState"] = _state(instances[1], known)
    else:
        status = _without_container(pod, container, old, default_waiting, init=init)
    waiting = known.waiting.get(container["name"])
    if waiting is not None and _will_start(pod, container, found, init=init):
        if "terminated" in status["state"]:
            status["lastState"] = status["state"]
        status["state"] = {"waiting": _filled(reason=waiting.reason, message=waiting.message)}
    _add_mounts(status, container)
    _add_health(status, container, known, init=init)
    _add_resources(status, container, known)
    return status


def _will_start(pod: Object, container: Object, found: observation.Observation, *, init: bool) -> bool:
    if init and not pod_spec.is_sidecar(container):
        latest = found.latest(container["name"])
        if latest is not None and latest.state is runtime.State.EXITED and latest.exit_code == 0:
            return False
        exited = latest is not None and latest.state is runtime.State.EXITED
        again = latest is not None and restarts_after_exit(pod, container, latest.exit_code)
        return not objects.is_deleting(pod) and (not exited or again)
    return should_restart(pod, container, found)


def _from_runtime(container: runtime.Container, known: Circumstances) -> Object:
    return {
        "name": container.labels.get(labels.CONTAINER, ""),
        "state": _state(container, known),
        "lastState": {},
        "ready": False,
        "restartCount": labels.restarts(container.labels),
        "image": container.image,
        "imageID": known.digests.get((container.image_id, container.image), container.image_id),
        "containerID": container_id(container.id),
        "started": False,
    }


def container_id(identity: str) -> str:
    return f"docker://{identity}"


def _state(container: runtime.Container, known: Circumstances) -> Object:
    if container.state is runtime.State.RUNNING:
        return {"running": {"startedAt": _time(container.started_at)}}
    if container.state is runtime.State.CREATED:
        return {"waiting": {"reason": "ContainerCreating"}}
    terminated = {
        "exitCode": container.exit_code,
        "reason": exit_reason(container),
        "message": known.messages.get(container.id) or container.message or None,
        "startedAt": _time(container.started_at),
        "finishedAt": _time(container.finished_at),
        "containerID": container_id(container.id),
        "signal": container.signal or None,
    }
    return {"terminated": {key: value for key, value in terminated.items() if value is not None}}


def exit_reason(container: runtime.Container) -> str:
    if container.started_at <= 0 and container.message:
        return "StartError"
    if container.oom_killed:
        return "OOMKilled"
    if container.exit_code == 0:
        return "Completed"
    # The engine had started it once and could not again (after its own restart, say).
    return "ContainerCannotRun" if container.message else "Error"


def _time(seconds: float) -> str | None:
    if seconds <= 0:
        return "1970-01-01T00:00:00Z"
    return clock.rfc3339(datetime.datetime.fromtimestamp(seconds, datetime.UTC))


def _without_container(
    pod: Object, container: Object, old: Object | None, default_waiting: str, *, init: bool
) -> Object:
    """No container of that name is there: not made yet, or lost."""
    status: Object = {
        "name": container["name"],
        "state": {"waiting": {"reason": default_waiting}},
        "lastState": {},
        "ready": False,
        "restartCount": 0,
        "image": container.get("image", ""),
        "imageID": "",
        "started": False,
    }
    if old is None:
        return status
    if "terminated" in old.get("state", {}):
        return {**old}
    status["restartCount"] = old.get("restartCount", 0)
    status["lastState"] = old.get("lastState") or {}
    if "running" in old.get("state", {}) and not init:
        deleted = objects.is_deleting(pod)
        status["lastState"] = {"terminated": lost("deleted" if deleted else "terminated")}
        if not deleted:
            status["restartCount"] += 1
    return status


def lost(when: str) -> Object:
    return {
        "exitCode": UNKNOWN_EXIT,
        "reason": "ContainerStatusUnknown",
        "message": f"The container could not be located when the pod was {when}",
        "startedAt": None,
        "finishedAt": None,
    }


def _add_health(status: Object, container: Object, known: Circumstances, *, init: bool) -> None:
    """Ordinary init containers are ready once they have completed; the rest when running and their probes say so."""
    health = known.health.get(container["name"])
    running = "running" in status["state"]
    if init and not pod_spec.is_sidecar(container):
        status["started"] = running
        status["ready"] = objects.dig(status, "state", "terminated", "exitCode") == 0
        return
    status["started"] = running and health is not None and health.started
    status["ready"] = running and health is not None and health.started and health.ready


def _add_mounts(status: Object, container: Object) -> None:
    found: list[Object] = []
    for entry in container.get("volumeMounts") or ():
        mount: Object = {"name": entry["name"], "mountPath": entry["mountPath"]}
        if entry.get("readOnly"):
            recursive = mounts.recursively(entry)
            mount |= {"readOnly": True, "recursiveReadOnly": "Enabled" if recursive else "Disabled"}
        found.append(mount)
    if found and status.get("containerID"):
        status["volumeMounts"] = found


def _add_resources(status: Object, container: Object, known: Circumstances) -> None:
    """A container that was made always says its resources, also that it has none: clients rely on the field."""
    resources = known.resources.get(container["name"], container.get("resources")) or {}
    if resources or status.get("containerID"):
        status["resources"] = resources
    if resources.get("requests"):
        status["allocatedResources"] = resources["requests"]
    user = known.users.get(container["name"])
    if user and "running" in status["state"]:
        status["user"] = user


def _filled(**fields: str) -> Object:
    return {key: value for key, value in fields.items() if value}
