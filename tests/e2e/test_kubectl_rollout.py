"""kubectl rollout and scale on what has revisions, without any container running."""

import pytest

from tests.e2e import command
from tests.e2e.conftest import eventually

IMAGE = "{.spec.template.spec.containers[0].image}"


def recorded(kubectl, kind, count):
    """The controller has noted so many revisions of ``it``."""
    things = "replicasets" if kind == "Deployment" else "controllerrevisions"
    eventually(lambda: len(kubectl.get(things)["items"]) >= count)
    eventually(lambda: observed(kubectl, kind))


def observed(kubectl, kind):
    """The controller has told of the newest ``it``."""
    found = kubectl.get(kind, "it")
    return found["status"].get("observedGeneration") == found["metadata"]["generation"]


@pytest.mark.parametrize("kind", ["Deployment", "DaemonSet", "StatefulSet"])
def test_undo_and_history(kubectl, kind):
    more = {"serviceName": "it"} if kind == "StatefulSet" else {}
    it = f"{kind.lower()}/it"
    kubectl.create(command.workload(kind, "it", 0, **more))
    recorded(kubectl, kind, 1)
    kubectl("set", "image", it, "main=absent:2")
    recorded(kubectl, kind, 2)
    for mode in ("client", "server"):
        kubectl("rollout", "undo", it, f"--dry-run={mode}")
    assert kubectl.path(it, IMAGE) == "absent:2"
    # compared byte by byte
    assert "skipped rollback" in kubectl("rollout", "undo", it, "--to-revision=2")
    kubectl("rollout", "undo", it, "--to-revision=1")
    assert kubectl.path(it, IMAGE) == "absent:1"
    assert "unable to find" in kubectl.refusal("rollout", "undo", it, "--to-revision=1000000")
    eventually(lambda: kubectl("rollout", "history", it).split("CHANGE-CAUSE")[1].split()[::2] == ["2", "3"])
    assert "absent:2" in kubectl("rollout", "history", it, "--revision=2")
    kubectl("rollout", "undo", it)
    assert kubectl.path(it, IMAGE) == "absent:2"
    kubectl("rollout", "restart", it)
    assert kubectl.path(it, "{.spec.template.metadata.annotations}").startswith('{"kubectl.kubernetes.io/restartedAt"')
    assert "kubectl-rollout" in kubectl.managers(it)


def test_what_is_paused_is_not_rolled(kubectl):
    kubectl.create(command.workload("Deployment", "it", 0))
    recorded(kubectl, "Deployment", 1)
    kubectl("set", "image", "deployment/it", "main=absent:2")
    recorded(kubectl, "Deployment", 2)
    kubectl("rollout", "pause", "deployment/it")
    assert "cannot rollback a paused deployment" in kubectl.refusal("rollout", "undo", "deployment/it")
    assert "can't restart paused deployment" in kubectl.refusal("rollout", "restart", "deployment/it")
    assert "already paused" in kubectl.refusal("rollout", "pause", "deployment/it")
    kubectl("rollout", "resume", "deployment/it")
    kubectl("rollout", "undo", "deployment/it")
    recorded(kubectl, "Deployment", 2)
    newest = eventually(lambda: [
        rs for rs in kubectl.get("replicasets")["items"]
        if rs["metadata"].get("annotations", {}).get("deployment.kubernetes.io/revision") == "3"
    ])[0]  # fmt: skip
    assert newest["metadata"]["annotations"]["deployment.kubernetes.io/revision-history"] == "1"
    number = "{.metadata.annotations.deployment\\.kubernetes\\.io/revision}"
    eventually(lambda: kubectl.path("deployment it", number) == "3")
    said = kubectl.refusal("rollout", "status", "deployment/it", "--revision=2", "--timeout=180s")
    assert "desired revision (2) is different from the running revision (3)" in said
    assert "no rollbacker" in kubectl.refusal("rollout", "undo", f"replicaset/{newest['metadata']['name']}")


@pytest.mark.parametrize("kind", ["Deployment", "ReplicaSet", "StatefulSet"])
def test_scale(kubectl, kind):
    more = {"serviceName": "it"} if kind == "StatefulSet" else {}
    it = f"{kind.lower()}/it"
    kubectl.create(command.workload(kind, "it", 0, **more))
    eventually(lambda: observed(kubectl, kind))  # what the controller writes could come between reading and writing
    kubectl("scale", it, "--replicas=2", "--dry-run=server")
    assert kubectl.path(it, "{.spec.replicas}") == "0"
    kubectl("scale", it, "--replicas=1", "--current-replicas=0")
    said = kubectl.refusal("scale", it, "--replicas=3", "--current-replicas=7")
    assert "Expected replicas to be 7, was 1" in said
    version = kubectl.path(it, "{.metadata.resourceVersion}")
    assert kubectl.path(f"{it} --subresource=scale", "{.kind} {.spec.replicas}") == "Scale 1"
    assert "kubectl" in kubectl.managers(it)[-1] or "kubectl-create" in kubectl.managers(it)
    assert version
    said = kubectl.refusal("scale", it, "--replicas=3", "--resource-version=1")
    assert "Expected resource version to be 1" in said


def test_scale_several(kubectl):
    kubectl.create(*(command.workload("Deployment", name, 0) for name in ("one", "two")))
    kubectl("scale", "deployment", "--all", "--replicas=1")
    assert kubectl.path("deployments", "{.items[*].spec.replicas}") == "1 1"
    kubectl("scale", "deployment", "-l", "app=two", "--replicas=0")
    assert kubectl.path("deployments", "{.items[*].spec.replicas}") == "1 0"
