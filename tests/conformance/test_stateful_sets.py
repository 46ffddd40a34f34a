"""Stateful sets: the order in which pods come and go, updates by revision, pods that a node refuses."""

from tests.conformance.kube import (
    BUSYBOX,
    IDLE,
    WEB,
    container,
    is_ready,
    is_running,
    meta,
    pod,
    template,
)
from tests.conformance.names import answers

BASIC = "[sig-apps] StatefulSet Basic StatefulSet functionality [StatefulSetBasic] "
REVISION = "controller-revision-hash"


def stateful_set(replicas=1, **spec):
    """Its pods are ready while they have a file, which they have at first."""
    body = container(
        f"touch /tmp/ready; {IDLE[2]}",
        readinessProbe={
            "exec": {"command": ["test", "-e", "/tmp/ready"]},
            "timeoutSeconds": 30,
            "periodSeconds": 1,
            "failureThreshold": 1,
        },
    )
    return {
        "kind": "StatefulSet",
        "metadata": meta("ss"),
        "spec": {
            "replicas": replicas,
            "serviceName": "test",
            "selector": {"matchLabels": {"app": "ss"}},
            "template": template({"app": "ss"}, body),
            **spec,
        },
    }


def break_probe(kube, *names):
    for name in names:
        kube.execute(name, "rm", "/tmp/ready")
    for name in names:
        kube.wait("Pod", name, lambda p: p and not is_ready(p))


def restore_probe(kube, *names):
    for name in names:
        kube.execute(name, "touch", "/tmp/ready")


def pods(kube):
    return sorted(kube.items("Pod", labelSelector="app=ss"), key=lambda p: p["metadata"]["name"])


def all_ready(replicas):
    """All replicas are ready and none is more."""

    def good(found):
        return len(found) == replicas and all(map(is_ready, found))

    return good


def ready(kube, replicas):
    kube.wait_all("Pod", all_ready(replicas), labelSelector="app=ss")
    return kube.wait(
        "StatefulSet",
        "ss",
        lambda s: (
            s["status"].get("observedGeneration") == s["metadata"]["generation"]
            and s["status"].get("readyReplicas", 0) == replicas == s["status"]["replicas"]
        ),
    )


def revisions(obj):
    return obj["status"]["currentRevision"], obj["status"]["updateRevision"]


def seen(kube):
    """(image, revision) of each pod by ordinal."""
    return [(p["spec"]["containers"][0]["image"], p["metadata"]["labels"][REVISION]) for p in pods(kube)]


def set_image(kube, image):
    def edit(obj):
        obj["spec"]["template"]["spec"]["containers"][0]["image"] = image

    made = kube.change("StatefulSet", "ss", edit)
    return kube.wait("StatefulSet", "ss", lambda s: s["status"]["observedGeneration"] >= made["metadata"]["generation"])


def updated(replicas):
    def good(obj):
        status = obj["status"]
        return status.get("updatedReplicas") == replicas and status["currentRevision"] == status["updateRevision"]

    return good


@answers(BASIC + "should perform rolling updates and roll backs of template modifications")
def test_update_and_roll_back(kube):
    kube.create(stateful_set(3))
    first, update = revisions(ready(kube, 3))
    assert first == update
    assert seen(kube) == [(BUSYBOX, first)] * 3
    for image, prior in ((WEB, None), (BUSYBOX, first)):
        break_probe(kube, "ss-1")
        kube.wait("StatefulSet", "ss", lambda s: s["status"].get("readyReplicas") == 2)  # the controller knows, too
        since = kube.list("Pod")["metadata"]["resourceVersion"]
        with kube.watch("Pod", since=since, labelSelector="app=ss") as events:
            current, update = revisions(set_image(kube, image))
            assert current != update
            # a rollback finds the revision of old
            assert prior in (None, update)
            # nothing is replaced while one is not ready
            assert not is_ready(kube.get("Pod", "ss-1"))
            assert {found for _, found in seen(kube)} == {current}
            restore_probe(kube, "ss-1")
            made = [obj["metadata"]["name"] for event, obj in events_until(events, 3)]
        assert made == ["ss-2", "ss-1", "ss-0"]
        kube.wait("StatefulSet", "ss", updated(3))
        ready(kube, 3)
        assert seen(kube) == [(image, update)] * 3


def events_until(events, count, kind="ADDED"):
    """The next ``count`` events of that kind."""
    found = []
    for event, obj in events:
        if event == kind:
            found.append((event, obj))
            if len(found) == count:
                break
    return found


