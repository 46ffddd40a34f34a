"""What a namespace may use: quotas that count, and limits that fill in."""

import pytest

from tests.conformance.kube import Refused, container, meta, pod
from tests.conformance.names import answers, case
from tests.conformance.test_workloads import workload

GOLD = "gold.storageclass.storage.k8s.io"
DONGLE = "requests.example.com/dongle"
HARD = {
    "pods": "5", "services": "10", "services.nodeports": "1", "services.loadbalancers": "1", "replicationcontrollers": "10",
    "resourcequotas": "1", "configmaps": "10", "secrets": "10", "cpu": "1", "memory": "500Mi", "ephemeral-storage": "50Gi",
    "persistentvolumeclaims": "10", "requests.storage": "10Gi", f"{GOLD}/persistentvolumeclaims": "10",
    f"{GOLD}/requests.storage": "10Gi", "count/replicasets.apps": "5", DONGLE: "3",
}  # fmt: skip


def quota(name="it", hard=None, **spec):
    return {"kind": "ResourceQuota", "metadata": meta(name), "spec": {"hard": hard or HARD, **spec}}


def used(kube, name="it", **amounts):
    """Waits until that much is used."""
    good = lambda q: all((q.get("status", {}).get("used") or {}).get(key) == value for key, value in amounts.items())  # noqa: E731
    return kube.wait("ResourceQuota", name, good)


@answers(
    "[sig-api-machinery] ResourceQuota should create a ResourceQuota and ensure its status is promptly calculated."
)
def test_a_new_quota_is_counted(kube):
    kube.create(quota())
    status = used(kube, resourcequotas="1", pods="0")["status"]
    assert status["hard"] == HARD
    assert set(status["used"]) == set(HARD)


LIVES = {
    "service": ("services", "1", {"kind": "Service", "metadata": meta("x"), "spec": {"ports": [{"port": 80}]}}),
    "secret": ("secrets", "1", {"apiVersion": "v1", "kind": "Secret", "metadata": meta("x"), "stringData": {"a": "b"}}),
    # kube-root-ca.crt is counted too
    "configMap": ("configmaps", "2", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta("x")}),
    "replication controller": ("replicationcontrollers", "1", workload("ReplicationController", "x", 0)),
    "replica set": ("count/replicasets.apps", "1", workload("ReplicaSet", "x", 0)),
}


@pytest.mark.parametrize(
    "what",
    [
        case(
            what,
            of=f"[sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a {what}.",
        )
        for what in LIVES
    ],
)
def test_an_object_is_counted_while_it_lives(kube, what):
    name, count, obj = LIVES[what]
    kube.create(quota())
    before = str(int(count) - 1)
    used(kube, **{name: before})
    made = kube.create(obj)
    used(kube, **{name: count})
    kind = what.title().replace(" ", "") if what != "configMap" else "ConfigMap"
    if what == "service":

        def service(name, kind_of, **more):
            spec = {"type": kind_of, "ports": [{"port": 80}], **more}
            return kube.create({"kind": "Service", "metadata": meta(name), "spec": spec})

        service("nodes", "NodePort")
        # a load balancer's node port would be the second one
        with pytest.raises(Refused) as refused:
            service("balanced", "LoadBalancer", allocateLoadBalancerNodePorts=True)
        assert refused.value.status == 403
        used(kube, services="2", **{"services.nodeports": "1", "services.loadbalancers": "0"})
        service("balanced", "LoadBalancer", allocateLoadBalancerNodePorts=False)
        used(kube, services="3", **{"services.nodeports": "1", "services.loadbalancers": "1"})
        for other in ("nodes", "balanced"):
            kube.delete("Service", other)
    key = f"v1 {kind}" if kind in ("Secret", "ConfigMap") else kind
    kube.delete(key, made["metadata"]["name"])
    used(kube, **{name: before})


def of(cpu, memory, name="x", **more):
    requests = {"cpu": cpu, "memory": memory, **more}
    # these pods never start: no node has the label
    resources = {"requests": requests, "limits": requests}
    return pod(name, container("true", resources=resources), nodeSelector={"none": "none"})


@answers("[sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a pod.")
def test_a_pod_is_counted_while_it_lives(kube):
    kube.create(quota())
    used(kube, pods="0")
    special = {"example.com/dongle": "2"}
    made = kube.create(of("500m", "252Mi", **{"ephemeral-storage": "30Gi"}, **special))
    counted = {"pods": "1", "cpu": "500m", "memory": "252Mi", "ephemeral-storage": "30Gi", DONGLE: "2"}
    used(kube, **counted)
    for too_much in (
        of("600m", "100Mi", "y"),
        of("500m", "100Mi", "y", **{"ephemeral-storage": "30Gi"}),
        of("100m", "100Mi", "y", **special),
    ):
        with pytest.raises(Refused) as refused:
            kube.create(too_much)
        assert refused.value.status == 403
        assert "exceeded quota: it" in refused.value.body
    less = {"cpu": "100m", "memory": "100Mi", "ephemeral-storage": "10Gi"}
    made["spec"]["containers"][0]["resources"] = {"requests": less}
    del made["metadata"]["resourceVersion"]  # it is the change that is refused, not its age
    with pytest.raises(Refused) as refused:
        kube.update(made)
    assert refused.value.status == 422
    kube.patch("Pod", "x", {"metadata": {"labels": {"a": "b"}}})
    used(kube, **counted)
    kube.delete("Pod", "x", grace=0)
    used(kube, **dict.fromkeys(counted, "0"))


