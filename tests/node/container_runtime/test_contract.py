"""What every runtime promises."""

import threading
import uuid

import pytest

from kubeshim.node.container_runtime import runtime as interface
from tests import busybox_image


def sandbox_of(runtime, labels):
    return runtime.run_sandbox(interface.SandboxSpec(f"kubeshim-test-{uuid.uuid4().hex[:8]}", "box", labels))


def container_of(runtime, sandbox, labels, *args, **more):
    name = f"kubeshim-test-{uuid.uuid4().hex[:8]}"
    spec = interface.ContainerSpec(name, busybox_image.NAME, {**labels, "n": name}, args=list(args), **more)
    return runtime.create_container(sandbox.id, spec)


def test_a_sandbox_runs_until_it_is_stopped_and_removed(runtime, labels):
    sandbox = sandbox_of(runtime, labels)
    assert sandbox.state == interface.State.RUNNING and sandbox.pid > 0 and sandbox.network == "own"
    assert [found.id for found in runtime.sandboxes(labels)] == [sandbox.id]
    assert runtime.sandboxes({**labels, "other": "x"}) == [] and runtime.containers(labels) == []
    runtime.stop_sandbox(sandbox.id)
    runtime.stop_sandbox(sandbox.id)
    runtime.remove_sandbox(sandbox.id)
    runtime.remove_sandbox(sandbox.id)
    runtime.stop_sandbox(sandbox.id)
    assert runtime.sandboxes(labels) == []


def test_a_container_exits_with_its_code_and_keeps_its_output(runtime, labels):
    identity = container_of(runtime, sandbox_of(runtime, labels), labels, "sh", "-c", "echo hello; exit 3")
    assert runtime.container(identity).state == interface.State.CREATED
    events = watch(runtime, labels, "died")
    runtime.start_container(identity)
    assert events.get() == (identity, 3)
    found = runtime.container(identity)
    assert (found.state, found.exit_code, found.pid) == (interface.State.EXITED, 3, 0)
    assert found.finished_at >= found.started_at >= found.created_at > 0
    assert found.labels["n"] == found.name
    assert list(runtime.logs(identity, interface.LogOptions())) == [("stdout", b"hello\n")]
    [(_, stamped)] = runtime.logs(identity, interface.LogOptions(timestamps=True, tail_lines=1))
    assert stamped[:2] == b"20" and stamped.endswith(b" hello\n")


def test_a_container_that_cannot_start_says_why(runtime, labels):
    identity = container_of(runtime, sandbox_of(runtime, labels), labels, "/nothing")
    with pytest.raises(interface.StartFailure, match="no such file or directory"):
        runtime.start_container(identity)
    found = runtime.container(identity)
    assert (found.state, found.exit_code) == (interface.State.EXITED, 128) and found.message


def test_stopping_kills_after_the_grace_and_removing_is_idempotent(runtime, labels):
    identity = container_of(runtime, sandbox_of(runtime, labels), labels, "sleep", "1000")
    runtime.start_container(identity)
    assert runtime.container(identity).state == interface.State.RUNNING
    runtime.stop_container(identity, 0.1)  # as PID 1 sleep ignores SIGTERM
    assert runtime.container(identity).exit_code == 137
    runtime.stop_container(identity, 0)
    runtime.remove_container(identity)
    runtime.remove_container(identity)
    runtime.stop_container(identity, 0)
    with pytest.raises(interface.NotFound):
        runtime.container(identity)


def test_exec_gives_output_and_code(runtime, labels):
    identity = container_of(runtime, sandbox_of(runtime, labels), labels, "sleep", "1000")
    runtime.start_container(identity)
    assert runtime.exec_sync(identity, ["sh", "-c", "echo out; exit 7"], 10) == (7, b"out\n")
    session = runtime.exec(identity, ["sh", "-c", "echo out; exit 7"], stdin=False, stdout=True, stderr=True, tty=False)
    assert list(session.read()) == [("stdout", b"out\n")] and session.exit_code() == 7
    session.close()


def test_what_is_not_there_is_refused_by_its_own_error(runtime, labels):
    sandbox = sandbox_of(runtime, labels)
    missing = interface.ContainerSpec("kubeshim-test-none", "kubeshim-test/none:1", labels)
    with pytest.raises(interface.NotFound):
        runtime.create_container(sandbox.id, missing)
    assert runtime.image("kubeshim-test/none:1") is None
    assert runtime.stats("0" * 64) is None
    with pytest.raises(interface.ImagePullFailure):
        runtime.pull_image("127.0.0.1:1/none:1", None)


def watch(runtime, labels, kind):
    """The first event of that kind, from now on."""
    ready, found = threading.Event(), []

    def stop():
        ready.set()
        return bool(found)

    def follow():
        for event in runtime.events(labels, stop):
            if event.kind == kind:
                found.append((event.id, event.exit_code))
                return

    thread = threading.Thread(target=follow)
    thread.start()
    ready.wait()

    class Result:
        def get(self):
            thread.join(60)
            return found[0]

    return Result()


def test_an_exec_whose_program_is_not_there_has_not_begun(runtime, labels):
    identity = container_of(runtime, sandbox_of(runtime, labels), labels, "sleep", "1000")
    runtime.start_container(identity)
    with pytest.raises(interface.StartFailure, match=r"^OCI runtime exec failed: .*no-such-program"):
        runtime.exec_sync(identity, ["no-such-program"], 10)
    for tty in (False, True):
        session = runtime.exec(identity, ["no-such-program"], stdin=False, stdout=True, stderr=True, tty=tty)
        with pytest.raises(interface.StartFailure, match="no-such-program"):
            list(session.read())
        session.close()
    if runtime.info().name == "docker":
        said = ["sh", "-c", "echo OCI runtime exec failed; exit 126"]
        assert runtime.exec_sync(identity, said, 10) == (126, b"OCI runtime exec failed\n")


@pytest.mark.docker
def test_what_a_container_writes_is_measured(docker_runtime, labels):
    sandbox = sandbox_of(docker_runtime, labels)
    try:
        script = "head -c 300000 /dev/zero > /file; seq 1 20000; sleep 1000"
        identity = container_of(docker_runtime, sandbox, labels, "sh", "-c", script)
        docker_runtime.start_container(identity)
        for _, line in docker_runtime.logs(identity, interface.LogOptions(follow=True)):
            if line == b"20000\n":
                break
        found = docker_runtime.storage(identity)
        assert found.writable >= 300_000 and found.logs > 100_000
    finally:
        for container in docker_runtime.containers(labels):
            docker_runtime.remove_container(container.id)
        docker_runtime.remove_sandbox(sandbox.id)
    assert docker_runtime.storage(identity) is None
