"""Deployments, replica sets and replication controllers."""

import json

import pytest

from tests.conformance.kube import (
    BUSYBOX,
    IDLE,
    MERGE,
    STRATEGIC,
    WEB,
    Refused,
    condition,
    container,
    is_ready,
    meta,
    owner,
    pod,
    template,
)
from tests.conformance.names import answers, case

ONE = "kubeshim.example/busybox:1"


def idle(image=BUSYBOX):
    """A container that starts at once and stops at once; web images have the same shell."""
    return container(IDLE, image=image)


def workload(kind, name, replicas=1, image=BUSYBOX, labels=None, **spec):
    labels = labels or {"app": name}
    selector = labels if kind == "ReplicationController" else {"matchLabels": labels}
    return {
        "kind": kind,
        "metadata": meta(name, labels=labels),
        "spec": {"replicas": replicas, "selector": selector, "template": template(labels, idle(image)), **spec},
    }


def settled(obj):
    """All replicas are of the newest template and available, and it was told of the newest spec."""
    want, status = obj["spec"].get("replicas", 1), obj.get("status", {})
    counts = [status.get(key, 0) for key in ("replicas", "availableReplicas")]
    if obj["kind"] == "Deployment":
        counts.append(status.get("updatedReplicas", 0))
    return status.get("observedGeneration", 0) >= obj["metadata"]["generation"] and set(counts) == {want}


def pods(kube, **labels):
    return kube.items("Pod", labelSelector=",".join(f"{k}={v}" for k, v in labels.items()))


def image_of(obj):
    spec = obj["spec"].get("template", obj)["spec"]
    return spec["containers"][0]["image"]


SET_IMAGE = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": WEB}]}}}}


@pytest.mark.parametrize(
    "kind",
    [
        case("Deployment", of="[sig-apps] Deployment Deployment should have a working scale subresource"),
        case("ReplicaSet", of="[sig-apps] ReplicaSet Replicaset should have a working scale subresource"),
        case(
            "ReplicationController",
            of="[sig-apps] ReplicationController should get and update a ReplicationController scale",
        ),
        case(
            "StatefulSet",
            of="[sig-apps] StatefulSet Basic StatefulSet functionality [StatefulSetBasic] should have a working scale subresource",
        ),
    ],
)
def test_scale(kube, kind):
    more = {"serviceName": "it"} if kind == "StatefulSet" else {}
    kube.create(workload(kind, "it", **more))
    kube.wait(kind, "it", settled)
    scale = kube.get(kind, "it", subresource="scale")
    assert (scale["kind"], scale["spec"]["replicas"]) == ("Scale", 1)
    scale["spec"]["replicas"] = 2
    scale["metadata"].pop("resourceVersion")
    assert kube.call("put", kube.path(kind, "it", subresource="scale"), scale)["spec"]["replicas"] == 2
    kube.wait(kind, "it", lambda obj: settled(obj) and obj["spec"]["replicas"] == 2)
    assert kube.patch(kind, "it", {"spec": {"replicas": 3}}, subresource="scale")["spec"]["replicas"] == 3
    assert kube.get(kind, "it")["spec"]["replicas"] == 3


def stranger(kube):
    """A pod without an owner that the workloads of the next tests would choose."""
    return kube.start(pod("stranger", labels={"app": "it"}, restart="Always"))


@pytest.mark.parametrize(
    ("kind", "release"),
    [
        case(
            "ReplicaSet",
            True,
            of="[sig-apps] ReplicaSet should adopt matching pods on creation and release no longer matching pods",
        ),
        case(
            "ReplicationController", False, of="[sig-apps] ReplicationController should adopt matching pods on creation"
        ),
        case(
            "ReplicationController", True, of="[sig-apps] ReplicationController should release no longer matching pods"
        ),
    ],
)
def test_adopt_and_release(kube, kind, release):
    stranger(kube)
    made = kube.create(workload(kind, "it"))
    kube.wait("Pod", "stranger", lambda p: owner(p) == made["metadata"]["uid"])
    assert len(pods(kube, app="it")) == 1
    if release:
        kube.patch("Pod", "stranger", {"metadata": {"labels": {"app": "released"}}})
        kube.wait("Pod", "stranger", lambda p: owner(p) is None)
        kube.wait_all("Pod", lambda found: len(found) == 1, labelSelector="app=it")


