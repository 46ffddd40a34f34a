"""What is said of claims and volumes that do not come together, and who keeps a claim."""

import pytest

from kubeshim.control_plane.controller_manager import volume_claims


def claim(**spec):
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}, **spec}
    return {"metadata": {"name": "c", "namespace": "x"}, "spec": spec}


def volume(size="2Gi", annotations=None, **spec):
    spec = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": size}, **spec}
    return {"metadata": {"name": "v", "annotations": annotations or {}}, "spec": spec}


@pytest.mark.parametrize(
    ("offered", "wanted", "why"),
    [
        (volume(), claim(), ""),
        (volume("3Gi"), claim(), ""),
        (volume("1Gi"), claim(), "requested PV is too small"),
        (volume(storageClassName="a"), claim(storageClassName="b"), "storageClassName does not match"),
        (volume(storageClassName="a"), claim(), "storageClassName does not match"),
        (volume(), claim(storageClassName=""), ""),
        (volume(), claim(volumeAttributesClassName="a"), "volumeAttributesClassName does not match"),
        (volume(volumeMode="Block"), claim(), "incompatible volumeMode"),
        (volume(), claim(accessModes=["ReadWriteMany"]), "incompatible accessMode"),
    ],
)
def test_a_volume_asked_for_by_name(offered, wanted, why):
    assert volume_claims.mismatch(offered, wanted) == why


def pod(name, node="", phase="Pending", uid="u", **more):
    volumes = [{"name": "a", "persistentVolumeClaim": {"claimName": "c"}}]
    metadata = {"name": name, "namespace": "x", "uid": uid, **more.pop("metadata", {})}
    return {"metadata": metadata, "spec": {"volumes": volumes, "nodeName": node, **more}, "status": {"phase": phase}}


@pytest.mark.parametrize(
    ("there", "reason", "text"),
    [
        ([], "WaitForFirstConsumer", "waiting for first consumer to be created before binding"),
        ([pod("a", node="n")], "WaitForFirstConsumer", "waiting for first consumer to be created before binding"),
        ([pod("a"), pod("b", phase="Failed")], "WaitForPodScheduled", "waiting for pod a to be scheduled"),
        ([pod("a"), pod("b")], "WaitForPodScheduled", "waiting for pods a,b to be scheduled"),
        ([pod("a", volumes=[])], "WaitForFirstConsumer", "waiting for first consumer to be created before binding"),
    ],
)
def test_whom_a_claim_waits_for(there, reason, text):
    assert volume_claims.waiting_for(claim(), there) == (reason, text)


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (volume(annotations={volume_claims.PROVISIONED_BY: "d"}), ""),
        (volume(), 'error getting deleter volume plugin for volume "v": no deletable volume plugin matched'),
        (
            volume(hostPath={"path": "/mnt/a"}),
            "host_path deleter only supports /tmp/.+ but received provided /mnt/a",
        ),
    ],
)
def test_volumes_that_nobody_deletes(made, why):
    assert volume_claims.cannot_delete(made) == why


def test_a_class_without_a_provisioner():
    text = "no volume plugin matched name: kubernetes.io/no-provisioner"
    assert volume_claims.no_provisioner({"provisioner": "kubernetes.io/no-provisioner"}) == text
    assert volume_claims.no_provisioner({"provisioner": "example.com/d"}) == ""


def test_what_a_bound_claim_says():
    status = volume_claims.bound_status(
        {**claim(), "status": {"phase": "Pending"}}, volume(volumeAttributesClassName="a")
    )
    assert status == {
        "phase": "Bound",
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "2Gi"},
        "currentVolumeAttributesClassName": "a",
    }


EPHEMERAL = [{"name": "d", "ephemeral": {"volumeClaimTemplate": {}}}]
SHUT_DOWN = {"deletionTimestamp": "t", "deletionGracePeriodSeconds": 0}


@pytest.mark.parametrize(
    ("one", "keeps"),
    [
        (pod("a", node="n", phase="Running"), True),
        (pod("a", node="n", phase="Failed"), True),
        (pod("a"), False),
        (pod("a", node="n", volumes=[]), False),
        (pod("p", node="n", volumes=EPHEMERAL), True),
        (pod("p", node="n", volumes=EPHEMERAL, uid="other"), False),
        (pod("p", node="n", volumes=EPHEMERAL, metadata=SHUT_DOWN), False),
    ],
)
def test_who_keeps_a_claim(one, keeps):
    held = claim()
    if one["spec"]["volumes"] == EPHEMERAL:
        held["metadata"] |= {"name": "p-d", "ownerReferences": [{"uid": "u", "controller": True}]}
    assert bool(volume_claims.users(held, [one])) == keeps


RUNNING = {"name": "c", "state": {"running": {}}}
GOING = {"deletionTimestamp": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("one", "statuses", "used"),
    [
        (pod("a"), (), True),  # not placed yet
        (pod("a", node="n", phase="Running"), (RUNNING,), True),
        (pod("a", node="n", phase="Succeeded"), (), False),
        (pod("a", node="n", phase="Running", metadata=GOING), (RUNNING,), True),
        (pod("a", node="n", phase="Running", metadata=GOING), (RUNNING | {"state": {"terminated": {}}},), False),
        (pod("a", volumes=[]), (), False),
    ],
)
def test_who_uses_a_claim(one, statuses, used):
    one["status"]["containerStatuses"] = list(statuses)
    assert volume_claims.is_in_use(claim(), [one]) == used
    told = volume_claims.unused(used, "2026-01-01T00:00:00Z")
    assert (told["status"], told["reason"]) == (("False", "PodUsingPVC") if used else ("True", "NoPodsUsingPVC"))
