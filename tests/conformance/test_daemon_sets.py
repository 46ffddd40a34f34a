"""Daemon sets: one pod a node, updates and their revisions."""

import contextlib
import json

import kubernetes.dynamic.exceptions as refusals
import pytest

from tests.conformance.kube import BUSYBOX, IDLE, MERGE, WEB, container, is_ready, meta, owner, template
from tests.conformance.names import answers

DAEMON = "[sig-apps] Daemon set [Serial] "
CHOSEN = "app=ds"


def daemon_set(**pod_spec):
    return {
        "kind": "DaemonSet",
        "metadata": meta("ds", labels={"app": "ds"}),
        "spec": {
            "selector": {"matchLabels": {"app": "ds"}},
            "template": template({"app": "ds"}, container(IDLE), **pod_spec),
        },
    }


def nodes(kube):
    """Those that ordinary pods may run on."""
    return {n["metadata"]["name"] for n in kube.items("Node") if not n["spec"].get("taints")}


def run_on(kube, wanted, image=None):
    """Waits until just these nodes have a ready pod of the set, of that image if one is given."""

    def good(found):
        places = [p["spec"]["nodeName"] for p in found if is_ready(p) and image in (None, image_of(p))]
        return sorted(places) == sorted(wanted) and len(found) == len(wanted)

    return kube.wait_all("Pod", good, labelSelector=CHOSEN)


def image_of(obj):
    return obj["spec"]["containers"][0]["image"]


def counted(wanted):
    """The status tells of so many nodes."""

    def good(obj):
        status = obj["status"]
        keys = ("desiredNumberScheduled", "currentNumberScheduled", "numberAvailable")
        return {status.get(key, 0) for key in keys} == {wanted}

    return good


@answers(DAEMON + "should run and stop simple daemon")
def test_simple(kube):
    kube.create(daemon_set())
    everywhere = nodes(kube)
    found = run_on(kube, everywhere)
    kube.wait("DaemonSet", "ds", counted(len(everywhere)))
    victim = found[0]["metadata"]
    kube.delete("Pod", victim["name"], grace=0)
    kube.gone("Pod", victim["name"])
    run_on(kube, everywhere)
    kube.delete("DaemonSet", "ds", propagation="Foreground")
    kube.wait_all("Pod", lambda left: not left, labelSelector=CHOSEN)


@pytest.fixture
def color(everywhere, kube):
    """Gives a node a color of this test's, or takes it away (None)."""
    node, key = sorted(nodes(kube))[0], f"{kube.namespace}-color"

    def paint(value):
        everywhere.patch("Node", node, {"metadata": {"labels": {key: value}}})
        return node

    paint.key = key
    yield paint
    paint(None)


@answers(DAEMON + "should run and stop complex daemon")
def test_complex(kube, color):
    kube.create(daemon_set(nodeSelector={color.key: "blue"}))
    kube.wait("DaemonSet", "ds", counted(0))
    run_on(kube, [])
    node = color("blue")
    run_on(kube, [node])
    kube.wait("DaemonSet", "ds", counted(1))
    color("green")
    run_on(kube, [])
    patch = {
        "spec": {
            "template": {"spec": {"nodeSelector": {color.key: "green"}}},
            "updateStrategy": {"type": "RollingUpdate"},
        }
    }
    kube.patch("DaemonSet", "ds", patch)
    run_on(kube, [node])


@answers(DAEMON + "should retry creating failed daemon pods")
def test_a_failed_pod(kube):
    kube.create(daemon_set())
    everywhere = nodes(kube)
    victim = run_on(kube, everywhere)[0]
    victim["status"]["phase"] = "Failed"
    victim["metadata"].pop("resourceVersion")
    kube.update(victim, subresource="status")
    kube.gone("Pod", victim["metadata"]["name"])
    run_on(kube, everywhere)


def history(kube):
    """(revision, name) of what the set has been, oldest first."""
    return sorted(
        (each["revision"], each["metadata"]["name"]) for each in kube.items("ControllerRevision", labelSelector=CHOSEN)
    )


