"""Controllers together, against a server in memory; a test plays the kubelet by writing pods' status."""

import contextlib
import itertools

import pytest

from kubeshim.client import kinds
from kubeshim.control_plane.controller_manager import config, manager
from kubeshim.machinery import objects
from tests import fake_api

TYPES = {
    "": ["pods", "services", "endpoints", "configmaps", "serviceaccounts", "secrets", "replicationcontrollers"],
    "apps": ["deployments", "replicasets", "statefulsets", "daemonsets", "controllerrevisions"],
    "batch": ["jobs"],
    "discovery.k8s.io": ["endpointslices"],
}
KINDS = {
    "pods": "Pod",
    "services": "Service",
    "endpoints": "Endpoints",
    "configmaps": "ConfigMap",
    "serviceaccounts": "ServiceAccount",
    "secrets": "Secret",
    "replicationcontrollers": "ReplicationController",
    "deployments": "Deployment",
    "replicasets": "ReplicaSet",
    "endpointslices": "EndpointSlice",
    "statefulsets": "StatefulSet",
    "daemonsets": "DaemonSet",
    "controllerrevisions": "ControllerRevision",
    "jobs": "Job",
}


def discovery(groups):
    return {
        "kind": "APIGroupDiscoveryList",
        "items": [
            {
                "metadata": {"name": group},
                "versions": [
                    {
                        "version": "v1",
                        "resources": [
                            {
                                "resource": plural,
                                "responseKind": {"kind": KINDS[plural]},
                                "scope": "Namespaced",
                                "verbs": ["create", "delete", "deletecollection", "get", "list", "watch"],
                            }
                            for plural in plurals
                        ],
                    }
                ],
            }
            for group, plurals in groups.items()
        ],
    }


@pytest.fixture
def api():
    server = fake_api.FakeApi()
    server.discovery["/api"] = discovery({"": TYPES[""]})
    server.discovery["/apis"] = discovery({group: found for group, found in TYPES.items() if group})
    yield server
    server.stop()


@contextlib.contextmanager
def run_manager(api, client, **options):
    started = manager.Manager(api.client(), config.Config(client.config, config.Options(root_ca=b"CA", **options)))
    started.start()
    try:
        yield
    finally:
        started.stop()


@pytest.fixture
def running(api, client):
    with run_manager(api, client):
        yield


@pytest.fixture
def impatient(api, client):
    """A manager that takes a node for lost which is silent for 0.3 s: none here has an agent that renews its Lease."""
    with run_manager(api, client, node_monitor_grace_period=0.3, node_eviction_rate=100.0):
        yield


def deployment(replicas=3, image="web:1", **spec):
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": image}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
            "progressDeadlineSeconds": 600,
            "revisionHistoryLimit": 10,
            "template": template,
            **spec,
        },
    }


def play_kubelet(api, client):
    """Makes every pod ready, as its node would."""

    def act(pod):
        if not objects.condition(pod, "Ready"):
            number = pod["metadata"]["resourceVersion"]
            status = {
                "phase": "Running",
                "podIP": f"10.0.0.{int(number) % 250}",
                "podIPs": [{"ip": f"10.0.0.{int(number) % 250}"}],
                "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}],
            }
            client.patch(
                kinds.PODS,
                pod["metadata"]["name"],
                {"status": status},
                pod["metadata"]["namespace"],
                subresource="status",
            )

    from kubeshim.client import informer

    pods = informer.Informer(client, kinds.PODS)
    pods.add_handler(added=act)
    pods.start()
    return pods


def status(client):
    return client.get(kinds.DEPLOYMENTS, "web", "x").get("status") or {}


