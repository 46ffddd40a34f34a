"""From a pod's status back to what runs: the containers the status tells of, as a runtime lists them. Pure."""

from kubeshim import clock
from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object
from kubeshim.node.container_runtime import runtime
from kubeshim.node.kubelet import labels, observation, pod_spec

_FIELDS = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")


def observed(pod: Object) -> observation.Observation:
    status = pod.get("status") or {}
    found: dict[str, list[runtime.Container]] = {}
    known = {container["name"]: container for container in pod_spec.every(pod)}
    for field in _FIELDS:
        for entry in status.get(field) or ():
            container = known.get(entry["name"])
            if container is None:
                continue
            # the last state of one that waits is what its restart count counts
            states = (entry.get("state") or {}, entry.get("lastState") or {})
            told = [state for state in states if "running" in state or "terminated" in state]
            count = int(entry.get("restartCount") or 0)
            instances = [record(pod, container, state, count - age) for age, state in enumerate(told)]
            if instances:
                found[entry["name"]] = instances
    made = sandbox(pod) if found or status.get("podIP") else None
    return observation.Observation(made, (), found)


def sandbox(pod: Object) -> runtime.Sandbox:
    uid = objects.uid(pod)
    return runtime.Sandbox(uid, uid, runtime.State.RUNNING, 1, 0.0, labels.of_pod(pod), "own")


def record(pod: Object, container: Object, state: Object, restarts: int) -> runtime.Container:
    """One instance; a waiting one that was running before is what its last state says."""
    ended, running = state.get("terminated"), state.get("running") or {}
    return instance(
        pod,
        container,
        max(0, restarts),
        started=_moment((ended or running).get("startedAt")),
        finished=_moment(ended.get("finishedAt")) if ended else 0.0,
        code=ended.get("exitCode", 0) if ended else None,
    )


def instance(
    pod: Object,
    container: Object,
    restarts: int,
    *,
    started: float,
    finished: float = 0.0,
    code: int | None = None,
) -> runtime.Container:
    """``code`` is None while it runs."""
    name = container["name"]
    identity = f"{objects.uid(pod).replace('-', '')}{restarts:08x}{sum(name.encode()) % 0x1000000:024x}"
    return runtime.Container(
        id=identity,
        name=labels.container_name(pod, name, restarts),
        sandbox_id=objects.uid(pod),
        state=runtime.State.RUNNING if code is None else runtime.State.EXITED,
        image=container.get("image", ""),
        image_id=container.get("image", ""),
        created_at=started,
        started_at=started,
        finished_at=finished,
        exit_code=code or 0,
        signal=0,
        oom_killed=False,
        message="",
        pid=0,
        labels=labels.of_container(pod, container, restarts, pod_spec.fingerprint(container)),
    )


def _moment(text: str | None) -> float:
    return clock.parse_rfc3339(text).timestamp() if text else 0.0
