"""The row of a pod: what its many container states add up to.

The Status column says the most telling thing there is: a failing or unfinished init container, else what the
last container (in reverse order) waits for or died of, else the phase. Deletion outranks them all.
"""

import datetime
from collections.abc import Mapping
from typing import Any, NamedTuple

from kubeshim.machinery import objects
from kubeshim.machinery.tables import cells

COMPLETED = {
    "Succeeded": ("Succeeded", "The pod has completed successfully."),
    "Failed": ("Failed", "The pod failed."),
}
"""Phase → reason and message of the row's ``Completed`` condition, by which clients hide finished pods."""

_TERMINAL = ("Succeeded", "Failed")


class _Summary(NamedTuple):
    reason: str
    ready: int
    restarts: int
    last_restart: str
    """RFC 3339, ``""`` for never."""


def row(pod: objects.Object, now: datetime.datetime) -> cells.Cells:
    spec, status = cells.spec(pod), cells.status(pod)
    init = {entry["name"]: entry for entry in spec.get("initContainers") or ()}
    total = len(spec.get("containers") or ()) + sum(_is_sidecar(entry) for entry in init.values())
    summary = _summary(pod, init)
    restarts = str(summary.restarts)
    if summary.restarts and summary.last_restart:
        restarts += f" ({cells.since(summary.last_restart, now)} ago)"
    return [
        cells.name(pod),
        f"{summary.ready}/{total}",
        summary.reason,
        restarts,
        cells.age(pod, now),
        objects.dig(status, "podIPs", 0, "ip", default="") or status.get("podIP") or cells.NONE,
        spec.get("nodeName") or cells.NONE,
        status.get("nominatedNodeName") or cells.NONE,
        _readiness_gates(spec, status),
    ]


def conditions(pod: objects.Object) -> list[dict[str, str]]:
    """The row's conditions: ``Completed`` for a pod that will not run again."""
    found = COMPLETED.get(cells.status(pod).get("phase", ""))
    if found is None:
        return []
    reason, message = found
    return [{"type": "Completed", "status": "True", "reason": reason, "message": message}]


def _summary(pod: objects.Object, init: Mapping[str, Any]) -> _Summary:
    status = cells.status(pod)
    phase = status.get("phase", "")
    reason = status.get("reason") or phase
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "SchedulingGated":
            reason = "SchedulingGated"
    starting, sidecars = _init_summary(status, init)
    if starting is None or cells.condition_status(status.get("conditions"), "Initialized") == "True":
        # what an init container waits for still shows where no app container has anything to tell
        summary = _running_summary(status, starting.reason if starting else reason, sidecars)
    else:
        summary = starting
    if objects.is_deleting(pod):
        if status.get("reason") == "NodeLost":
            return summary._replace(reason="Unknown")
        if phase not in _TERMINAL:
            return summary._replace(reason="Terminating")
    return summary


def _init_summary(status: Mapping[str, Any], init: Mapping[str, Any]) -> tuple[_Summary | None, _Summary]:
    """What the first unfinished init container says (None when all are through), and the sidecars' share."""
    ready = restarts = sidecar_restarts = 0
    last = sidecar_last = ""
    for index, container in enumerate(status.get("initContainerStatuses") or ()):
        sidecar = _is_sidecar(init.get(container["name"], {}))
        restarts += container.get("restartCount") or 0
        ended = _last_ended(container)
        last = max(last, ended)
        if sidecar:
            sidecar_restarts += container.get("restartCount") or 0
            sidecar_last = max(sidecar_last, ended)
        terminated = objects.dig(container, "state", "terminated")
        if terminated is not None and not terminated.get("exitCode"):
            continue
        if sidecar and container.get("started"):
            ready += bool(container.get("ready"))
            continue
        reason = _init_reason(container, terminated, index, len(init))
        sidecars = _Summary("", ready, sidecar_restarts, sidecar_last)
        return _Summary(reason, ready, restarts, last), sidecars
    return None, _Summary("", ready, sidecar_restarts, sidecar_last)


def _init_reason(container: Mapping[str, Any], terminated: Any, index: int, count: int) -> str:
    if terminated is not None:
        return "Init:" + _ended_reason(terminated)
    waiting = objects.dig(container, "state", "waiting", "reason", default="")
    if waiting and waiting != "PodInitializing":
        return f"Init:{waiting}"
    return f"Init:{index}/{count}"


def _running_summary(status: Mapping[str, Any], reason: str, sidecars: _Summary) -> _Summary:
    ready, restarts, last = sidecars.ready, sidecars.restarts, sidecars.last_restart
    running, error = False, ""
    for container in reversed(status.get("containerStatuses") or ()):
        restarts += container.get("restartCount") or 0
        last = max(last, _last_ended(container))
        state = container.get("state") or {}
        waiting = objects.dig(state, "waiting", "reason", default="")
        if waiting:
            reason = waiting
        elif state.get("terminated") is not None:
            reason = _ended_reason(state["terminated"])
            error = reason if state["terminated"].get("exitCode") else error
        elif container.get("ready") and state.get("running") is not None:
            running = True
            ready += 1
    if reason == "Completed":
        is_ready = cells.condition_status(status.get("conditions"), "Ready") == "True"
        reason = "Running" if running and is_ready else error or ("NotReady" if running else reason)
    return _Summary(reason, ready, restarts, last)


def _ended_reason(terminated: Mapping[str, Any]) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def _last_ended(container: Mapping[str, Any]) -> str:
    """When the run before this one ended; whole seconds in UTC, so that text order is time order."""
    return str(objects.dig(container, "lastState", "terminated", "finishedAt", default=""))


def _is_sidecar(container: Mapping[str, Any]) -> bool:
    return container.get("restartPolicy") == "Always"


def _readiness_gates(spec: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    gates = spec.get("readinessGates") or ()
    if not gates:
        return cells.NONE
    conditions_ = status.get("conditions")
    passed = sum(cells.condition_status(conditions_, gate["conditionType"]) == "True" for gate in gates)
    return f"{passed}/{len(gates)}"
