import datetime

import pytest

from kubeshim.machinery.tables import pods

NOW = datetime.datetime(2026, 1, 1, 12, 0, 0, tzinfo=datetime.UTC)
RUNNING = {"running": {"startedAt": "2026-01-01T11:59:00Z"}}
EARLIER = {"terminated": {"exitCode": 1, "finishedAt": "2026-01-01T11:55:00Z"}}
READY = [{"type": "Ready", "status": "True"}]
INITIALIZED = [{"type": "Initialized", "status": "True"}]


def container(state, *, ready=False, restarts=0, name="c", last=None, started=None):
    entry = {"name": name, "state": state, "ready": ready, "restartCount": restarts}
    if last:
        entry["lastState"] = last
    if started is not None:
        entry["started"] = started
    return entry


def waiting(reason):
    return {"waiting": {"reason": reason}}


def ended(code=0, reason="", signal=0):
    terminated = {"exitCode": code}
    if reason:
        terminated["reason"] = reason
    if signal:
        terminated["signal"] = signal
    return {"terminated": terminated}


def pod(phase="Running", containers=(), init=(), *, conditions=(), sidecars=(), deleted=False, reason=""):
    metadata = {"name": "p", "creationTimestamp": "2026-01-01T11:50:00Z"}
    if deleted:
        metadata["deletionTimestamp"] = "2026-01-01T12:00:00Z"
    init_names = list(dict.fromkeys(entry["name"] for entry in init))
    return {
        "metadata": metadata,
        "spec": {
            "containers": [{"name": entry["name"]} for entry in containers] or [{"name": "c"}],
            "initContainers": [
                {"name": name, **({"restartPolicy": "Always"} if name in sidecars else {})} for name in init_names
            ],
        },
        "status": {
            "phase": phase,
            "reason": reason,
            "conditions": list(conditions),
            "containerStatuses": list(containers),
            "initContainerStatuses": list(init),
        },
    }


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (pod("Pending"), ("0/1", "Pending", "0")),
        (pod("Pending", [container(waiting("ContainerCreating"))]), ("0/1", "ContainerCreating", "0")),
        (pod("Running", [container(RUNNING, ready=True)]), ("1/1", "Running", "0")),
        (pod("Running", [container(RUNNING)]), ("0/1", "Running", "0")),
        (
            pod("Running", [container(waiting("CrashLoopBackOff"), restarts=3, last=EARLIER)]),
            ("0/1", "CrashLoopBackOff", "3 (5m ago)"),
        ),
        (pod("Running", [container(RUNNING, ready=True, restarts=2)]), ("1/1", "Running", "2")),
        (pod("Succeeded", [container(ended(0, "Completed"))]), ("0/1", "Completed", "0")),
        (
            pod("Failed", [container(ended(0, "Completed"), name="a"), container(ended(1, "Error"), name="b")]),
            ("0/2", "Error", "0"),
        ),
        (pod("Failed", [container(ended(1, "Error"))]), ("0/1", "Error", "0")),
        (pod("Failed", [container(ended(137, "OOMKilled"))]), ("0/1", "OOMKilled", "0")),
        (pod("Failed", [container(ended(3))]), ("0/1", "ExitCode:3", "0")),
        (pod("Failed", [container(ended(0, signal=9))]), ("0/1", "Signal:9", "0")),
        (pod("Failed", reason="Evicted"), ("0/1", "Evicted", "0")),
        (
            pod("Running", [container(ended(0, "Completed"), name="a"), container(RUNNING, ready=True, name="b")]),
            ("1/2", "NotReady", "0"),
        ),
        (
            pod(
                "Running",
                [container(ended(0, "Completed"), name="a"), container(RUNNING, ready=True, name="b")],
                conditions=READY,
            ),
            ("1/2", "Running", "0"),
        ),
        (
            pod("Pending", conditions=[{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]),
            ("0/1", "SchedulingGated", "0"),
        ),
        (pod("Running", [container(RUNNING, ready=True)], deleted=True), ("1/1", "Terminating", "0")),
        (pod("Succeeded", [container(ended(0, "Completed"))], deleted=True), ("0/1", "Completed", "0")),
        (pod("Running", [container(RUNNING)], deleted=True, reason="NodeLost"), ("0/1", "Unknown", "0")),
    ],
)
def test_status(obj, expected):
    assert tuple(pods.row(obj, NOW)[1:4]) == expected


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (
            pod("Pending", init=[container(RUNNING, name="i"), container(waiting("PodInitializing"), name="j")]),
            ("0/1", "Init:0/2", "0"),
        ),
        (
            pod("Pending", init=[container(ended(0), name="i"), container(waiting("PodInitializing"), name="j")]),
            ("0/1", "Init:1/2", "0"),
        ),
        (
            pod("Pending", init=[container(waiting("CrashLoopBackOff"), name="i", restarts=2, last=EARLIER)]),
            ("0/1", "Init:CrashLoopBackOff", "2 (5m ago)"),
        ),
        (pod("Pending", init=[container(ended(1, "Error"), name="i")]), ("0/1", "Init:Error", "0")),
        (pod("Pending", init=[container(ended(2), name="i")]), ("0/1", "Init:ExitCode:2", "0")),
        (pod("Pending", init=[container(ended(1, signal=9), name="i")]), ("0/1", "Init:Signal:9", "0")),
        (
            pod("Running", [container(RUNNING, ready=True)], init=[container(ended(0), name="i", restarts=4)]),
            ("1/1", "Running", "0"),
        ),
        (
            pod(
                "Running",
                [container(RUNNING, ready=True)],
                init=[container(RUNNING, name="s", started=True, ready=True, restarts=1)],
                sidecars=["s"],
                conditions=INITIALIZED,
            ),
            ("2/2", "Running", "1"),
        ),
        (
            pod("Pending", init=[container(RUNNING, name="s", started=False)], sidecars=["s"]),
            ("0/2", "Init:0/1", "0"),
        ),
    ],
)  # fmt: skip
def test_status_with_init_containers(obj, expected):
    assert tuple(pods.row(obj, NOW)[1:4]) == expected


def test_wide():
    obj = pod("Running", [container(RUNNING, ready=True)], conditions=[{"type": "x/gate", "status": "True"}])
    assert pods.row(obj, NOW)[4:] == ["10m", "<none>", "<none>", "<none>", "<none>"]
    obj["spec"] |= {"nodeName": "n1", "readinessGates": [{"conditionType": "x/gate"}, {"conditionType": "y"}]}
    obj["status"] |= {"podIPs": [{"ip": "10.244.0.5"}], "nominatedNodeName": "n2"}
    assert pods.row(obj, NOW)[5:] == ["10.244.0.5", "n1", "n2", "1/2"]


def test_finished_pods_carry_a_row_condition():
    assert pods.conditions(pod("Running")) == []
    assert pods.conditions(pod("Failed")) == [
        {"type": "Completed", "status": "True", "reason": "Failed", "message": "The pod failed."}
    ]