def test_a_deployment_rolls_out_and_over_and_back(api, client, running):
    kubelet = play_kubelet(api, client)
    client.create(kinds.DEPLOYMENTS, deployment(), "x")
    fake_api.eventually(lambda: status(client).get("availableReplicas") == 3)
    first = client.list(kinds.REPLICA_SETS, "x")["items"][0]
    assert first["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
    assert first["metadata"]["name"] == f"web-{first['metadata']['labels']['pod-template-hash']}"

    def finished():
        """The deployment when its rollout is over, all told by one reading of it."""
        found = client.get(kinds.DEPLOYMENTS, "web", "x")
        told = found["status"]
        over = (
            told.get("updatedReplicas") == told.get("replicas") == 3
            and told["observedGeneration"] == found["metadata"]["generation"]
            and objects.condition(found, "Progressing")["reason"] == "NewReplicaSetAvailable"
        )
        return found if over else None

    def rollout(image, revision):
        spec = {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}}
        client.patch(kinds.DEPLOYMENTS, "web", {"spec": spec}, "x")
        annotations = fake_api.eventually(finished)["metadata"]["annotations"]
        assert annotations["deployment.kubernetes.io/revision"] == revision
        pods = client.list(kinds.PODS, "x")["items"]
        assert {pod["spec"]["containers"][0]["image"] for pod in pods} == {image}

    rollout("web:2", "2")
    rollout("web:1", "3")
    assert len(client.list(kinds.REPLICA_SETS, "x")["items"]) == 2
    reasons = {(e["reason"], e["message"].split(" web-")[0]) for e in client.list(kinds.EVENTS, "x")["items"]}
    assert ("ScalingReplicaSet", "Scaled up replica set") in reasons
    assert ("ScalingReplicaSet", "Scaled down replica set") in reasons
    assert ("SuccessfulCreate", "Created pod:") in reasons
    kubelet.stop()


def test_deleted_pods_are_replaced_and_scaling_down_deletes(api, client, running):
    kubelet = play_kubelet(api, client)
    client.create(kinds.DEPLOYMENTS, deployment(2), "x")
    fake_api.eventually(lambda: status(client).get("availableReplicas") == 2)
    victim = client.list(kinds.PODS, "x")["items"][0]["metadata"]["name"]
    client.delete(kinds.PODS, victim, "x")
    fake_api.eventually(
        lambda: (
            victim not in (names := [p["metadata"]["name"] for p in client.list(kinds.PODS, "x")["items"]])
            and len(names) == 2
        )
    )
    client.patch(kinds.DEPLOYMENTS, "web", {"spec": {"replicas": 0}}, "x")
    fake_api.eventually(lambda: not client.list(kinds.PODS, "x")["items"])
    kubelet.stop()


def test_deleting_a_deployment_takes_its_sets_and_pods(api, client, running):
    client.create(kinds.DEPLOYMENTS, deployment(2), "x")
    fake_api.eventually(lambda: len(client.list(kinds.PODS, "x")["items"]) == 2)
    client.delete(kinds.DEPLOYMENTS, "web", "x", options={"propagationPolicy": "Background"})
    fake_api.eventually(
        lambda: not client.list(kinds.PODS, "x")["items"] and not client.list(kinds.REPLICA_SETS, "x")["items"]
    )


def test_foreground_deletion_waits_for_dependents(api, client, running):
    client.create(kinds.DEPLOYMENTS, deployment(2), "x")
    fake_api.eventually(lambda: len(client.list(kinds.PODS, "x")["items"]) == 2)
    client.delete(kinds.DEPLOYMENTS, "web", "x", options={"propagationPolicy": "Foreground"})
    fake_api.eventually(lambda: not client.list(kinds.DEPLOYMENTS, "x")["items"])
    order = [(where[1], kind) for _, where, kind, _ in api.history if kind == "DELETED" and where[1] != "events"]
    plurals = [plural for plural, _ in order if plural in ("pods", "replicasets", "deployments")]
    # Which of two watches tells first is chance, so a set may make one more pod before it hears of its own end.
    assert [plural for plural, _ in itertools.groupby(plurals)] == ["pods", "replicasets", "deployments"]


def test_orphaning_leaves_the_set_without_owner(api, client, running):
    client.create(kinds.DEPLOYMENTS, deployment(1), "x")
    fake_api.eventually(lambda: client.list(kinds.PODS, "x")["items"])
    client.delete(kinds.DEPLOYMENTS, "web", "x", options={"propagationPolicy": "Orphan"})
    fake_api.eventually(lambda: not client.list(kinds.DEPLOYMENTS, "x")["items"])
    (left,) = client.list(kinds.REPLICA_SETS, "x")["items"]
    assert not left["metadata"].get("ownerReferences")
    assert len(client.list(kinds.PODS, "x")["items"]) == 1


