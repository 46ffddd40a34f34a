"""kubectl wait, for everything it can wait for."""

import subprocess

from tests.e2e import command
from tests.e2e.conftest import eventually


def waiting(kubectl, *arguments):
    """A ``kubectl wait`` that is running."""
    return kubectl.cluster.popen("-n", kubectl.namespace, "wait", *arguments, "--timeout=180s",
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # fmt: skip


def watching(process):
    """The same, started with ``-v=6``, once it follows the first object."""
    for line in process.stdout:
        if "allowWatchBookmarks" in line:
            return process
    raise AssertionError("it ended before it watched")


def ended(process):
    output, _ = process.communicate(timeout=180)
    assert process.returncode == 0, output
    return output


def test_for_creation_and_deletion(kubectl):
    creation = waiting(kubectl, "--for=create", "configmap/late")
    kubectl.create(command.config_map("late"))
    assert "configmap/late condition met" in ended(creation)
    deletion = watching(waiting(kubectl, "--for=delete", "configmap/late", "-v=6"))
    kubectl("delete", "configmap", "late")
    assert "configmap/late condition met" in ended(deletion)
    assert kubectl.run("wait", "--for=delete", "configmap/absent").returncode == 0


def test_for_the_deletion_of_all(kubectl):
    kubectl.create(*(command.config_map(name, {"mine": "yes"}) for name in "ab"))
    deletion = watching(waiting(kubectl, "configmap", "--for=delete", "-l", "mine", "-v=6"))
    kubectl("delete", "configmaps", "-l", "mine")
    said = ended(deletion)
    assert "configmap/a condition met" in said and "configmap/b condition met" in said


def test_for_a_field(kubectl):
    kubectl.create(command.config_map("it", state="begun"))
    change = waiting(kubectl, "--for=jsonpath={.data.state}=done", "configmap/it")
    kubectl("patch", "configmap", "it", "-p", '{"data":{"state":"done"}}')
    assert "condition met" in ended(change)
    assert "condition met" in kubectl("wait", "--for=jsonpath={.data.state}", "configmap/it")
    said = kubectl.refusal("wait", "--for=jsonpath={.data.absent}=1", "configmap/it", "--timeout=1s")
    assert "timed out waiting for the condition on configmaps/it" in said


def test_for_a_condition(kubectl):
    kubectl.create(command.pod("it"))
    assert "condition met" in kubectl("wait", "--for=condition=PodScheduled=False", "pod/it", "--timeout=180s")
    said = kubectl.refusal("wait", "--for=condition=Ready", "pod/it", "--timeout=1s")
    assert "timed out waiting for the condition on pods/it" in said
    assert "no matching resources found" in kubectl.refusal("wait", "--for=condition=Ready", "pod", "-l", "no=pod")


def test_for_a_namespace_to_go(kubectl):
    name = f"{kubectl.namespace[:50]}-other"
    kubectl("create", "namespace", name)
    kubectl("create", "configmap", "in-it", "-n", name)
    kubectl("delete", "namespace", name, "--wait=false")
    kubectl("wait", "--for=delete", f"namespace/{name}", "--timeout=180s")
    assert "not found" in kubectl.refusal("get", "namespace", name)


def test_a_watch_ends_with_its_time(kubectl):
    kubectl.create(command.pod("it"))
    # before it watches it lists, which is to take no longer either
    brief = ("-w", "--request-timeout=1")
    eventually(lambda: "it" in kubectl.run("get", "pods", *brief).stdout)
    eventually(lambda: set(kubectl.run("get", "pod/it", "-o", "name", *brief).stdout.splitlines()) == {"pod/it"})
    eventually(lambda: '"absent" not found' in kubectl.refusal("get", "pods/absent", *brief))
