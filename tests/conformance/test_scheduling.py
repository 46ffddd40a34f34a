"""Where pods go and what makes room for them; nodes, taints and runtime classes."""

import pytest

from tests.conformance.kube import IDLE, MERGE, STRATEGIC, Refused, condition, container, is_running, meta, pod
from tests.conformance.names import answers, case


def unschedulable(obj):
    return condition(obj, "PodScheduled").get("reason") == "Unschedulable"


@answers("[sig-architecture] Conformance Tests should have at least two untainted nodes")
def test_two_nodes(everywhere):
    good = [
        n for n in everywhere.items("Node") if not n["spec"].get("taints") and condition(n, "Ready")["status"] == "True"
    ]
    assert len(good) >= 2


@answers("[sig-scheduling] SchedulerPredicates [Serial] validates that NodeSelector is respected if not matching")
def test_no_node_matches(kube):
    kube.create(pod("it", nodeSelector={"label": "nonempty"}))
    kube.wait("Pod", "it", unschedulable)


@answers("[sig-scheduling] SchedulerPredicates [Serial] validates that NodeSelector is respected if matching")
def test_a_node_matches(kube):
    node = kube.items("Node")[0]["metadata"]["name"]
    key = f"kubernetes.io/e2e-{kube.namespace}"
    kube.patch("Node", node, {"metadata": {"labels": {key: "42"}}})
    try:
        assert kube.start(pod("it", nodeSelector={key: "42"}))["spec"]["nodeName"] == node
    finally:
        kube.patch("Node", node, {"metadata": {"labels": {key: None}}})


@pytest.fixture
def device(kube):
    """A resource of which one node has five; its name and the node's."""
    node, name = kube.items("Node")[0]["metadata"]["name"], "example.com/device"
    amount = {"status": {"capacity": {name: "5"}, "allocatable": {name: "5"}}}
    kube.patch("Node", node, amount, how=STRATEGIC, subresource="status")
    yield name, node
    gone = {"status": {"capacity": {name: None}, "allocatable": {name: None}}}
    kube.patch("Node", node, gone, how=MERGE, subresource="status")


def needing(name, device, amount, **more):
    resources = {"requests": {device: str(amount)}, "limits": {device: str(amount)}}
    return pod(name, container(IDLE, resources=resources), **more)


@answers("[sig-scheduling] SchedulerPredicates [Serial] validates resource limits of pods that are allowed to run")
def test_a_full_node_takes_no_more(kube, device):
    kube.create(needing("filler", device[0], 4))
    assert kube.wait("Pod", "filler", is_running)["spec"]["nodeName"] == device[1]
    kube.create(needing("additional", device[0], 2))
    kube.wait("Pod", "additional", unschedulable)


@answers(
    "[sig-scheduling] SchedulerPreemption [Serial] validates basic preemption works",
    "[sig-scheduling] SchedulerPreemption [Serial] validates pod disruption condition is added to the preempted pod",
)
def test_preemption(kube, device):
    high = f"high-{kube.namespace}"
    kube.create({"kind": "PriorityClass", "metadata": meta(high), "value": 1000})
    victim = needing("victim", device[0], 4)
    victim["metadata"]["finalizers"] = ["example.com/test"]
    kube.create(victim)
    kube.wait("Pod", "victim", is_running)
    kube.create(needing("important", device[0], 3, priorityClassName=high))
    gone = kube.wait("Pod", "victim", lambda p: "deletionTimestamp" in p["metadata"])
    assert condition(gone, "DisruptionTarget")["reason"] == "PreemptionByScheduler"
    kube.patch("Pod", "victim", {"metadata": {"finalizers": None}})
    kube.wait("Pod", "important", is_running)
    kube.delete("PriorityClass", high)


@answers("[sig-scheduling] SchedulerPreemption [Serial] validates lower priority pod preemption by critical pod")
def test_a_critical_pod_preempts(kube, device):
    kube.create(needing("victim", device[0], 4))
    kube.wait("Pod", "victim", is_running)
    system = kube.within("kube-system")
    name = f"critical-{kube.namespace}"
    system.create(needing(name, device[0], 3, priorityClassName="system-cluster-critical"))
    try:
        kube.gone("Pod", "victim")
        system.wait("Pod", name, is_running)
    finally:
        system.delete("Pod", name, grace=0)