def test_what_names_an_owner_that_never_was_is_deleted(api, client, running):
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "no", "uid": "never"}
    metadata = {"name": "lost", "ownerReferences": [owner]}
    client.create(kinds.CONFIG_MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}, "x")
    fake_api.eventually(lambda: not client.list(kinds.CONFIG_MAPS, "x")["items"])


READY = {"type": "Ready", "status": "True"}


def test_a_service_gets_endpoints_and_a_slice_that_follow_its_pods(api, client, running):
    kubelet = play_kubelet(api, client)
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {
            "clusterIP": "10.96.0.7",
            "ipFamilies": ["IPv4"],
            "selector": {"app": "web"},
            "ports": [{"port": 80, "targetPort": 8080, "protocol": "TCP"}],
        },
    }
    client.create(kinds.SERVICES, service, "x")
    fake_api.eventually(lambda: len(client.list(kinds.ENDPOINT_SLICES, "x")["items"]) == 1)
    client.create(kinds.DEPLOYMENTS, deployment(3), "x")

    def ready():
        listed = [
            e
            for s in client.list(kinds.ENDPOINT_SLICES, "x")["items"]
            for e in s["endpoints"]
            if e["conditions"]["ready"]
        ]
        subsets = client.get(kinds.ENDPOINTS, "web", "x").get("subsets") or [{}]
        return len(listed), len(subsets[0].get("addresses", ()))

    fake_api.eventually(lambda: ready() == (3, 3))
    (one,) = client.list(kinds.ENDPOINT_SLICES, "x")["items"]
    assert one["ports"] == [{"name": "", "protocol": "TCP", "port": 8080}]
    assert one["metadata"]["labels"]["kubernetes.io/service-name"] == "web"
    client.patch(kinds.DEPLOYMENTS, "web", {"spec": {"replicas": 1}}, "x")
    fake_api.eventually(lambda: ready() == (1, 1))
    kubelet.stop()


def test_endpoints_are_spread_by_zones_while_there_is_more_than_one(api, client, running):
    def pod(name, where):
        spec = {"nodeName": where, "containers": []}
        status = {"phase": "Running", "podIP": f"10.244.0.{ord(name)}", "conditions": [READY]}
        meta = {"name": name, "labels": {"app": "web"}}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec, "status": status}

    for zone in "ab":
        made = fake_api.node(f"n{zone}")
        made["metadata"]["labels"]["topology.kubernetes.io/zone"] = zone
        client.create(kinds.NODES, made)
    for name, where in (("p", "na"), ("q", "na"), ("r", "na"), ("s", "na")):
        client.create(kinds.PODS, pod(name, where), "x")
    mode = {"service.kubernetes.io/topology-mode": "Auto"}
    spec = {"clusterIP": "10.96.0.8", "ipFamilies": ["IPv4"], "selector": {"app": "web"}, "ports": [{"port": 80}]}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "near", "annotations": mode}, "spec": spec}
    client.create(kinds.SERVICES, service, "x")

    def zones():
        found = [e for s in client.list(kinds.ENDPOINT_SLICES, "x")["items"] for e in s["endpoints"]]
        return sorted(hint["name"] for e in found for hint in (e.get("hints") or {}).get("forZones", ()))

    fake_api.eventually(lambda: zones() == ["a", "a", "b", "b"])
    client.delete(kinds.NODES, "nb")
    fake_api.eventually(lambda: zones() == [])

    def reasons():
        return {event["reason"] for event in client.list(kinds.EVENTS, "x")["items"]}

    fake_api.eventually(lambda: "TopologyAwareHintsEnabled" in reasons())