@pytest.mark.parametrize(
    "kind",
    [
        case("ReplicaSet", of="[sig-apps] ReplicaSet should serve a basic image on each replica with a public image"),
        case(
            "ReplicationController",
            of="[sig-apps] ReplicationController should serve a basic image on each replica with a public image",
        ),
    ],
)
def test_each_replica_answers(kube, testhost, kind):
    obj = workload(kind, "it", 2)
    listening = {"httpGet": {"path": "/", "port": 9376}, "periodSeconds": 1}
    server = container(
        image=testhost, args=["serve-hostname"], ports=[{"containerPort": 9376}], readinessProbe=listening
    )
    obj["spec"]["template"]["spec"]["containers"] = [server]
    kube.create(obj)
    kube.wait(kind, "it", settled)
    for each in pods(kube, app="it"):
        name = each["metadata"]["name"]
        # no port is the container's first, no path leads on to the root
        assert kube.call("get", kube.path("Pod", name, subresource="proxy")) == name


@pytest.mark.parametrize(
    "kind",
    [
        case(
            "ReplicationController",
            of="[sig-apps] ReplicationController should surface a failure condition on a common issue like exceeded quota",
        ),
    ],
)
def test_a_failure_is_told(kube, kind):
    kube.create({"kind": "ResourceQuota", "metadata": meta("two"), "spec": {"hard": {"pods": "2"}}})
    kube.wait("ResourceQuota", "two", lambda q: q.get("status", {}).get("hard"))
    kube.create(workload(kind, "it", 3))
    kube.wait(kind, "it", lambda obj: condition(obj, "ReplicaFailure").get("status") == "True")
    kube.patch(kind, "it", {"spec": {"replicas": 2}})
    kube.wait(kind, "it", lambda obj: not condition(obj, "ReplicaFailure") and settled(obj))


@answers("[sig-apps] ReplicaSet Replace and Patch tests")
def test_replace_and_patch_a_replica_set(kube):
    kube.create(workload("ReplicaSet", "it"))
    kube.wait("ReplicaSet", "it", settled)
    kube.change("ReplicaSet", "it", lambda obj: obj["spec"].update(replicas=2))
    kube.wait("ReplicaSet", "it", settled)
    another = {"terminationGracePeriodSeconds": 0, "containers": [{"name": "another", "image": WEB}]}
    patch = {
        "metadata": {"labels": {"test-rs": "patched"}},
        "spec": {"replicas": 3, "template": {"spec": another}},
    }
    kube.patch("ReplicaSet", "it", patch, how=STRATEGIC)
    found = kube.wait("ReplicaSet", "it", settled)
    assert found["metadata"]["labels"]["test-rs"] == "patched"
    # what a patch adds to a list comes first
    assert (found["spec"]["replicas"], image_of(found)) == (3, WEB)
    assert [c["name"] for c in found["spec"]["template"]["spec"]["containers"]] == ["another", "main"]


@pytest.mark.parametrize(
    "kind",
    [
        case("ReplicaSet", of="[sig-apps] ReplicaSet should list and delete a collection of ReplicaSets"),
        case(
            "StatefulSet",
            of="[sig-apps] StatefulSet Basic StatefulSet functionality [StatefulSetBasic] should list, patch and delete a collection of StatefulSets",
        ),
        case("DaemonSet", of="[sig-apps] Daemon set [Serial] should list and delete a collection of DaemonSets"),
    ],
)
def test_collection(kube, kind):
    obj = workload(kind, "it", 2, **({"serviceName": "it"} if kind == "StatefulSet" else {}))
    if kind == "DaemonSet":
        del obj["spec"]["replicas"]
    kube.create(obj)
    if kind != "DaemonSet":
        kube.wait(kind, "it", settled)
    kube.patch(kind, "it", {"metadata": {"labels": {"patched": kube.namespace}}})
    chosen = f"patched={kube.namespace}"
    assert [i["metadata"]["name"] for i in kube.items(kind, namespace="", labelSelector=chosen)] == ["it"]
    kube.delete_all(kind, grace=1, labelSelector=chosen)
    # at once: what they made goes behind them
    assert not kube.items(kind, namespace="", labelSelector=chosen)


