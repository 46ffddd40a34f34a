"""The API's own machinery: watches, pages, tables, discovery, garbage, namespaces, quotas."""

import contextlib
import json
import re
import threading
import time

import kubernetes.dynamic.exceptions as refusals
import pytest

from tests.conformance.kube import (
    PATIENCE,
    STRATEGIC,
    Refused,
    condition,
    container,
    meta,
    owner,
    pod,
    template,
)
from tests.conformance.names import answers, case
from tests.conformance.test_workloads import deployment, settled, workload

# ---- watches


def config(name="it", data=None, **labels):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta(name, labels=labels), "data": data or {}}


def mutate(kube, name, value):
    return kube.patch("v1 ConfigMap", name, {"data": {"mutation": str(value)}})


def now(kube, kind="v1 ConfigMap"):
    return kube.list(kind)["metadata"]["resourceVersion"]


def expect(events, *wanted):
    """The next events are (type, value of ``mutation``)."""
    found = [next(events) for _ in wanted]
    assert [(event, (obj.get("data") or {}).get("mutation")) for event, obj in found] == list(wanted)
    return [obj for _, obj in found]


@answers("[sig-api-machinery] Watchers should observe add, update, and delete watch notifications on configmaps")
def test_watch(kube):
    since = now(kube)
    selectors = ("watch=A", "watch=B", "watch in (A,B)")
    with (
        kube.watch("v1 ConfigMap", since=since, labelSelector=selectors[0]) as of_a,
        kube.watch("v1 ConfigMap", since=since, labelSelector=selectors[1]) as of_b,
        kube.watch("v1 ConfigMap", since=since, labelSelector=selectors[2]) as of_both,
    ):
        kube.create(config("a", watch="A"))
        mutate(kube, "a", 1)
        mutate(kube, "a", 2)
        kube.delete("v1 ConfigMap", "a")
        steps = [("ADDED", None), ("MODIFIED", "1"), ("MODIFIED", "2"), ("DELETED", "2")]
        expect(of_a, *steps)
        expect(of_both, *steps)
        kube.create(config("b", watch="B"))
        kube.delete("v1 ConfigMap", "b")
        steps = [("ADDED", None), ("DELETED", None)]
        assert expect(of_b, *steps)[0]["metadata"]["name"] == "b"
        expect(of_both, *steps)


@answers("[sig-api-machinery] Watchers should be able to start watching from a specific resource version")
def test_watch_from_a_version(kube):
    kube.create(config())
    first = mutate(kube, "it", 1)
    mutate(kube, "it", 2)
    kube.delete("v1 ConfigMap", "it")
    with kube.watch("v1 ConfigMap", since=first["metadata"]["resourceVersion"]) as events:
        expect(events, ("MODIFIED", "2"), ("DELETED", "2"))


@answers(
    "[sig-api-machinery] Watchers should be able to restart watching from the last resource version observed by the previous watch"
)
def test_watch_again(kube):
    since = now(kube)
    with kube.watch("v1 ConfigMap", since=since) as events:
        kube.create(config())
        mutate(kube, "it", 1)
        last = expect(events, ("ADDED", None), ("MODIFIED", "1"))[-1]
    mutate(kube, "it", 2)
    kube.delete("v1 ConfigMap", "it")
    with kube.watch("v1 ConfigMap", since=last["metadata"]["resourceVersion"]) as events:
        expect(events, ("MODIFIED", "2"), ("DELETED", "2"))


@answers(
    "[sig-api-machinery] Watchers should observe an object deletion if it stops meeting the requirements of the selector"
)
def test_leaving_a_selector(kube):
    since = now(kube)
    with kube.watch("v1 ConfigMap", since=since, labelSelector="watch=A") as events:
        kube.create(config(watch="A"))
        mutate(kube, "it", 1)
        kube.patch("v1 ConfigMap", "it", {"metadata": {"labels": {"watch": "B"}}})
        expect(events, ("ADDED", None), ("MODIFIED", "1"), ("DELETED", "1"))
        mutate(kube, "it", 2)
        kube.patch("v1 ConfigMap", "it", {"metadata": {"labels": {"watch": "A"}}})
        expect(events, ("ADDED", "2"))
        mutate(kube, "it", 3)
        kube.delete("v1 ConfigMap", "it")
        expect(events, ("MODIFIED", "3"), ("DELETED", "3"))