def test_a_namespace_gets_its_account_and_ca_and_is_emptied_pods_first(api, client, running):
    namespace = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "x"},
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    }
    client.create(kinds.NAMESPACES, namespace)
    fake_api.eventually(lambda: client.list(kinds.SERVICE_ACCOUNTS, "x")["items"])
    fake_api.eventually(lambda: client.list(kinds.CONFIG_MAPS, "x")["items"])
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "finalizers": ["test/hold"]}, "spec": {}}
    client.create(kinds.PODS, pod, "x")
    with api.lock:  # as the server's namespace strategy does on DELETE
        stored = api.find(("v1", "namespaces"), "", "x")
        going = {**stored["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}
        api.put(("v1", "namespaces"), "MODIFIED", {**stored, "metadata": going, "status": {"phase": "Terminating"}})

    def told():
        found = objects.condition(client.get(kinds.NAMESPACES, "x"), "NamespaceFinalizersRemaining")
        return found and found["message"]

    text = "Some content in the namespace has finalizers remaining: test/hold in 1 resource instances"
    fake_api.eventually(lambda: told() == text)
    assert client.list(kinds.CONFIG_MAPS, "x")["items"]  # nothing else before the pods
    client.patch(kinds.PODS, "p", {"metadata": {"finalizers": None}}, "x")
    fake_api.eventually(lambda: not client.list(kinds.NAMESPACES)["items"])
    assert not client.list(kinds.CONFIG_MAPS, "x")["items"]


def test_nodes_get_ranges_and_a_silent_one_is_marked_tainted_and_emptied(api, client, impatient):
    for name in ("a", "b"):
        node = fake_api.node(name)
        client.create(kinds.NODES, node)
    fake_api.eventually(lambda: all(node["spec"].get("podCIDR") for node in client.list(kinds.NODES)["items"]))
    assert {node["spec"]["podCIDR"] for node in client.list(kinds.NODES)["items"]} == {"10.244.0.0/24", "10.244.1.0/24"}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"nodeName": "a"},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    }
    client.create(kinds.PODS, pod, "x")

    def beat(number):
        fresh = {"metadata": {"name": "b"}, "kind": "Lease", "spec": {"renewTime": str(number)}}
        try:
            client.patch(kinds.LEASES, "b", fresh, "kube-node-lease")
        except Exception:
            client.create(kinds.LEASES, fresh, "kube-node-lease")

    beats = iter(range(10**6))
    fake_api.eventually(lambda: beat(next(beats)) or not client.list(kinds.PODS, "x")["items"])

    def settled():
        """However late a beat was: that also ``b`` was lost for a moment says nothing."""
        beat(next(beats))
        lost, well = (client.get(kinds.NODES, name) for name in "ab")
        effects = {taint["effect"] for taint in lost["spec"].get("taints") or ()}
        return effects == {"NoSchedule", "NoExecute"} and not well["spec"].get("taints") and lost

    lost = fake_api.eventually(settled)
    assert objects.condition(lost, "Ready")["reason"] == "NodeStatusUnknown"


def workload(kind, **spec):
    template = {"metadata": {"labels": {"app": "w"}}, "spec": {"containers": [{"name": "c", "image": "w:1"}]}}
    group = "batch/v1" if kind == "Job" else "apps/v1"
    spec = {"selector": {"matchLabels": {"app": "w"}}, "template": template, **spec}
    return {"apiVersion": group, "kind": kind, "metadata": {"name": "w"}, "spec": spec}


def images(client):
    return sorted(
        (p["metadata"]["name"], p["spec"]["containers"][0]["image"]) for p in client.list(kinds.PODS, "x")["items"]
    )


def test_a_stateful_set_grows_updates_and_shrinks_in_order(api, client, running):
    kubelet = play_kubelet(api, client)
    client.create(kinds.STATEFUL_SETS, workload("StatefulSet", replicas=3, serviceName="w"), "x")
    fake_api.eventually(lambda: images(client) == [(f"w-{n}", "w:1") for n in range(3)])
    template = {"spec": {"containers": [{"name": "c", "image": "w:2"}]}}
    client.patch(kinds.STATEFUL_SETS, "w", {"spec": {"template": template}}, "x")
    fake_api.eventually(lambda: images(client) == [(f"w-{n}", "w:2") for n in range(3)])
    gone = [obj["metadata"]["name"] for _, where, kind, obj in api.history if (where[1], kind) == ("pods", "DELETED")]
    assert gone == ["w-2", "w-1", "w-0"]
    client.patch(kinds.STATEFUL_SETS, "w", {"spec": {"replicas": 1}}, "x")
    fake_api.eventually(lambda: images(client) == [("w-0", "w:2")])
    fake_api.eventually(
        lambda: (
            client.get(kinds.STATEFUL_SETS, "w", "x")["status"].get("currentRevision")
            == client.get(kinds.STATEFUL_SETS, "w", "x")["status"]["updateRevision"]
        )
    )
    kubelet.stop()