@pytest.mark.parametrize(
    ("scopes", "inside"),
    [
        case(
            ("Terminating", "NotTerminating"),
            {"activeDeadlineSeconds": 3600},
            of="[sig-api-machinery] ResourceQuota should verify ResourceQuota with terminating scopes.",
        ),
        case(
            ("NotBestEffort", "BestEffort"),
            {},
            of="[sig-api-machinery] ResourceQuota should verify ResourceQuota with best effort scope.",
        ),
    ],
)
def test_scopes(kube, scopes, inside):
    names = [scope.lower() for scope in scopes]
    for scope, name in zip(scopes, names, strict=True):
        kube.create(quota(name, {"pods": "5"}, scopes=[scope]))
        used(kube, name, pods="0")
    first = of("100m", "10Mi", "first")
    first["spec"].update(inside)
    second = of("100m", "10Mi", "second")
    if "BestEffort" in scopes:
        del second["spec"]["containers"][0]["resources"]
    for counted, other, each in ((*names, first), (*names[::-1], second)):
        kube.create(each)
        used(kube, counted, pods="1")
        used(kube, other, pods="0")
        kube.delete("Pod", each["metadata"]["name"], grace=0)
        used(kube, counted, pods="0")


@answers(
    "[sig-api-machinery] ResourceQuota should be able to update and delete ResourceQuota.",
    "[sig-api-machinery] ResourceQuota should manage the lifecycle of a ResourceQuota",
)
def test_life_of_a_quota(kube):
    kube.create(quota(hard={"cpu": "1", "memory": "500Mi"}))
    kube.change("ResourceQuota", "it", lambda q: q["spec"].update(hard={"cpu": "2", "memory": "1Gi"}))
    kube.wait("ResourceQuota", "it", lambda q: q["status"].get("hard") == {"cpu": "2", "memory": "1Gi"})
    kube.patch(
        "ResourceQuota", "it", {"metadata": {"labels": {"mine": kube.namespace}}, "spec": {"hard": {"cpu": "3"}}}
    )
    assert kube.get("ResourceQuota", "it")["spec"]["hard"] == {"cpu": "3", "memory": "1Gi"}
    assert len(kube.items("ResourceQuota", namespace="", labelSelector=f"mine={kube.namespace}")) == 1
    kube.delete_all("ResourceQuota", labelSelector=f"mine={kube.namespace}")
    kube.gone("ResourceQuota", "it")


@answers("[sig-api-machinery] ResourceQuota should apply changes to a resourcequota status")
def test_status_of_a_quota(kube):
    hard = {"cpu": "500m", "memory": "500Mi"}
    kube.create(quota(hard=hard))
    kube.wait("ResourceQuota", "it", lambda q: q["status"].get("hard") == hard)
    by_hand = {"cpu": "750m", "memory": "1Gi"}
    since = kube.list("ResourceQuota")["metadata"]["resourceVersion"]
    with kube.watch("ResourceQuota", since=since) as events:
        # the controller may count again at any moment and write over it: what a write answered and a watch saw counts
        found = kube.change("ResourceQuota", "it", lambda q: q["status"].update(hard=by_hand), subresource="status")
        assert found["status"]["hard"] == by_hand
        assert kube.get("ResourceQuota", "it", subresource="status")["kind"] == "ResourceQuota"
        found = kube.patch("ResourceQuota", "it", {"status": {"hard": {"cpu": "1"}}}, subresource="status")
        assert (found["status"]["hard"]["cpu"], found["spec"]["hard"]) == ("1", hard)
        for wanted in ("750m", "1"):
            assert any(obj["status"]["hard"]["cpu"] == wanted for _, obj in events)


@answers(
    "[sig-scheduling] LimitRange should create a LimitRange with defaults and ensure pod has those defaults applied."
)
def test_limits_are_filled_in(kube):
    def amounts(cpu, memory, storage):
        return {"cpu": cpu, "memory": memory, "ephemeral-storage": storage}

    limit = {
        "type": "Container",
        "min": amounts("50m", "100Mi", "100Gi"),
        "max": amounts("500m", "500Mi", "500Gi"),
        "defaultRequest": amounts("100m", "200Mi", "200Gi"),
        "default": amounts("300m", "300Mi", "300Gi"),
        "maxLimitRequestRatio": {"cpu": "10"},
    }
    kube.create({"kind": "LimitRange", "metadata": meta("it"), "spec": {"limits": [limit]}})

    def resources(body):
        return kube.create(body)["spec"]["containers"][0]["resources"]

    none = pod("none", nodeSelector={"none": "none"})
    assert resources(none) == {"requests": limit["defaultRequest"], "limits": limit["default"]}
    some = pod(
        "some",
        container("true", resources={"requests": amounts("100m", "200Mi", "200Gi"), "limits": {"cpu": "300m"}}),
        nodeSelector={"none": "none"},
    )
    assert resources(some) == {"requests": limit["defaultRequest"], "limits": limit["default"]}
    for name, values in (("min", {"cpu": "10m", "memory": "50Mi"}), ("max", {"cpu": "600m", "memory": "600Mi"})):
        with pytest.raises(Refused) as refused:
            kube.create(pod(name, container("true", resources={"requests": values, "limits": values})))
        assert refused.value.status == 403
    kube.change(
        "LimitRange",
        "it",
        lambda r: r["spec"]["limits"][0].update(min={"cpu": "9m", "memory": "49Mi", "ephemeral-storage": "49Gi"}),
    )
    values = amounts("10m", "50Mi", "50Gi")
    kube.create(
        pod("small", container("true", resources={"requests": values, "limits": values}), nodeSelector={"none": "none"})
    )
    kube.delete("LimitRange", "it")
    kube.gone("LimitRange", "it")
    large = {"requests": {"cpu": "600m", "memory": "600Mi"}}
    assert resources(pod("large", container("true", resources=large), nodeSelector={"none": "none"})) == large