@answers("[sig-api-machinery] Watchers should receive events on concurrent watches in same order")
def test_all_watches_see_one_order(kube):
    versions = []
    since = now(kube)
    for i in range(30):
        versions.append(kube.create(config(f"it-{i}"))["metadata"]["resourceVersion"])
        if i % 3 == 0:
            versions.append(mutate(kube, f"it-{i}", i)["metadata"]["resourceVersion"])
    starts = [since, *versions[:-1]]
    seen = {}

    def follow(index):
        other = type(kube)(kube.kubeconfig, kube.namespace, kinds=kube.kinds)
        with other.watch("v1 ConfigMap", since=starts[index]) as events:
            seen[index] = [next(events)[1]["metadata"]["resourceVersion"] for _ in versions[index:]]
        other.close()

    threads = [threading.Thread(target=follow, args=(index,)) for index in range(0, len(starts), 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(seen[index] == versions[index:] for index in range(0, len(starts), 4))


# ---- pages, tables, discovery


@answers("[sig-api-machinery] Servers with support for API chunking should return chunks of results for list calls")
def test_pages(kube):
    total, limit = 40, 17
    for i in range(total):
        kube.create(
            {"kind": "PodTemplate", "metadata": meta(f"template-{i:04}"), "template": template({}, container())}
        )
    found, token, version = [], None, None
    while True:
        page = kube.list("PodTemplate", limit=limit, **({"continue": token} if token else {}))
        found += [item["metadata"]["name"] for item in page["items"]]
        version = version or page["metadata"]["resourceVersion"]
        assert page["metadata"]["resourceVersion"] == version
        token = page["metadata"].get("continue")
        if not token:
            assert "remainingItemCount" not in page["metadata"]
            break
        assert len(page["items"]) == limit
        assert page["metadata"]["remainingItemCount"] == total - len(found)
    assert found == [f"template-{i:04}" for i in range(total)]
    assert len(kube.items("PodTemplate")) == total


@answers(
    "[sig-api-machinery] Servers with support for API chunking should support continue listing from the last key if the original version has been compacted away, though the list is inconsistent [Slow]"
)
def test_pages_of_a_state_that_is_forgotten(forgetful):
    kube, total, limit = forgetful, 400, 40
    for i in range(total):
        kube.create(
            {"kind": "PodTemplate", "metadata": meta(f"template-{i:04}"), "template": template({}, container())}
        )
    first = kube.list("PodTemplate", limit=limit)
    expired = _token_after_expiry(kube, limit, first["metadata"]["continue"])
    page = kube.list("PodTemplate", limit=limit, **{"continue": expired})
    version = page["metadata"]["resourceVersion"]
    assert version != first["metadata"]["resourceVersion"]
    found = [item["metadata"]["name"] for item in first["items"] + page["items"]]
    while token := page["metadata"].get("continue"):
        # in large pieces: this state is forgotten in seconds, too
        page = kube.list("PodTemplate", limit=total, **{"continue": token})
        assert page["metadata"]["resourceVersion"] == version
        found += [item["metadata"]["name"] for item in page["items"]]
    assert found == [f"template-{i:04}" for i in range(total)]


def _token_after_expiry(kube, limit, token):
    """The token that the refusal of an old one brings along."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            kube.list("PodTemplate", limit=limit, **{"continue": token})
        except Refused as refusal:
            status = json.loads(refusal.body)
            assert (status["code"], status["reason"]) == (410, "Expired")
            return status["metadata"]["continue"]
        time.sleep(0.5)  # nothing tells of a compaction: the official test asks again and again, too
    raise AssertionError("the token does not expire")


@answers(
    "[sig-api-machinery] Servers with support for Table transformation should return a 406 for a backend which does not implement metadata"
)
def test_no_table_of_a_review(kube):
    review = {"spec": {"nonResourceAttributes": {"path": "/", "verb": "get"}}}
    body, kind = kube.filled({"kind": "SelfSubjectAccessReview", **review})
    with pytest.raises(Refused) as refused:
        kube.call("post", kube.path(kind), body, headers={"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"})
    assert (refused.value.status, json.loads(refused.value.body)["reason"]) == (406, "NotAcceptable")


@answers("[sig-api-machinery] server version should find the server version")
def test_version(everywhere):
    found = everywhere.call("get", "/version")
    assert re.fullmatch(r"[1-9]\d*", found["major"])
    assert re.fullmatch(r"\d+", found["minor"])


@answers(
    "[sig-api-machinery] Discovery should locate the groupVersion and a resource within each APIGroup",
    "[sig-api-machinery] Discovery should validate PreferredVersion for each APIGroup",
)
def test_discovery(everywhere):
    def listed():
        return everywhere.call("get", "/apis")["groups"]

    groups = listed()
    assert {"apps", "batch", "policy"} <= {group["name"] for group in groups}
    for group in groups:
        try:
            check_group(everywhere, group)
        except refusals.NotFoundError:
            # of custom resources that another test has deleted: they go when they go
            assert group["name"] not in [one["name"] for one in listed()]


def check_group(everywhere, group):
    assert everywhere.call("get", f"/apis/{group['name']}")["preferredVersion"] == group["preferredVersion"]
    assert group["preferredVersion"] in group["versions"]
    for version in group["versions"]:
        listing = everywhere.call("get", f"/apis/{version['groupVersion']}")
        assert listing["groupVersion"] == version["groupVersion"]
        assert listing["resources"]


@answers(
    "[sig-api-machinery] AggregatedDiscovery should support aggregated discovery interface",
    "[sig-api-machinery] AggregatedDiscovery should support raw aggregated discovery endpoint Accept headers",
)
def test_aggregated_discovery(everywhere):
    wanted = {
        "v1 Namespace", "admissionregistration.k8s.io/v1 ValidatingWebhookConfiguration",
        "apiextensions.k8s.io/v1 CustomResourceDefinition", "apiregistration.k8s.io/v1 APIService", "apps/v1 Deployment",
        "authentication.k8s.io/v1 TokenReview", "authorization.k8s.io/v1 SelfSubjectAccessReview",
        "autoscaling/v1 HorizontalPodAutoscaler", "autoscaling/v2 HorizontalPodAutoscaler", "batch/v1 Job",
        "certificates.k8s.io/v1 CertificateSigningRequest", "coordination.k8s.io/v1 Lease",
        "discovery.k8s.io/v1 EndpointSlice", "events.k8s.io/v1 Event", "networking.k8s.io/v1 Ingress",
        "node.k8s.io/v1 RuntimeClass", "policy/v1 PodDisruptionBudget", "scheduling.k8s.io/v1 PriorityClass",
        "storage.k8s.io/v1 CSINode",
    }  # fmt: skip
    assert wanted <= set(everywhere.discover())
    for path in ("/api", "/apis"):
        accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
        answer = everywhere.dynamic.request("get", path, header_params={"Accept": accept}, serialize=False)
        assert answer.headers["Content-Type"] == accept
        assert json.loads(answer.data)["kind"] == "APIGroupDiscoveryList"


# ---- garbage


@answers("[sig-api-machinery] Garbage collector should delete pods created by rc when not orphaning")
def test_pods_follow_their_owner(kube):
    kube.create(workload("ReplicationController", "it", 2))
    kube.wait("ReplicationController", "it", lambda rc: rc["status"].get("replicas") == 2)
    kube.delete("ReplicationController", "it", propagation="Background")
    kube.wait_all("Pod", lambda left: not left)


@answers("[sig-api-machinery] Garbage collector should orphan pods created by rc if delete options say so [Serial]")
def test_orphaned_pods(kube):
    made = kube.create(workload("ReplicationController", "it", 3))
    kube.wait("ReplicationController", "it", lambda rc: rc["status"].get("replicas") == 3)
    kube.delete("ReplicationController", "it", propagation="Orphan", preconditions={"uid": made["metadata"]["uid"]})
    kube.gone("ReplicationController", "it")
    assert [owner(p) for p in kube.items("Pod")] == [None] * 3


@answers("[sig-api-machinery] Garbage collector should delete RS created by deployment when not orphaning")
def test_replica_sets_follow_their_deployment(kube):
    kube.create(deployment())
    kube.wait_all("ReplicaSet", lambda found: len(found) == 1)
    kube.delete("Deployment", "it", propagation="Background")
    kube.wait_all("ReplicaSet", lambda left: not left)


@answers(
    "[sig-api-machinery] Garbage collector should orphan RS created by deployment when deleteOptions.PropagationPolicy is Orphan"
)
def test_orphaned_replica_sets(kube):
    kube.create(deployment())
    kube.wait("Deployment", "it", settled)
    kube.delete("Deployment", "it", propagation="Orphan")
    kube.gone("Deployment", "it")
    assert [owner(rs) for rs in kube.items("ReplicaSet")] == [None]


@answers(
    "[sig-api-machinery] Garbage collector should keep the rc around until all its pods are deleted if the deleteOptions says so [Serial]"
)
def test_foreground(kube):
    made = kube.create(workload("ReplicationController", "it", 2))
    kube.wait("ReplicationController", "it", settled)
    since = now(kube, "ReplicationController")
    with kube.watch("ReplicationController", since=since) as events:
        kube.delete(
            "ReplicationController", "it", propagation="Foreground", preconditions={"uid": made["metadata"]["uid"]}
        )
        ending = next(obj for event, obj in events if "deletionTimestamp" in obj["metadata"] or event == "DELETED")
        assert "foregroundDeletion" in ending["metadata"]["finalizers"]
        assert "DELETED" in (event for event, _ in events)
        assert [p for p in kube.items("Pod") if "deletionTimestamp" not in p["metadata"]] == []


@answers(
    "[sig-api-machinery] Garbage collector should not delete dependents that have both valid owner and owner that's waiting for dependents to be deleted [Serial]"
)
def test_a_second_owner_keeps_pods(kube):
    deleted = workload("ReplicationController", "deleted", 4)
    kube.create(deleted)
    stays = kube.create(workload("ReplicationController", "stays", 0))
    kube.wait("ReplicationController", "deleted", settled)
    mine = kube.items("Pod", labelSelector="app=deleted")[:2]
    reference = {"apiVersion": "v1", "kind": "ReplicationController", "name": "stays", "uid": stays["metadata"]["uid"]}
    for each in mine:
        kube.patch("Pod", each["metadata"]["name"], {"metadata": {"ownerReferences": [reference]}}, how=STRATEGIC)
    kube.delete("ReplicationController", "deleted", propagation="Foreground")
    kube.gone("ReplicationController", "deleted")
    left = kube.wait_all("Pod", lambda found: len(found) == 2)
    assert {p["metadata"]["name"] for p in left} == {p["metadata"]["name"] for p in mine}
    assert all([ref["name"] for ref in p["metadata"]["ownerReferences"]] == ["stays"] for p in left)


@answers("[sig-api-machinery] Garbage collector should not be blocked by dependency circle")
def test_a_circle_of_owners(kube):
    made = [kube.create(pod(f"it-{i}")) for i in range(3)]
    for i, each in enumerate(made):
        other = made[(i + 1) % 3]["metadata"]
        reference = {
            "apiVersion": "v1", "kind": "Pod", "name": other["name"], "uid": other["uid"],
            "controller": True, "blockOwnerDeletion": True,
        }  # fmt: skip
        kube.patch("Pod", each["metadata"]["name"], {"metadata": {"ownerReferences": [reference]}})
    kube.delete("Pod", "it-0", propagation="Foreground")
    kube.wait_all("Pod", lambda left: not left)


# ---- namespaces


@answers(
    "[sig-api-machinery] Namespaces [Serial] should patch a Namespace",
    "[sig-api-machinery] Namespaces [Serial] should apply an update to a Namespace",
    "[sig-api-machinery] Namespaces [Serial] should apply changes to a namespace status",
)
def test_change_a_namespace(kube):
    name = kube.namespace
    assert (
        kube.patch("Namespace", name, {"metadata": {"labels": {"a": "patched"}}})["metadata"]["labels"]["a"]
        == "patched"
    )
    kube.change("Namespace", name, lambda ns: ns["metadata"]["labels"].update(b="updated"))
    assert kube.get("Namespace", name)["metadata"]["labels"]["b"] == "updated"
    one = {"type": "StatusPatch", "status": "True", "reason": "E2E", "message": "Patched by an e2e test"}
    assert condition(
        kube.patch("Namespace", name, {"status": {"conditions": [one]}}, subresource="status"), "StatusPatch"
    )
    two = {**one, "type": "StatusUpdate"}
    kube.change("Namespace", name, lambda ns: ns["status"]["conditions"].append(two), subresource="status")
    assert condition(kube.get("Namespace", name, subresource="status"), "StatusUpdate")


@answers("[sig-api-machinery] Namespaces [Serial] should apply a finalizer to a Namespace")
def test_finalizers_of_a_namespace(kube):
    name, mine = kube.namespace, "e2e.example.com/finalizer"
    path = kube.path("Namespace", name, subresource="finalize")

    def finalize(edit):
        """Again while the controller was quicker."""
        while True:
            found = kube.get("Namespace", name)
            edit(found["spec"]["finalizers"])
            with contextlib.suppress(refusals.ConflictError):
                return kube.call("put", path, found)

    assert mine in finalize(lambda finalizers: finalizers.append(mine))["spec"]["finalizers"]
    kube.delete("Namespace", name)
    ended = kube.wait("Namespace", name, lambda ns: ns["spec"].get("finalizers") == [mine])
    assert ended["status"]["phase"] == "Terminating"
    finalize(lambda finalizers: finalizers.clear())
    kube.gone("Namespace", name)


@pytest.mark.parametrize(
    "kind",
    [
        case(
            "Pod",
            of="[sig-api-machinery] Namespaces [Serial] should ensure that all pods are removed when a namespace is deleted",
        ),
        case(
            "Service",
            of="[sig-api-machinery] Namespaces [Serial] should ensure that all services are removed when a namespace is deleted",
        ),
    ],
)
def test_a_namespace_takes_all_with_it(make_namespace, everywhere, kind):
    kube = make_namespace()
    if kind == "Pod":
        kube.start(pod("it"))
    else:
        kube.create({"kind": "Service", "metadata": meta("it"), "spec": {"ports": [{"port": 80}]}})
    kube.delete("Namespace", kube.namespace)
    kube.gone("Namespace", kube.namespace)
    everywhere.create({"kind": "Namespace", "metadata": {"name": kube.namespace}})
    assert kube.items(kind) == []


@answers("[sig-api-machinery] OrderedNamespaceDeletion namespace deletion should delete pod first")
def test_pods_of_a_namespace_go_first(kube):
    held = pod("held")
    held["metadata"]["finalizers"] = ["e2e.example.com/hold"]
    kube.create(held)
    kube.create(config())
    kube.delete("Namespace", kube.namespace)
    kube.wait("Pod", "held", lambda p: p and p["metadata"].get("deletionTimestamp"))
    told = "NamespaceDeletionContentFailure"
    ended = kube.wait("Namespace", kube.namespace, lambda ns: condition(ns, told))
    assert ended["metadata"]["deletionTimestamp"]
    assert ended["status"]["phase"] == "Terminating"
    assert kube.find("v1 ConfigMap", "it")
    kube.patch("Pod", "held", {"metadata": {"finalizers": None}})
    kube.gone("Namespace", kube.namespace)