@answers(
    "[sig-scheduling] SchedulerPredicates [Serial] validates that there exists conflict between pods with same hostPort and protocol but one using 0.0.0.0 hostIP"
)
def test_host_ports_conflict(kube):
    node = kube.items("Node")[0]["metadata"]["labels"]["kubernetes.io/hostname"]

    def on(name, ip):
        ports = [{"containerPort": 8080, "hostPort": 54322, "protocol": "TCP", **({"hostIP": ip} if ip else {})}]
        return pod(name, container(IDLE, ports=ports), nodeSelector={"kubernetes.io/hostname": node})

    kube.start(on("first", ""))
    kube.create(on("second", "127.0.0.1"))
    kube.wait("Pod", "second", unschedulable)


@pytest.mark.parametrize(
    "cancel",
    [
        case(True, of="[sig-node] NoExecuteTaintManager Single Pod [Serial] removing taint cancels eviction"),
        case(False, of="[sig-node] NoExecuteTaintManager Multiple Pods [Serial] evicts pods with minTolerationSeconds"),
    ],
)
def test_taints(kube, cancel):
    node = kube.items("Node")[0]["metadata"]["name"]
    key = f"kubernetes.io/e2e-{kube.namespace}"

    def tolerating(name, seconds):
        # elsewhere nothing of this test may be affected
        toleration = {"key": key, "value": "evict", "effect": "NoExecute", "tolerationSeconds": seconds}
        return pod(name, nodeName=node, tolerations=[toleration])

    def taint(found):
        found["spec"].setdefault("taints", []).append({"key": key, "value": "evict", "effect": "NoExecute"})

    def untaint(found):
        found["spec"]["taints"] = [t for t in found["spec"].get("taints") or [] if t["key"] != key]

    # between the taint and its end there is time even where all is slow
    kube.start(tolerating("short", 10 if cancel else 1))
    kube.start(tolerating("long", 300 if cancel else 8))
    since = kube.list("Pod")["metadata"]["resourceVersion"]
    kube.change("Node", node, taint)
    try:
        if cancel:
            kube.change("Node", node, untaint)
            with pytest.raises(AssertionError):
                kube.wait("Pod", "short", lambda p: p is None or "deletionTimestamp" in p["metadata"], seconds=12)
        else:
            with kube.watch("Pod", since=since) as events:
                ending = {}
                while len(ending) < 2:
                    _, found = next(events)
                    if "deletionTimestamp" in found["metadata"]:
                        ending.setdefault(found["metadata"]["name"], found)
            assert list(ending) == ["short", "long"]
    finally:
        kube.change("Node", node, untaint)


@answers("[sig-node] Node Lifecycle should run through the lifecycle of a node")
def test_a_node_without_an_agent(kube):
    name = f"fake-{kube.namespace}"
    kube.create({"kind": "Node", "metadata": meta(name), "spec": {"unschedulable": True}})
    kube.patch("Node", name, {"metadata": {"labels": {name: "patched"}}})
    kube.patch("Node", name, {"status": {"capacity": {"cpu": "1"}}}, subresource="status")
    kube.change("Node", name, lambda n: n["metadata"]["labels"].update({name: "updated"}))
    assert [n["metadata"]["name"] for n in kube.items("Node", labelSelector=f"{name}=updated")] == [name]
    kube.delete_all("Node", labelSelector=f"{name}=updated")
    assert kube.find("Node", name) is None


@pytest.mark.parametrize(
    "overhead",
    [
        case(None, of="[sig-node] RuntimeClass should schedule a Pod requesting a RuntimeClass without PodOverhead"),
        case(
            {"cpu": "10m", "memory": "1Mi"},
            of="[sig-node] RuntimeClass should schedule a Pod requesting a RuntimeClass and initialize its Overhead",
        ),
    ],
)
def test_runtime_classes(kube, overhead):
    name = f"class-{kube.namespace}"
    more = {"overhead": {"podFixed": overhead}} if overhead else {}
    kube.create({"kind": "RuntimeClass", "metadata": meta(name), "handler": "none-of-this-node", **more})
    made = kube.create(pod("it", runtimeClassName=name))
    assert made["spec"].get("overhead") == overhead
    kube.wait("Pod", "it", lambda p: condition(p, "PodScheduled").get("status") == "True")
    kube.delete("RuntimeClass", name)