@answers(BASIC + "should perform canary updates and phased rolling updates of template modifications")
def test_partitions(kube):
    kube.create(stateful_set(3, updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 3}}))
    old, _ = revisions(ready(kube, 3))
    current, new = revisions(set_image(kube, WEB))
    assert current == old != new
    assert seen(kube) == [(BUSYBOX, old)] * 3
    for partition in (2, 1, 0):
        patch = {"spec": {"updateStrategy": {"rollingUpdate": {"partition": partition}}}}
        kube.patch("StatefulSet", "ss", patch)
        wanted = [(BUSYBOX, old)] * partition + [(WEB, new)] * (3 - partition)
        kube.wait("StatefulSet", "ss", lambda s, count=3 - partition: s["status"].get("updatedReplicas") == count)
        ready(kube, 3)
        assert seen(kube) == wanted
        if partition == 2:
            for name in ("ss-0", "ss-2"):
                uid = kube.get("Pod", name)["metadata"]["uid"]
                kube.delete("Pod", name)
                kube.wait("Pod", name, lambda p, uid=uid: p and p["metadata"]["uid"] != uid)
            ready(kube, 3)
            assert seen(kube) == wanted
    assert revisions(kube.wait("StatefulSet", "ss", updated(3))) == (new, new)


def scale(kube, replicas):
    kube.patch("StatefulSet", "ss", {"spec": {"replicas": replicas}}, subresource="scale")
    generation = kube.get("StatefulSet", "ss")["metadata"]["generation"]
    kube.wait("StatefulSet", "ss", lambda s: s["status"]["observedGeneration"] == generation)


def stays(kube, names, seconds=5):
    """No pod comes or goes for so long."""
    listing = kube.list("Pod", labelSelector="app=ss")
    assert sorted(p["metadata"]["name"] for p in listing["items"]) == names
    with kube.watch(
        "Pod", since=listing["metadata"]["resourceVersion"], seconds=seconds, labelSelector="app=ss"
    ) as events:
        assert [event for event, _ in events if event != "MODIFIED"] == []


@answers(BASIC + "Scaling should happen in predictable order and halt if any stateful pod is unhealthy")
def test_scaling_in_order(kube):
    since = kube.list("Pod")["metadata"]["resourceVersion"]
    with kube.watch("Pod", since=since, labelSelector="app=ss") as events:
        kube.create(stateful_set(1))
        ready(kube, 1)
        break_probe(kube, "ss-0")
        kube.wait("StatefulSet", "ss", lambda s: not s["status"].get("readyReplicas"))
        scale(kube, 3)
        stays(kube, ["ss-0"])
        restore_probe(kube, "ss-0")
        ready(kube, 3)
        assert [obj["metadata"]["name"] for _, obj in events_until(events, 3)] == ["ss-0", "ss-1", "ss-2"]
        break_probe(kube, "ss-0", "ss-1", "ss-2")
        kube.wait("StatefulSet", "ss", lambda s: not s["status"].get("readyReplicas"))
        scale(kube, 0)
        stays(kube, ["ss-0", "ss-1", "ss-2"])
        restore_probe(kube, "ss-0", "ss-1", "ss-2")
        gone = [obj["metadata"]["name"] for _, obj in events_until(events, 3, "DELETED")]
        assert gone == ["ss-2", "ss-1", "ss-0"]
    ready(kube, 0)


@answers(BASIC + "Burst scaling should run to completion even with unhealthy pods")
def test_scaling_in_parallel(kube):
    kube.create(stateful_set(1, podManagementPolicy="Parallel"))
    ready(kube, 1)
    break_probe(kube, "ss-0")
    scale(kube, 3)
    kube.wait_all("Pod", lambda found: len(found) == 3 and all(map(is_running, found)), labelSelector="app=ss")
    restore_probe(kube, "ss-0")
    ready(kube, 3)
    break_probe(kube, "ss-0", "ss-1", "ss-2")
    scale(kube, 0)
    kube.wait_all("Pod", lambda found: not found, labelSelector="app=ss")
    ready(kube, 0)


@answers(BASIC + "Should recreate evicted statefulset")
def test_a_pod_the_node_refuses(kube):
    node = kube.items("Node")[-1]["metadata"]["name"]
    port = {"ports": [{"containerPort": 21017, "hostPort": 21017}]}
    kube.start(pod("holder", container(IDLE, **port), nodeName=node))
    body = stateful_set()
    body["spec"]["template"]["spec"].update(nodeName=node, containers=[container(IDLE, **port)])
    since = kube.list("Pod")["metadata"]["resourceVersion"]
    with kube.watch("Pod", since=since, labelSelector="app=ss") as events:
        kube.create(body)
        first = next(obj for event, obj in events if obj["status"].get("phase") == "Failed")
        assert next(event for event, obj in events if event == "DELETED") == "DELETED"
    kube.wait("Pod", "ss-0", lambda p: p and p["metadata"]["uid"] != first["metadata"]["uid"])
    kube.delete("Pod", "holder", grace=0)
    kube.wait("Pod", "ss-0", is_running)
