"""The next status of a simulated pod, from the last one, its rules and the time. Pure.

Containers start and end in the order the kubelet would start and end them; a pod that is deleted stops its
containers, says so, and may be removed. Whatever happens at one moment happens in one step.
"""

import dataclasses
import datetime
import math

from kubeshim import clock
from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object
from kubeshim.node.container_runtime import runtime
from kubeshim.node.kubelet import actions, container_status, labels, observation, pod_spec, pod_status
from kubeshim.node.simulation import memory, rules

BACK_OFF_FIRST, BACK_OFF_LAST = 10.0, 300.0
_MOST = 200
"""Changes at one moment; more than a pod has containers."""


@dataclasses.dataclass(frozen=True, slots=True)
class Step:
    status: Object
    again: float | None = None
    """Seconds until something happens by itself."""
    remove: bool = False
    """Whether the pod has stopped and the API may forget it."""


def advance(pod: Object, play: rules.Play, now: float, host_ip: str, pod_ip: str) -> Step:
    if pod_spec.is_terminal(pod):
        return Step(pod["status"], remove=objects.is_deleting(pod))
    if objects.is_deleting(pod):
        return _stop(pod, play, now, host_ip, pod_ip)
    begun = objects.dig(pod, "status", "startTime")
    born = clock.parse_rfc3339(begun).timestamp() if begun else now
    if now < born + play.start_after:
        return Step(_status(pod, memory.observed(pod), {}, now, host_ip, ""), born + play.start_after - now)
    found, waiting, due = _run(pod, play, now)
    ip = host_ip if pod_spec.host_network(pod) else pod_ip
    made = _status(pod, found, waiting, now, host_ip, ip)
    if pod_status.is_over(pod, made):
        stopped = _all_ended(found, now, play.rule.stop_code)
        return Step(_status(pod, stopped, {}, now, host_ip, ip, terminated=True))
    return Step(made, due - now if due < math.inf else None)


def _stop(pod: Object, play: rules.Play, now: float, host_ip: str, pod_ip: str) -> Step:
    grace = float(pod["metadata"].get("deletionGracePeriodSeconds") or 0)
    told = clock.parse_rfc3339(pod["metadata"]["deletionTimestamp"]).timestamp() - grace
    until = told + min(grace, play.stop_after)
    if now < until:
        return Step(pod.get("status") or {}, until - now)
    stopped = _all_ended(memory.observed(pod), now, play.rule.stop_code)
    ip = objects.dig(pod, "status", "podIP", default="") or pod_ip
    return Step(_status(pod, stopped, {}, now, host_ip, ip, terminated=True), remove=True)


def _run(
    pod: Object, play: rules.Play, now: float
) -> tuple[observation.Observation, dict[str, observation.Waiting], float]:
    """What runs now, who waits for a restart, and when the next thing happens."""
    found = memory.observed(pod)
    for _ in range(_MOST):
        found, ended, due = _exits(pod, found, play, now)
        todo = actions.compute(pod, found, {})
        if todo.create_sandbox and found.sandbox is None:
            found = dataclasses.replace(found, sandbox=memory.sandbox(pod))
        waiting: dict[str, observation.Waiting] = {}
        started = False
        for kill in todo.kill:
            found = _replaced(found, kill.container, _ended(kill.container, now, play.rule.stop_code))
        for container in todo.start:
            last = found.latest(container["name"])
            at = 0.0 if last is None else last.finished_at + back_off(labels.restarts(last.labels))
            if at > now:
                waiting[container["name"]] = _crash_loop(pod, container, at - (last.finished_at if last else 0.0))
                due = min(due, at)
                continue
            number = 0 if last is None else labels.restarts(last.labels) + 1
            made = memory.instance(pod, container, number, started=now)
            earlier = [last] if last is not None else []
            found = dataclasses.replace(found, containers={**found.containers, container["name"]: [made, *earlier]})
            started = True
        if not (started or ended or todo.kill or todo.create_sandbox):
            break
    return found, waiting, due


def _exits(
    pod: Object, found: observation.Observation, play: rules.Play, now: float
) -> tuple[observation.Observation, bool, float]:
    """Containers whose time has come end; and when the next one's comes. Init containers succeed at once."""
    due, ended = math.inf, False
    for container in [*pod_spec.init_containers(pod), *pod_spec.containers(pod)]:
        latest = found.latest(container["name"])
        if latest is None or latest.state is not runtime.State.RUNNING or pod_spec.is_sidecar(container):
            continue
        if pod_spec.is_init(pod, container["name"]):
            after, code = 0.0, 0
        elif play.rule.exit_after is None:
            continue
        else:
            after, code = play.rule.exit_after, play.rule.exit_code
        if latest.started_at + after <= now:
            found, ended = _replaced(found, latest, _ended(latest, now, code)), True
        else:
            due = min(due, latest.started_at + after)
    return found, ended, due


def back_off(restarts: int) -> float:
    """Seconds between an end and the next start; the first restart is at once."""
    return 0.0 if restarts == 0 else min(BACK_OFF_LAST, BACK_OFF_FIRST * 2.0 ** min(restarts - 1, 10))


def _crash_loop(pod: Object, container: Object, delay: float) -> observation.Waiting:
    shown = f"{int(delay)}s" if delay < 60 else f"{int(delay) // 60}m{int(delay) % 60}s"
    where = f"{objects.name(pod)}_{objects.namespace(pod)}({objects.uid(pod)})"
    text = f"back-off {shown} restarting failed container={container['name']} pod={where}"
    return observation.Waiting("CrashLoopBackOff", text)


def _ended(container: runtime.Container, now: float, code: int) -> runtime.Container:
    return dataclasses.replace(container, state=runtime.State.EXITED, finished_at=now, exit_code=code)


def _replaced(
    found: observation.Observation, old: runtime.Container, new: runtime.Container
) -> observation.Observation:
    name = old.labels[labels.CONTAINER]
    instances = [new if each.id == old.id else each for each in found.containers[name]]
    return dataclasses.replace(found, containers={**found.containers, name: instances})


def _all_ended(found: observation.Observation, now: float, code: int) -> observation.Observation:
    for container in found.running():
        found = _replaced(found, container, _ended(container, now, code))
    return found


def _status(
    pod: Object,
    found: observation.Observation,
    waiting: dict[str, observation.Waiting],
    now: float,
    host_ip: str,
    pod_ip: str,
    *,
    terminated: bool = False,
) -> Object:
    health = {container["name"]: observation.Health(True, True) for container in pod_spec.every(pod)}
    known = container_status.Circumstances(waiting=waiting, health=health)
    moment = clock.rfc3339(datetime.datetime.fromtimestamp(now, datetime.UTC))
    situation = pod_status.Situation(moment, [host_ip], [pod_ip] if pod_ip else [], terminated=terminated)
    return pod_status.status(pod, found, known, situation)
