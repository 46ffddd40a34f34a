"""Both runtimes, for the contract suite."""

import uuid

import pytest

from kubeshim.node.container_runtime import docker, fake
from kubeshim.node.container_runtime import runtime as interface
from tests import busybox_image


@pytest.fixture(scope="session")
def docker_runtime():
    runtime = docker.Docker()
    busybox_image.ensure(runtime)
    yield runtime
    runtime.close()


@pytest.fixture
def labels():
    return {"io.kubeshim.cluster": f"test-{uuid.uuid4().hex[:8]}"}


def _execute(command):
    if command == ["no-such-program"]:
        raise interface.StartFailure("OCI runtime exec failed: no-such-program: not found", 126)
    return 7, b"out\n"


@pytest.fixture(params=["fake", pytest.param("docker", marks=pytest.mark.docker)])
def runtime(request, labels):
    if request.param == "fake":
        made = fake.Fake(
            [
                fake.Rule(lambda spec: spec.args == ["sh", "-c", "echo hello; exit 3"], 0.02, 3, [b"hello\n"]),
                fake.Rule(lambda spec: spec.args == ["/nothing"], start_error="no such file or directory"),
                fake.Rule(exec_result=_execute, stop_code=137),
            ],
            images=[busybox_image.NAME],
            registry=[],
        )
        yield made
        made.close()
        return
    made = request.getfixturevalue("docker_runtime")
    yield made
    for container in made.containers(labels):
        made.remove_container(container.id)
    for sandbox in made.sandboxes(labels):
        made.remove_sandbox(sandbox.id)
