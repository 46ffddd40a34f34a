"""gRPC probes, restart counts that only grow, volumes from a registry's images, ReplicaSets that are preempted."""

import pytest

from tests.conformance.kube import container, is_ready, is_running, meta, pod, template
from tests.conformance.names import answers, case
from tests.conformance.test_pods import restarts
from tests.e2e import registries


def probed(testhost, port, **more):
    """Once it serves at all, the first wrong answer is the last; how long an answer takes is no matter."""
    often = {"periodSeconds": 1, "timeoutSeconds": 60}
    probe = {"grpc": {"port": port, **more}, "initialDelaySeconds": 1, "failureThreshold": 1, **often}
    serves = {"grpc": {"port": 5000}, "failureThreshold": 1000, **often}
    return container(image=testhost, args=["grpc-health-checking"], livenessProbe=probe, startupProbe=serves)


@pytest.mark.parametrize(
    ("port", "times"),
    [
        case(5000, 0, of="[sig-node] Probing container should *not* be restarted with a GRPC liveness probe"),
        case(2333, 1, of="[sig-node] Probing container should be restarted with a GRPC liveness probe"),
    ],
)
def test_grpc_probes(kube, testhost, port, times):
    # the second container goes once probes have had their say several times
    kube.create(pod("it", probed(testhost, port), container("sleep 6", name="other"), restart="Always"))
    if times:
        kube.wait("Pod", "it", lambda p: restarts(p) >= times)
        return
    over = kube.wait("Pod", "it", lambda p: restarts(p, 1) >= 1)
    assert restarts(over) == 0


def test_a_grpc_service_that_is_not_known_or_not_serving(kube, testhost):
    kube.create(pod("it", probed(testhost, 5000, service="nobody"), restart="Always"))
    kube.wait("Pod", "it", lambda p: restarts(p) >= 1)


@answers("[sig-node] Probing container should have monotonically increasing restart count")
def test_restart_counts_only_grow(kube):
    probe = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1}
    kube.create(
        pod("it", container("sleep 1000", livenessProbe=probe), restart="Always", terminationGracePeriodSeconds=0)
    )
    counts = []

    def enough(found):
        counts.append(restarts(found))
        return counts[-1] >= 3

    kube.wait("Pod", "it", enough)
    assert counts == sorted(counts)


@answers("[sig-node] ImageVolume should succeed with pod and pull policy of Always")
def test_an_image_volume_is_pulled(kube, images, tmp_path):
    with registries.serving(tmp_path) as host:
        name = f"{host}/web:1"
        registries.push("kubeshim.example/web:1", name)
        volume = {"name": "v", "image": {"reference": name, "pullPolicy": "Always"}}
        mount = [{"name": "v", "mountPath": "/volume"}]
        kube.create(pod("it", container("sleep 1000", volumeMounts=mount), volumes=[volume]))
        kube.wait("Pod", "it", is_ready)
        assert kube.execute("it", "cat", "/volume/www/version") == "web version 1\n"
        kube.delete("Pod", "it", grace=0)


@answers(
    "[sig-scheduling] SchedulerPreemption [Serial] PreemptionExecutionPath runs ReplicaSets to verify preemption running path"
)
def test_replica_sets_are_preempted(kube, everywhere):
    node = everywhere.items("Node")[-1]["metadata"]["name"]
    resource, key = "example.com/fakecpu", "example.com~1fakecpu"
    classes = {f"p{value}-{kube.namespace}": value for value in (1, 2, 3, 4)}
    where = [{"op": "add", "path": f"/status/capacity/{key}", "value": "1000"}]
    everywhere.patch("Node", node, where, how="application/json-patch+json", subresource="status")
    try:
        for name, value in classes.items():
            kube.create({"kind": "PriorityClass", "metadata": meta(name), "value": value})
        names = list(classes)
        for index, amount in enumerate((200, 300, 450)):
            limits = {"limits": {resource: str(amount)}, "requests": {resource: str(amount)}}
            labels = {"name": f"pod{index + 1}"}
            body = template(labels, container("sleep 1000", resources=limits), priorityClassName=names[index])
            spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": body}
            kube.create({"kind": "ReplicaSet", "metadata": meta(f"rs-pod{index + 1}"), "spec": spec})
            kube.wait("ReplicaSet", f"rs-pod{index + 1}", lambda rs: rs["status"].get("readyReplicas") == 1)
        since = kube.list("Pod")["metadata"]["resourceVersion"]
        limits = {"limits": {resource: "500"}, "requests": {resource: "500"}}
        preemptor = pod("preemptor", container("sleep 1000", resources=limits), priorityClassName=names[3])
        made = []
        with kube.watch("Pod", since=since) as events:
            kube.create(preemptor)
            for kind, obj in events:
                if kind == "ADDED" and obj["metadata"]["name"] != "preemptor":
                    made.append(obj["metadata"]["labels"]["name"])
                if obj["metadata"]["name"] == "preemptor" and is_running(obj) and len(made) >= 2:
                    break
        # those of the two lowest went, and their sets made others; the third was left alone
        assert sorted(made) == ["pod1", "pod2"]
    finally:
        for name in classes:
            if everywhere.find("PriorityClass", name):
                everywhere.delete("PriorityClass", name)
        gone = [{"op": "remove", "path": f"/status/capacity/{key}"}]
        everywhere.patch("Node", node, gone, how="application/json-patch+json", subresource="status")