def set_image(kube, image):
    containers = [{"name": "main", "image": image}]
    patch = {"spec": {"template": {"spec": {"containers": containers}}}}
    return kube.patch("DaemonSet", "ds", patch, how="application/strategic-merge-patch+json")


@answers(DAEMON + "should update pod when spec was updated and update strategy is RollingUpdate")
def test_update(kube):
    made = kube.create(daemon_set())
    everywhere = nodes(kube)
    old = run_on(kube, everywhere, BUSYBOX)
    [(revision, name)] = history(kube)
    assert revision == 1
    # clients know the revision of a template by its bytes, which are those that Go writes
    data = {"spec": {"template": {**made["spec"]["template"], "$patch": "replace"}}}
    assert json.dumps(kube.get("ControllerRevision", name)["data"]) == json.dumps(data, sort_keys=True)
    set_image(kube, WEB)
    new = run_on(kube, everywhere, WEB)
    hashes = {p["metadata"]["labels"]["controller-revision-hash"] for p in new}
    kube.wait("DaemonSet", "ds", lambda d: d["status"].get("updatedNumberScheduled") == len(everywhere))
    assert len(hashes) == 1
    assert hashes.isdisjoint(p["metadata"]["labels"]["controller-revision-hash"] for p in old)
    assert [revision for revision, _ in history(kube)] == [1, 2]


@answers(DAEMON + "should rollback without unnecessary restarts")
def test_roll_back(kube):
    kube.create(daemon_set())
    everywhere = nodes(kube)
    before = {p["metadata"]["uid"] for p in run_on(kube, everywhere)}
    bad = "foo:non-existent"
    set_image(kube, bad)
    found = kube.wait_all("Pod", lambda found: any(image_of(p) == bad for p in found), labelSelector=CHOSEN)
    # a new pod comes only once the old one of its node is gone: all the others stay
    untouched = {p["metadata"]["uid"] for p in found if image_of(p) == BUSYBOX}
    assert untouched
    set_image(kube, BUSYBOX)
    after = run_on(kube, everywhere, BUSYBOX)
    assert {p["metadata"]["uid"] for p in after} & before == untouched
    assert all(not c["restartCount"] for p in after for c in p["status"]["containerStatuses"])


@answers("[sig-apps] ControllerRevision [Serial] should manage the lifecycle of a ControllerRevision")
def test_revisions(kube):
    made = kube.create(daemon_set())
    run_on(kube, nodes(kube))
    [(_, name)] = history(kube)
    kind = "ControllerRevision"
    first = kube.get(kind, name)
    assert owner(first) == made["metadata"]["uid"]
    assert kube.items(kind, namespace="", labelSelector=f"{CHOSEN},controller-revision-hash")
    patched = kube.patch(kind, name, {"metadata": {"labels": {name: "patched"}}}, how=MERGE)
    assert patched["metadata"]["labels"][name] == "patched"
    again = {
        "kind": kind,
        "metadata": {**meta(f"{name}-again", labels=first["metadata"]["labels"])},
        "data": first["data"],
        "revision": first["revision"] + 1,
    }
    again["metadata"]["ownerReferences"] = first["metadata"]["ownerReferences"]
    kube.create(again)
    assert f"{name}-again" in [other for _, other in history(kube)]
    # of two with the same content the controller keeps the newer one itself, whenever it comes by
    with contextlib.suppress(refusals.NotFoundError):
        kube.delete(kind, name)
    kube.gone(kind, name)
    changed = kube.change(kind, f"{name}-again", lambda r: r["metadata"]["labels"].update({f"{name}-again": "updated"}))
    assert changed["metadata"]["labels"][f"{name}-again"] == "updated"
    patch = {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 0}}}}
    kube.patch("DaemonSet", "ds", patch)
    kube.wait_all(kind, lambda found: max(r["revision"] for r in found) >= 3, labelSelector=CHOSEN)
    kube.delete_all(kind, labelSelector=f"{name}-again=updated")
    kube.gone(kind, f"{name}-again")
    assert len(history(kube)) == 1