@pytest.mark.parametrize(
    "kind",
    [
        case("Deployment", of="[sig-apps] Deployment should validate Deployment Status endpoints"),
        case("ReplicaSet", of="[sig-apps] ReplicaSet should validate Replicaset Status endpoints"),
        case(
            "StatefulSet",
            of="[sig-apps] StatefulSet Basic StatefulSet functionality [StatefulSetBasic] should validate Statefulset Status endpoints",
        ),
        case("DaemonSet", of="[sig-apps] Daemon set [Serial] should verify changes to a daemon set status"),
        case("Job", of="[sig-apps] Job should apply changes to a job status"),
    ],
)
def test_status_written_by_hand(kube, kind):
    obj = workload(kind, "it", **({"serviceName": "it"} if kind == "StatefulSet" else {}))
    if kind == "DaemonSet":
        del obj["spec"]["replicas"]
    if kind == "Job":
        obj["spec"] = {"completions": 2, "template": {"spec": {"restartPolicy": "Never", "containers": [idle()]}}}
    kube.create(obj)
    by_hand = {"type": "StatusUpdate", "status": "True", "reason": "E2E", "message": "Set from e2e test"}

    def add(found):
        found["status"].setdefault("conditions", []).append(by_hand)

    kube.wait(kind, "it", lambda found: found["status"])
    answer = kube.change(kind, "it", add, subresource="status")
    assert condition(answer, "StatusUpdate")["message"] == by_hand["message"]
    # times that are not there are written as null
    of_hand = {**by_hand, "type": "StatusPatched", "lastTransitionTime": None}
    patch = {"metadata": {"annotations": {"patchedstatus": "true"}}, "status": {"conditions": [of_hand]}}
    answer = kube.patch(kind, "it", patch, how=MERGE, subresource="status")
    assert condition(answer, "StatusPatched")
    assert answer["metadata"]["annotations"]["patchedstatus"] == "true"
    if kind == "Job":
        # the controller writes of its pods and leaves ours alone
        wrote = answer["metadata"]["resourceVersion"]
        kube.patch(kind, "it", {"spec": {"parallelism": 2}})
        kube.wait(kind, "it", lambda j: j["status"].get("active") == 2 and j["metadata"]["resourceVersion"] != wrote)
        assert condition(kube.get(kind, "it"), "StatusPatched")


# ---- deployments


def deployment(name="it", replicas=1, image=BUSYBOX, **spec):
    return workload("Deployment", name, replicas, image, **spec)


def replica_sets(kube, name="it"):
    return kube.items("ReplicaSet", labelSelector=f"app={name}")


@answers("[sig-apps] Deployment RollingUpdateDeployment should delete old pods and create new ones")
def test_rolling_update(kube):
    kube.create(workload("ReplicaSet", "old", labels={"app": "it"}))
    kube.wait("ReplicaSet", "old", settled)
    kube.patch(
        "ReplicaSet", "old", {"metadata": {"annotations": {"deployment.kubernetes.io/revision": "3546343826724305832"}}}
    )
    kube.create(deployment(image=WEB))
    made = kube.wait("Deployment", "it", settled)
    old, new = sorted(replica_sets(kube), key=lambda rs: rs["metadata"]["name"] != "old")
    assert owner(old) == owner(new) == made["metadata"]["uid"]
    assert old["spec"]["replicas"] == 0
    # what was annotated last may come to the controller after it has made the new set: it numbers that again
    number = "deployment.kubernetes.io/revision"
    kube.wait(
        "ReplicaSet", new["metadata"]["name"], lambda rs: rs["metadata"]["annotations"][number] == "3546343826724305833"
    )
    assert new["metadata"]["labels"]["pod-template-hash"]


@answers("[sig-apps] Deployment RecreateDeployment should delete old pods and create new ones")
def test_recreate(kube):
    kube.create(deployment(strategy={"type": "Recreate"}))
    kube.wait("Deployment", "it", settled)
    since = kube.list("Pod")["metadata"]["resourceVersion"]
    with kube.watch("Pod", since=since, labelSelector="app=it") as events:
        kube.patch("Deployment", "it", {**SET_IMAGE}, how=STRATEGIC)
        old_is_over = False
        for event, obj in events:
            if image_of(obj) == BUSYBOX:
                old_is_over = event == "DELETED" or obj["status"].get("phase") in ("Succeeded", "Failed")
            elif is_ready(obj):
                break
            else:
                assert old_is_over, "a new pod beside an old one"
    kube.wait("Deployment", "it", settled)


@answers("[sig-apps] Deployment deployment should delete old replica sets")
def test_old_replica_sets_go(kube):
    kube.create(workload("ReplicaSet", "old", labels={"app": "it"}))
    kube.wait("ReplicaSet", "old", settled)
    kube.create(deployment(image=WEB, revisionHistoryLimit=0))
    kube.wait("Deployment", "it", settled)
    kube.gone("ReplicaSet", "old")
    assert [image_of(rs) for rs in replica_sets(kube)] == [WEB]