def test_a_daemon_set_has_a_pod_a_node_and_rolls(api, client, running):
    kubelet = play_kubelet(api, client)
    for name in ("a", "b"):
        client.create(kinds.NODES, fake_api.node(name))
    client.create(kinds.DAEMON_SETS, workload("DaemonSet"), "x")
    fake_api.eventually(lambda: client.get(kinds.DAEMON_SETS, "w", "x").get("status", {}).get("numberAvailable") == 2)
    client.create(kinds.NODES, fake_api.node("c"))
    fake_api.eventually(lambda: client.get(kinds.DAEMON_SETS, "w", "x")["status"].get("numberAvailable") == 3)
    template = {"spec": {"containers": [{"name": "c", "image": "w:2"}]}}
    client.patch(kinds.DAEMON_SETS, "w", {"spec": {"template": template}}, "x")
    fake_api.eventually(lambda: [image for _, image in images(client)] == ["w:2"] * 3)
    kubelet.stop()


def finish(client, pod, phase):
    name = pod["metadata"]["name"]
    client.patch(kinds.PODS, name, {"status": {"phase": phase}}, "x", subresource="status")


def test_a_job_counts_its_pods_and_completes(api, client, running):
    job = workload("Job", completions=3, parallelism=2, backoffLimit=6)
    client.create(kinds.JOBS, job, "x")

    def run():
        for pod in client.list(kinds.PODS, "x")["items"]:
            if not pod["status"].get("phase") if pod.get("status") else True:
                finish(client, pod, "Succeeded")
        return objects.condition(client.get(kinds.JOBS, "w", "x"), "Complete")

    done = fake_api.eventually(run)
    assert done["reason"] == "CompletionsReached"
    status = client.get(kinds.JOBS, "w", "x")["status"]
    assert status["succeeded"] == 3 and "active" not in status and status["completionTime"]
    assert len(client.list(kinds.PODS, "x")["items"]) == 3
    assert not any(pod["metadata"].get("finalizers") for pod in client.list(kinds.PODS, "x")["items"])


def test_a_job_that_keeps_failing_fails(api, client, running):
    client.create(kinds.JOBS, workload("Job", completions=1, parallelism=1, backoffLimit=0), "x")
    (pod,) = fake_api.eventually(lambda: client.list(kinds.PODS, "x")["items"])
    finish(client, pod, "Failed")
    failed = fake_api.eventually(lambda: objects.condition(client.get(kinds.JOBS, "w", "x"), "Failed"))
    assert failed["message"] == "Job has reached the specified backoff limit"


def test_a_claim_takes_the_smallest_volume_that_fits_and_releases_it(api, client, running):
    def spec(size):
        return {"accessModes": ["ReadWriteOnce"], "storageClassName": "s", "capacity": {"storage": size}}

    for name, size in (("large", "5Gi"), ("right", "2Gi"), ("small", "1Gi")):
        volume = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec(size)}
        client.create(kinds.PERSISTENT_VOLUMES, volume)
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "c"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "s",
            "resources": {"requests": {"storage": "2Gi"}},
        },
    }
    client.create(kinds.PERSISTENT_VOLUME_CLAIMS, claim, "x")

    def bound():
        found = client.get(kinds.PERSISTENT_VOLUME_CLAIMS, "c", "x")
        return found.get("status", {}).get("phase") == "Bound" and found["spec"]["volumeName"]

    assert fake_api.eventually(bound) == "right"
    client.delete(kinds.PERSISTENT_VOLUME_CLAIMS, "c", "x")
    phase = lambda name: client.get(kinds.PERSISTENT_VOLUMES, name).get("status", {}).get("phase")  # noqa: E731
    fake_api.eventually(lambda: (phase("right"), phase("large")) == ("Released", "Available"))


def test_controllers_are_chosen_by_name():
    assert manager.select(["*"]) == list(manager.CONTROLLERS)
    assert [one.name for one in manager.select(["deployment"])] == ["deployment"]
    for name in ("-deployment", "-deployment-controller"):
        assert "deployment" not in {one.name for one in manager.select(["*", name])}
    with pytest.raises(manager.UnknownController):
        manager.select(["nonesuch"])
