import pytest

from kubeshim.node.container_runtime import runtime
from kubeshim.node.kubelet import actions, labels, observation, pod_spec

RUNNING, EXITED = runtime.State.RUNNING, runtime.State.EXITED
SIDECAR = {"name": "s", "image": "i", "restartPolicy": "Always"}
INIT = {"name": "i", "image": "i"}


def pod(policy="Always", init=(), names=("a",)):
    containers = [{"name": name, "image": "i"} for name in names]
    return {"metadata": {}, "spec": {"restartPolicy": policy, "containers": containers, "initContainers": list(init)}}


def box(name, state=RUNNING, code=0, sandbox="new", image="i"):
    found = {labels.CONTAINER: name, labels.HASH: pod_spec.fingerprint({"name": name, "image": image})}
    return runtime.Container(
        id=name, name=name, sandbox_id=sandbox, state=state, image="i", image_id="", created_at=1.0, started_at=1.0,
        finished_at=2.0, exit_code=code, signal=0, oom_killed=False, message="", pid=0, labels=found,
    )  # fmt: skip


def sandbox(state=RUNNING):
    return runtime.Sandbox("new", "s", state, 1, 1.0, {}, "own")


CASES = [
    ("new pod", pod(), [], [], {}, (), (True, ["a"], [], False)),
    ("new pod with init", pod(init=[INIT]), [], [], {}, (), (True, ["i"], [], False)),
    ("sandbox ready", pod(names="ab"), [sandbox()], [], {}, (), (False, ["a", "b"], [], False)),
    ("all run", pod(), [sandbox()], [box("a")], {}, (), (False, [], [], False)),
    ("ended", pod(), [sandbox()], [box("a", EXITED)], {}, (), (False, ["a"], [], False)),
    ("ended, on failure", pod("OnFailure"), [sandbox()], [box("a", EXITED)], {}, (), (False, [], [], False)),
    ("failed, on failure", pod("OnFailure"), [sandbox()], [box("a", EXITED, 1)], {}, (), (False, ["a"], [], False)),
    ("ended, never", pod("Never"), [sandbox()], [box("a", EXITED, 1)], {}, (), (False, [], [], False)),
    ("init first", pod(init=[INIT]), [sandbox()], [], {}, (), (False, ["i"], [], False)),
    ("init runs", pod(init=[INIT]), [sandbox()], [box("i")], {}, (), (False, [], [], False)),
    ("init done", pod(init=[INIT]), [sandbox()], [box("i", EXITED)], {}, (), (False, ["a"], [], False)),
    ("init failed", pod(init=[INIT]), [sandbox()], [box("i", EXITED, 1)], {}, (), (False, ["i"], [], False)),
    ("init failed, never", pod("Never", [INIT]), [sandbox()], [box("i", EXITED, 1)], {}, (), (False, [], [], True)),
    ("sidecar starting", pod(init=[SIDECAR]), [sandbox()], [box("s")], {}, ("s",), (False, [], [], False)),
    ("sidecar started", pod(init=[SIDECAR]), [sandbox()], [box("s")], {}, (), (False, ["a"], [], False)),
    ("sidecar ended later", pod(init=[SIDECAR]), [sandbox()], [box("s", EXITED), box("a")], {}, (),
     (False, ["s"], [], False)),
    ("dead sandbox", pod(), [sandbox(EXITED)], [box("a")], {}, (), (True, ["a"], [], False)),
    ("dead sandbox, never", pod("Never"), [sandbox(EXITED)], [box("a", EXITED)], {}, (), (False, [], [], False)),
    ("of an older sandbox", pod(init=[INIT]), [sandbox()], [box("i", EXITED, 0, "old"), box("a", EXITED, 0, "old")],
     {}, (), (False, ["i"], [], False)),
    ("liveness", pod(), [sandbox()], [box("a")], {"a": "liveness"}, (),
     (False, [], ["Container a failed liveness probe, will be restarted"], False)),
    *[
        (f"new image, {policy}", pod(policy), [sandbox()], [box("a", image="old")], {}, (),
         (False, ["a"], ["Container a definition changed, will be restarted"], False))
        for policy in ("Always", "Never")
    ],
]  # fmt: skip


@pytest.mark.parametrize(("spec", "boxes", "found", "bad", "starting", "wanted"), [c[1:] for c in CASES],
                         ids=[c[0] for c in CASES])  # fmt: skip
def test_actions(spec, boxes, found, bad, starting, wanted):
    todo = actions.compute(spec, observation.of(boxes, found), bad, starting)
    names, messages = [each["name"] for each in todo.start], [kill.message for kill in todo.kill]
    assert (todo.create_sandbox, names, messages, todo.failed) == wanted