@pytest.mark.parametrize(
    "existed",
    [
        case(False, of="[sig-node] RuntimeClass should reject a Pod requesting a non-existent RuntimeClass"),
        case(True, of="[sig-node] RuntimeClass should reject a Pod requesting a deleted RuntimeClass"),
    ],
)
def test_no_such_runtime_class(kube, existed):
    name = f"class-{kube.namespace}"
    if existed:
        kube.create({"kind": "RuntimeClass", "metadata": meta(name), "handler": "none"})
        kube.delete("RuntimeClass", name)
    with pytest.raises(Refused) as refused:
        kube.create(pod("it", runtimeClassName=name))
    assert refused.value.status == 403


# ---- volumes as objects


@answers(
    "[sig-storage] PersistentVolumes CSI Conformance should run through the lifecycle of a PV and a PVC",
    "[sig-storage] PersistentVolumes CSI Conformance should apply changes to a pv/pvc status",
)
def test_volumes_and_claims(kube):
    volume = f"pv-{kube.namespace}"
    modes = {"accessModes": ["ReadWriteOnce"], "storageClassName": volume}
    source = {
        "capacity": {"storage": "2Gi"},
        "csi": {"driver": "example.com", "volumeHandle": "none"},
        "persistentVolumeReclaimPolicy": "Retain",
    }
    both = (("PersistentVolume", volume), ("PersistentVolumeClaim", "it"))
    mine = {"labels": {"mine": volume}}
    kube.create({"kind": "PersistentVolume", "metadata": meta(volume, **mine), "spec": source | modes})
    wish = {"resources": {"requests": {"storage": "1Gi"}}, **modes}
    kube.create({"kind": "PersistentVolumeClaim", "metadata": meta("it", **mine), "spec": wish})
    for kind, name in both:
        found = kube.wait(kind, name, lambda obj: obj["status"].get("phase") == "Bound")
        assert kube.get(kind, name, subresource="status")["status"]["phase"] == "Bound"
        patched = kube.patch(kind, name, {"metadata": {"labels": {"patched": volume}}}, how=STRATEGIC)
        assert int(patched["metadata"]["resourceVersion"]) > int(found["metadata"]["resourceVersion"])
        kube.change(kind, name, lambda obj: obj["metadata"]["labels"].update(updated=volume))
        assert len(kube.items(kind, namespace="", labelSelector=f"updated={volume}")) == 1
    told = {"type": "StatusPatched", "status": "True", "reason": "E2E patchedStatus", "message": "x"}
    patched = kube.patch("PersistentVolumeClaim", "it", {"status": {"conditions": [told]}}, subresource="status")
    assert condition(patched, "StatusPatched")["reason"] == "E2E patchedStatus"
    more = {**told, "type": "StatusUpdated"}
    replaced = kube.change(
        "PersistentVolumeClaim", "it", lambda c: c["status"]["conditions"].append(more), subresource="status"
    )
    assert condition(replaced, "StatusPatched") and condition(replaced, "StatusUpdated")
    said = {"message": "StatusPatched", "reason": "E2E patchStatus"}
    assert (
        said.items() <= kube.patch("PersistentVolume", volume, {"status": said}, subresource="status")["status"].items()
    )
    replaced = kube.change("PersistentVolume", volume, lambda v: v["status"].update(reason="E2E"), subresource="status")
    assert replaced["status"]["reason"] == "E2E"
    for kind, name in reversed(both):
        kube.delete_all(kind, labelSelector=f"mine={volume}")
        kube.gone(kind, name)


@answers("[sig-storage] CSIInlineVolumes should support CSIVolumeSource in Pod API")
def test_inline_volumes_are_kept(kube):
    volumes = [{"name": "inline", "csi": {"driver": f"e2e.example.com-{kube.namespace}"}}]
    kube.create(pod("it", volumes=volumes))
    kube.patch("Pod", "it", {"metadata": {"labels": {"a": "b"}}})
    kept = [v["csi"]["driver"] for v in kube.get("Pod", "it")["spec"]["volumes"] if "csi" in v]
    assert kept == [volumes[0]["csi"]["driver"]]
    kube.delete_all("Pod", labelSelector="a=b", grace=0)
    kube.gone("Pod", "it")
