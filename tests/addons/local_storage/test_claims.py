"""Which claims are ours, which are refused, and what becomes of a claim's status while it grows."""

import pytest

from kubeshim.addons.local_storage import claims

CLASS = {"metadata": {"name": "local-path"}, "provisioner": claims.PROVISIONER, "reclaimPolicy": "Delete"}
WAITING = {**CLASS, "volumeBindingMode": "WaitForFirstConsumer"}
ASKED = dict.fromkeys(claims.ASKED_OF, claims.PROVISIONER)


def claim(annotations=ASKED, **spec):
    return {
        "metadata": {"name": "data", "namespace": "shop", "uid": "u1", "annotations": annotations},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec},
    }


@pytest.mark.parametrize(
    ("asking", "storage_class", "ours"),
    [
        (claim(), CLASS, True),
        (claim(), WAITING, False),
        (claim({**ASKED, claims.SELECTED_NODE: "n"}), WAITING, True),
        (claim({}), CLASS, False),
        (claim(dict.fromkeys(claims.ASKED_OF, "other")), CLASS, False),
        (claim(), {**CLASS, "provisioner": "other"}, False),
        (claim(), None, False),
        (claim(volumeName="v"), CLASS, False),
    ],
)
def test_which_claims_are_ours(asking, storage_class, ours):
    assert claims.awaits_us(asking, storage_class) is ours


@pytest.mark.parametrize(
    ("asking", "storage_class", "word"),
    [
        (claim(), CLASS, ""),
        (claim(accessModes=["ReadWriteOncePod"]), CLASS, ""),
        (claim(accessModes=["ReadWriteOnce", "ReadWriteMany"]), CLASS, "ReadWriteMany"),
        (claim(volumeMode="Block"), CLASS, "block"),
        (claim(selector={"matchLabels": {"a": "b"}}), CLASS, "selector"),
        (claim(dataSource={"kind": "VolumeSnapshot", "name": "s"}), CLASS, "VolumeSnapshot s"),
        (claim(), {**CLASS, "parameters": {"nodePath": "/x"}}, "nodePath"),
        (claim(), {**CLASS, "mountOptions": ["noatime"]}, "noatime"),
    ],
)
def test_refusals_name_what_cannot_be(asking, storage_class, word):
    said = claims.refusal(asking, storage_class)
    assert (word in said) if word else said == ""


@pytest.mark.parametrize(
    ("spec", "allowed", "admitted"),
    [
        ({}, None, True),
        ({"unschedulable": True}, None, False),
        ({"taints": [{"key": "k", "effect": "NoSchedule"}]}, None, False),
        ({"taints": [{"key": "k", "effect": "PreferNoSchedule"}]}, None, True),
        ({}, [{"matchLabelExpressions": [{"key": "zone", "values": ["a"]}]}], True),
        ({}, [{"matchLabelExpressions": [{"key": "zone", "values": ["b"]}]}], False),
    ],
)
def test_where_unplaced_claims_go(spec, allowed, admitted):
    node = {"metadata": {"name": "n", "labels": {"zone": "a"}}, "spec": spec}
    assert claims.admits(node, {**CLASS, "allowedTopologies": allowed}) is admitted


@pytest.mark.parametrize(("policy", "kept"), [("Delete", [claims.FINALIZER]), ("Retain", None)])
def test_the_volume(policy, kept):
    made = claims.volume(claim(), {**CLASS, "reclaimPolicy": policy}, "n1", "/data/x")
    assert made["metadata"]["name"] == "pvc-u1"
    assert made["metadata"].get("finalizers") == kept
    assert made["spec"]["claimRef"]["uid"] == "u1"
    assert (claims.hostname_of(made), claims.is_ours(made)) == ("n1", True)


@pytest.mark.parametrize(
    ("policy", "phase", "deleting", "removed"),
    [
        ("Delete", "Released", False, True),
        ("Delete", "Bound", False, False),
        ("Delete", "Bound", True, False),
        ("Delete", "Available", True, True),
        ("Retain", "Released", False, False),
        ("Retain", "Released", True, False),
    ],
)
def test_when_a_directory_goes(policy, phase, deleting, removed):
    made = claims.volume(claim(), {**CLASS, "reclaimPolicy": policy}, "n1", "/x")
    made["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z"} if deleting else {}
    assert claims.to_be_removed({**made, "status": {"phase": phase}}) is removed


def test_a_status_grows_in_two_steps():
    before = claim() | {"status": {"phase": "Bound", "capacity": {"storage": "1Mi"}}}
    assert claims.grows(before)
    during = claims.growing(before, "2026-01-01T00:00:00Z")
    assert during["allocatedResourceStatuses"] == {"storage": "ControllerResizeInProgress"}
    assert [one["type"] for one in during["conditions"]] == ["Resizing"]
    after = claims.grown(during, "1Gi")
    assert after == {"phase": "Bound", "capacity": {"storage": "1Gi"}, "allocatedResources": {"storage": "1Gi"}}
    assert not claims.grows({**before, "status": after})
