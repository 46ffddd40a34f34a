import pytest

from kubeshim.node.container_runtime import runtime
from kubeshim.node.kubelet import container_status, labels, observation, pod_status

RUNNING, EXITED = runtime.State.RUNNING, runtime.State.EXITED
HEALTHY, UNREADY = observation.Health(True, True), observation.Health(False, True)


def container(name="a", state=RUNNING, code=0, restarts=0, **more):
    fields = {
        "id": f"{name}{restarts}", "name": name, "sandbox_id": "s", "state": state, "image": "i", "image_id": "sha",
        "created_at": 100.0, "started_at": 101.0, "finished_at": 102.0 if state is EXITED else 0.0, "exit_code": code,
        "signal": 0, "oom_killed": False, "message": "", "pid": 0,
        "labels": {labels.CONTAINER: name, labels.RESTARTS: str(restarts)},
    }  # fmt: skip
    return runtime.Container(**{**fields, **more})


def pod(*names, policy="Always", init=(), **spec):
    return {
        "metadata": {"name": "p", "namespace": "n", "uid": "u"},
        "spec": {
            "restartPolicy": policy,
            "containers": [{"name": name, "image": "i"} for name in names or ("a",)],
            "initContainers": list(init),
            **spec,
        },
    }


def made(spec, *found, waiting=None, health=None, terminated=False, failed=False, ips=("10.0.0.2",), **situation):
    sandbox = runtime.Sandbox("s", "s", RUNNING, 1, 1.0, {}, "own")
    seen = observation.of([sandbox], found)
    known = container_status.Circumstances(
        waiting={name: observation.Waiting(*why) for name, why in (waiting or {}).items()}, health=health or {}
    )
    where = pod_status.Situation(
        "2026-01-01T00:00:00Z", ["1.1.1.1"], ips, terminated=terminated, failed=failed, **situation
    )
    return pod_status.status(spec, seen, known, where)


PHASES = [
    ("nothing made yet", pod(), (), {}, "Pending"),
    ("one of two made", pod("a", "b"), (container(),), {}, "Pending"),
    ("running", pod(), (container(),), {}, "Running"),
    ("one ended, one runs", pod("a", "b"), (container(), container("b", EXITED)), {}, "Running"),
    ("ended, to be restarted", pod(), (container(state=EXITED, code=1),), {}, "Running"),
    ("ended well, never again", pod(policy="Never"), (container(state=EXITED),), {}, "Succeeded"),
    ("ended badly, never again", pod(policy="Never"), (container(state=EXITED, code=2),), {}, "Failed"),
    ("ended well on failure", pod(policy="OnFailure"), (container(state=EXITED),), {}, "Succeeded"),
    ("ended badly on failure", pod(policy="OnFailure"), (container(state=EXITED, code=2),), {}, "Running"),
    ("always, but over", pod(), (container(state=EXITED, code=0),), {"terminated": True}, "Succeeded"),
    ("always, killed", pod(), (container(state=EXITED, code=137),), {"terminated": True}, "Failed"),
    ("never made, and over", pod(), (), {"terminated": True}, "Failed"),
    ("refused", pod(), (), {"failed": True, "reason": "OutOfcpu"}, "Failed"),
    ("init runs", pod(init=[{"name": "i"}]), (container("i"),), {}, "Pending"),
    ("init done", pod(init=[{"name": "i"}]), (container("i", EXITED), container()), {}, "Running"),
    ("init failed for good", pod(init=[{"name": "i"}], policy="Never"), (container("i", EXITED, 1),), {}, "Failed"),
    ("init fails again and again", pod(init=[{"name": "i"}]), (container("i", EXITED, 1),), {}, "Pending"),
    ("sidecar not started", pod(init=[{"name": "i", "restartPolicy": "Always"}]), (container("i"),), {}, "Pending"),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "found", "more", "phase"), [case[1:] for case in PHASES], ids=[c[0] for c in PHASES])
def test_phase(spec, found, more, phase):
    assert made(spec, *found, **more)["phase"] == phase


def test_a_finished_phase_never_changes():
    spec = {**pod(), "status": {"phase": "Failed", "reason": "Evicted", "message": "why"}}
    status = made(spec, container())
    assert (status["phase"], status["reason"], status["message"]) == ("Failed", "Evicted", "why")


def test_what_initialization_never_reached_still_waits_at_the_end():
    spec = pod(init=[{"name": "one"}, {"name": "two"}], policy="Never")
    status = made(spec, container("one", EXITED, 1), terminated=True)
    assert status["phase"] == "Failed"
    assert [list(entry["state"]) for entry in status["initContainerStatuses"]] == [["terminated"], ["waiting"]]
    assert status["containerStatuses"][0]["state"] == {"waiting": {"reason": "PodInitializing"}}


def conditions(status):
    return {
        each["type"]: (each["status"], each.get("reason", ""), each.get("message", "")) for each in status["conditions"]
    }


