"""A kubelet begins where another was killed: after each step that leaves something half made."""

import kubelet_kit as kit_module
import pytest

from kubeshim.node.container_runtime import runtime
from kubeshim.node.kubelet import labels


class Killed(BaseException):
    """Ends the worker's round as if the process had ended."""


def kill_at(kit, owner, method, *, before=False):
    """The kubelet dies right after (or before) that call's effect; the engine keeps what it was told."""
    original = getattr(owner, method)

    def call(*arguments, **options):
        result = None if before else original(*arguments, **options)
        for made, _ in kit.running:
            made.stop()
        raise Killed(result)

    setattr(owner, method, call)
    return lambda: setattr(owner, method, original)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_sandbox_without_network_gets_it(kit):
    restore = kill_at(kit, kit.network, "attach", before=True)
    kit.start()
    kit.create(kit_module.pod("a", kit.settings.node_name))
    kit.wait_engine(lambda: kit.engine.sandboxes({labels.POD_NAME: "a"}))
    kit.stop()
    restore()
    (sandbox,) = kit.engine.sandboxes({labels.POD_NAME: "a"})
    assert kit.network.attached == {}
    kit.start()
    found = kit.wait("a", kit_module.ready)
    assert kit.network.attached == {sandbox.pid: [found["status"]["podIP"]]}
    assert [each.id for each in kit.engine.sandboxes({labels.POD_NAME: "a"})] == [sandbox.id]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_container_that_was_made_is_started_and_counts_no_restart(kit):
    restore = kill_at(kit, kit.engine, "create_container")
    kit.start()
    kit.create(kit_module.pod("a", kit.settings.node_name))
    kit.wait_engine(lambda: kit.engine.containers({labels.POD_NAME: "a"}))
    kit.stop()
    restore()
    (made,) = kit.engine.containers({labels.POD_NAME: "a"})
    assert made.state is runtime.State.CREATED
    kit.start()
    (status,) = kit.wait("a", kit_module.ready)["status"]["containerStatuses"]
    assert (status["containerID"].rpartition("/")[2], status["restartCount"]) == (made.id, 0)
    assert len(kit.engine.containers({labels.POD_NAME: "a"})) == 1


def test_cgroups_of_pods_that_are_no_more_go(kit):
    root = f"kubeshim/{kit.settings.node_name}"
    gone = [f"{root}/pod1", f"{root}/burstable/pod2", f"{root}/besteffort/pod3"]
    for parent in gone:
        kit.engine.limit_cgroup(parent, runtime.Resources())
    kit.create(kit_module.pod("a", kit.settings.node_name))
    kit.start()
    kit.wait("a", kit_module.ready)
    kit.wait_engine(lambda: not set(gone) & set(kit.engine.cgroups))
    assert f"{root}/besteffort/pod{kit.pod('a')['metadata']['uid']}" in kit.engine.cgroups


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_the_cgroup_of_a_pod_whose_sandbox_went_just_before_goes_with_the_pod(kit):
    kit.start()
    uid = kit.create(kit_module.pod("a", kit.settings.node_name))["metadata"]["uid"]
    kit.wait("a", kit_module.ready)
    restore = kill_at(kit, kit.engine, "remove_sandbox")
    kit.delete("a")
    kit.wait_engine(lambda: not kit.engine.sandboxes({}))
    kit.stop()
    restore()
    kit.start()
    kit.wait_engine(lambda: not any(parent.endswith(f"/pod{uid}") for parent in kit.engine.cgroups))