@answers("[sig-apps] Deployment deployment should support rollover")
def test_rollover(kube):
    kube.create(workload("ReplicaSet", "old", labels={"app": "it"}))
    kube.wait("ReplicaSet", "old", settled)
    stuck = deployment(
        image="kubeshim.example/none:0",
        minReadySeconds=1,
        strategy={"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
    )
    kube.create(stuck)
    kube.wait_all(
        "ReplicaSet",
        lambda found: any(image_of(rs).endswith("none:0") and rs["status"].get("replicas") for rs in found),
    )
    assert kube.get("ReplicaSet", "old")["status"].get("availableReplicas") == 1
    kube.patch("Deployment", "it", SET_IMAGE, how=STRATEGIC)
    kube.wait("Deployment", "it", settled)
    left = {image_of(rs): rs["spec"]["replicas"] for rs in replica_sets(kube)}
    assert left == {BUSYBOX: 0, "kubeshim.example/none:0": 0, WEB: 1}


@answers("[sig-apps] Deployment deployment should support proportional scaling")
def test_proportional_scaling(kube):
    kube.create(deployment(replicas=10, strategy={"rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}}))
    kube.wait("Deployment", "it", settled)
    bad = json.loads(json.dumps(SET_IMAGE).replace(WEB, "kubeshim.example/none:0"))
    kube.patch("Deployment", "it", bad, how=STRATEGIC)

    def sizes(sets):
        return {image_of(rs): rs["spec"]["replicas"] for rs in sets}

    kube.wait_all("ReplicaSet", lambda found: sizes(found) == {BUSYBOX: 8, "kubeshim.example/none:0": 5})
    kube.wait("Deployment", "it", lambda d: d["status"].get("availableReplicas") == 8)
    kube.patch("Deployment", "it", {"spec": {"replicas": 30}}, subresource="scale")
    kube.wait_all("ReplicaSet", lambda found: sizes(found) == {BUSYBOX: 20, "kubeshim.example/none:0": 13})


@answers("[sig-apps] Deployment should run the lifecycle of a Deployment")
def test_life_of_a_deployment(kube):
    with kube.watch("Deployment", since=kube.list("Deployment")["metadata"]["resourceVersion"]) as events:
        kube.create(deployment(replicas=2))
        kube.wait("Deployment", "it", settled)
        assert next(events)[0] == "ADDED"
        patch = {"metadata": {"labels": {"test-deployment": "patched"}}, "spec": {"replicas": 1, **SET_IMAGE["spec"]}}
        kube.patch("Deployment", "it", patch, how=STRATEGIC)
        found = kube.wait("Deployment", "it", settled)
        assert image_of(found) == WEB
        assert "it" in [
            d["metadata"]["name"]
            for d in kube.items("Deployment", namespace="", labelSelector="test-deployment=patched")
        ]
        kube.change("Deployment", "it", lambda d: d["metadata"]["labels"].update({"test-deployment": "updated"}))
        # no status may say that more pods are available than ready
        with pytest.raises(Refused, match="cannot be greater than readyReplicas"):
            kube.patch("Deployment", "it", {"status": {"readyReplicas": 0}}, subresource="status")
        nothing = {"status": {"readyReplicas": 0, "availableReplicas": 0}}
        kube.patch("Deployment", "it", nothing, subresource="status")
        # the controller corrects what was written over it
        kube.wait("Deployment", "it", lambda d: settled(d) and d["status"].get("readyReplicas") == 1)
        kube.delete_all("Deployment", labelSelector="test-deployment=updated")
        assert "DELETED" in (event for event, _ in events)


@answers("[sig-apps] ReplicationController should test the lifecycle of a ReplicationController")
def test_life_of_a_replication_controller(kube):
    kind = "ReplicationController"

    def counts(replicas):
        keys = ("replicas", "readyReplicas")
        return lambda event, rc: all(rc["status"].get(key, 0) == replicas for key in keys)

    def modified(event, rc):
        return event == "MODIFIED"

    since = kube.list(kind)["metadata"]["resourceVersion"]
    with kube.watch(kind, since=since) as events:

        def next_that(good):
            return next(rc for event, rc in events if good(event, rc))

        kube.create(workload(kind, "it"))
        next_that(counts(1))
        # as a client writes that has types: with all that is nothing
        nothing = {"spec": {}, "status": {"replicas": 0}}
        patch = {"metadata": {"creationTimestamp": None, "labels": {"test-rc": "patched"}}, **nothing}
        kube.patch(kind, "it", patch, how=STRATEGIC)
        next_that(modified)
        zero = {"status": {"readyReplicas": 0, "availableReplicas": 0}}
        assert not kube.patch(kind, "it", zero, how=STRATEGIC, subresource="status")["status"].get("readyReplicas")
        next_that(modified)
        # the controller corrects what was written over it
        next_that(counts(1))
        assert kube.get(kind, "it", subresource="status")["status"]["replicas"] == 1
        scale = {"metadata": {"creationTimestamp": None}, "spec": {"replicas": 2}, "status": {"replicas": 0}}
        kube.patch(kind, "it", scale, how=STRATEGIC, subresource="scale")
        # nothing is written behind it that would make the next update a conflict
        next_that(counts(2))
        found = kube.get(kind, "it")
        found["status"].update(availableReplicas=1, readyReplicas=1)
        kube.update(found, subresource="status")
        next_that(modified)
        assert kube.items(kind, namespace="", labelSelector="test-rc=patched")
        kube.delete_all(kind, labelSelector="test-rc=patched")
        next_that(lambda event, rc: event == "DELETED")