def test_conditions_say_what_is_missing():
    unready = ("False", "ContainersNotReady", "containers with unready status: [a]")
    found = conditions(made(pod("a", "b"), container(), container("b"), health={"a": UNREADY, "b": HEALTHY}))
    assert found["Ready"] == found["ContainersReady"] == unready
    assert found["Initialized"][0] == found["PodReadyToStartContainers"][0] == found["PodScheduled"][0] == "True"
    found = conditions(made(pod(init=[{"name": "x"}]), container("x")))
    assert found["Initialized"] == ("False", "ContainersNotInitialized", "containers with incomplete status: [x]")
    assert conditions(made(pod(policy="Never"), container(state=EXITED)))["Ready"] == ("False", "PodCompleted", "")


def test_readiness_gates_are_asked_last():
    spec = pod(readinessGates=[{"conditionType": "x/y"}])
    found = conditions(made(spec, container(), health={"a": HEALTHY}))
    assert found["ContainersReady"][0] == "True"
    message = 'corresponding condition of pod readiness gate "x/y" does not exist.'
    assert found["Ready"] == ("False", "ReadinessGatesNotReady", message)
    spec["status"] = {"conditions": [{"type": "x/y", "status": "True"}]}
    status = made(spec, container(), health={"a": HEALTHY})
    assert conditions(status)["Ready"][0] == "True" and conditions(status)["x/y"][0] == "True"


def test_transition_times_are_kept_while_the_status_is_the_same():
    before = [{"type": "Ready", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"}]
    spec = {**pod(), "status": {"conditions": before}}
    times = {
        each["type"]: each["lastTransitionTime"]
        for each in made(spec, container(), health={"a": HEALTHY})["conditions"]
    }
    assert times["Ready"] == "2020-01-01T00:00:00Z" and times["Initialized"] == "2026-01-01T00:00:00Z"


def test_a_container_in_back_off_waits_and_remembers():
    why = ("CrashLoopBackOff", "back-off 10s restarting failed container=a pod=p_n(u)")
    [entry] = made(pod(), container(state=EXITED, code=3, restarts=2), waiting={"a": why})["containerStatuses"]
    assert entry["state"] == {"waiting": {"reason": why[0], "message": why[1]}}
    assert entry["lastState"]["terminated"]["exitCode"] == 3 and entry["restartCount"] == 2
    assert entry["lastState"]["terminated"]["startedAt"] == "1970-01-01T00:01:41Z"


def test_the_container_before_is_the_last_state():
    running, dead = container(restarts=1), container(state=EXITED, code=137, oom_killed=True)
    [entry] = made(pod(), dead, running, health={"a": HEALTHY})["containerStatuses"]
    assert "running" in entry["state"] and entry["ready"] and entry["started"] and entry["restartCount"] == 1
    assert entry["lastState"]["terminated"]["reason"] == "OOMKilled"


@pytest.mark.parametrize(
    ("code", "more", "reason"),
    [
        (0, {}, "Completed"), (1, {}, "Error"), (137, {"oom_killed": True}, "OOMKilled"),
        (128, {"message": "no such file", "started_at": 0.0}, "StartError"),
        (127, {"message": "cannot run"}, "ContainerCannotRun"),
    ],
)  # fmt: skip
def test_termination_reasons(code, more, reason):
    assert container_status.exit_reason(container(state=EXITED, code=code, **more)) == reason


def test_a_container_that_vanished_shows_as_unknown():
    old = [{"name": "a", "state": {"running": {}}, "restartCount": 2, "image": "i"}]
    [entry] = made({**pod(), "status": {"containerStatuses": old}})["containerStatuses"]
    assert entry["restartCount"] == 3 and entry["lastState"]["terminated"]["reason"] == "ContainerStatusUnknown"


def test_addresses_survive_the_sandbox():
    spec = {**pod(policy="Never"), "status": {"podIPs": [{"ip": "10.0.0.9"}], "startTime": "2025-01-01T00:00:00Z"}}
    status = made(spec, container(state=EXITED), ips=())
    assert status["podIP"] == "10.0.0.9" and status["startTime"] == "2025-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("rules", "code", "again"),
    [
        ([{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}], 42, True),
        ([{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}], 1, False),
        ([{"action": "Restart", "exitCodes": {"operator": "NotIn", "values": [42]}}], 1, True),
    ],
)
def test_a_containers_own_rules_come_before_its_policy(rules, code, again):
    spec = pod(policy="Never")
    spec["spec"]["containers"][0] |= {"restartPolicy": "Never", "restartPolicyRules": rules}
    assert container_status.restarts_after_exit(spec, spec["spec"]["containers"][0], code) is again


def test_resources_of_the_pod_as_a_whole_are_told():
    status = made(pod(resources={"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}), container())
    assert status["resources"] == {"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}
    assert status["allocatedResources"] == {"cpu": "1"}
    assert not {"resources", "allocatedResources"} & set(made(pod(), container()))
