"""What controllers do while their caches are behind: each case is two things that happen in another order than usual.

The caches are filled by hand, so that they show just what the case says they do.
"""

import copy
import threading

import pytest

from kubeshim import clock
from kubeshim.client import informer, kinds, recorder, rest
from kubeshim.control_plane.controller_manager import config, controller, history
from kubeshim.control_plane.controller_manager.controllers import (
    certificates,
    daemonset,
    deployment,
    endpoints,
    horizontalpodautoscaler,
    job,
    node_ipam,
    node_lifecycle,
    persistentvolume_binder,
    pod_gc,
    replicaset,
    resource_quota,
    service_lb,
    serviceaccount_token,
    statefulset,
    taint_eviction,
    vac_protection,
)
from kubeshim.machinery import errors, legacy_tokens, objects
from tests import fake_api

TEMPLATE = {"metadata": {"labels": {"app": "it"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
SELECTOR = {"matchLabels": {"app": "it"}}


class Behind:
    """Controllers whose caches show what they are told."""

    def __init__(self, client):
        self.client = client
        self.factory = informer.Factory(client)
        self._recorders = []

    def controller(self, kind, **options):
        events = recorder.Recorder(self.client, kind.name)
        self._recorders.append(events)
        return kind(controller.Context(self.client, self.factory, config.Options(**options), lambda _: events))

    def show(self, gvr, obj):
        """Lets the cache see the object, as it is given, and its handlers with it."""
        cache = self.factory.informer(gvr)
        cache._synced.set()
        cache._set(objects.key(obj), copy.deepcopy(obj))
        return obj

    def show_gone(self, gvr, obj):
        self.factory.informer(gvr)._set(objects.key(obj), None, last=obj)

    def stop(self):
        for events in self._recorders:
            events.stop()


@pytest.fixture
def behind(client):
    made = Behind(client)
    yield made
    made.stop()


def owner_of(client, gvr, kind, **spec):
    made = {"apiVersion": gvr.group_version, "kind": kind, "metadata": {"name": "it"}}
    return client.create(gvr, {**made, "spec": {"selector": SELECTOR, "template": TEMPLATE, **spec}}, "ns")


def pod_of(client, owner, name, **more):
    metadata = {"name": name, "labels": {"app": "it"}, "ownerReferences": [objects.owner_reference(owner)]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {**metadata, **more.pop("metadata", {})}, "spec": {}, **more}
    return client.create(kinds.PODS, pod, "ns")


WORKLOADS = [
    (replicaset.ReplicaSetController, kinds.REPLICA_SETS, "ReplicaSet", "replicas"),
    (job.JobController, kinds.JOBS, "Job", "parallelism"),
]


@pytest.mark.parametrize(("controlled", "gvr", "kind", "size"), WORKLOADS)
def test_a_pod_that_was_gone_before_it_was_deleted_is_not_waited_for(client, behind, controlled, gvr, kind, size):
    acting = behind.controller(controlled)
    owner = behind.show(gvr, owner_of(client, gvr, kind, **{size: 0}))
    pod = behind.show(kinds.PODS, pod_of(client, owner, "p"))
    client.delete(kinds.PODS, "p", "ns")

    # the cache learns of the pod's end after the controller has looked, and before it expects anything
    observed = acting._expected.expect_deletions
    acting._expected.expect_deletions = lambda *it: (behind.show_gone(kinds.PODS, pod), observed(*it))
    acting.sync("ns/it")
    assert acting._expected.satisfied(objects.uid(owner))


def test_a_daemon_that_was_gone_before_it_was_deleted_is_not_waited_for(client, behind):
    acting = behind.controller(daemonset.DaemonSetController)
    owner = behind.show(kinds.DAEMON_SETS, owner_of(client, kinds.DAEMON_SETS, "DaemonSet"))
    pod = behind.show(kinds.PODS, pod_of(client, owner, "p", spec={"nodeName": "gone"}))
    client.delete(kinds.PODS, "p", "ns")
    observed = acting._expected.expect
    acting._expected.expect = lambda *it: (behind.show_gone(kinds.PODS, pod), observed(*it))
    acting.sync("ns/it")
    assert acting._expected.satisfied(objects.uid(owner))


@pytest.mark.parametrize(("controlled", "gvr", "kind", "size"), WORKLOADS)
def test_a_namesake_does_not_wait_for_the_pods_of_the_one_before(client, behind, controlled, gvr, kind, size):
    acting = behind.controller(controlled)
    first = behind.show(gvr, owner_of(client, gvr, kind, **{size: 1}))

    create = acting._control.create

    def creating(*arguments, **named):
        # while the first one's pod is being made that one is deleted, and there is another of its name
        client.delete(gvr, "it", "ns")
        behind.show_gone(gvr, first)
        behind.show(gvr, owner_of(client, gvr, kind, **{size: 1}))
        acting._control.create = create
        return create(*arguments, **named)

    acting._control.create = creating
    with pytest.raises(Exception, match=r"modified|UID|changed"):
        acting.sync("ns/it")
    acting.sync("ns/it")
    second = client.get(gvr, "it", "ns")
    made = client.list(kinds.PODS, "ns")["items"]
    assert sorted(objects.controller_of(pod)["uid"] for pod in made) == sorted(map(objects.uid, (first, second)))


def test_what_the_cache_never_shows_is_looked_for_again(client, behind):
    acting = behind.controller(replicaset.ReplicaSetController)
    behind.show(kinds.REPLICA_SETS, owner_of(client, kinds.REPLICA_SETS, "ReplicaSet", replicas=1))
    assert acting.sync("ns/it") > 0


def test_a_pod_that_a_job_adopted_meanwhile_keeps_its_finalizer(client, behind):
    acting = behind.controller(job.JobController)
    metadata = {"name": "p", "finalizers": ["batch.kubernetes.io/job-tracking"]}
    orphan = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {}}
    behind.show(kinds.PODS, client.create(kinds.PODS, orphan, "ns"))
    client.patch(kinds.PODS, "p", {"metadata": {"labels": {"adopted": "just now"}}}, "ns")
    with pytest.raises(Exception, match="modified"):
        acting.sync("orphan/ns/p")
    assert client.get(kinds.PODS, "p", "ns")["metadata"]["finalizers"]
    behind.show(kinds.PODS, client.get(kinds.PODS, "p", "ns"))
    acting.sync("orphan/ns/p")
    assert not client.get(kinds.PODS, "p", "ns")["metadata"]["finalizers"]


def unwell(client, name="p"):
    """A pod on a node that is gone, as it was before its kubelet wrote last; and what it wrote."""
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"nodeName": "n"}}
    before = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    old = client.create(kinds.PODS, {**pod, "status": before}, "ns")
    now = {"status": {"conditions": [{"type": "Ready", "status": "False"}, {"type": "another", "status": "True"}]}}
    client.patch(kinds.PODS, name, now, "ns", kind="strategic", subresource="status")
    return old


@pytest.mark.parametrize("controlled", [pod_gc.PodGCController, taint_eviction.TaintEvictionController])
def test_who_evicts_a_pod_writes_no_condition_but_its_own(client, behind, api, controlled):
    acting = behind.controller(controlled)
    old = unwell(client)
    api.hooks.append(lambda handler, method, _: method == "DELETE" and (handler.send(200, {}) or True))
    if controlled is pod_gc.PodGCController:
        acting._delete(old, "orphaned", ("DeletionByPodGC", "PodGC: node no longer exists"))
    else:
        acting._evict(old, acting.clock.now())
    status = client.get(kinds.PODS, "p", "ns")["status"]
    told = {one["type"]: one["status"] for one in status["conditions"]}
    assert told == {"Ready": "False", "another": "True", "DisruptionTarget": "True"}


@pytest.mark.parametrize("controlled", [pod_gc.PodGCController, taint_eviction.TaintEvictionController])
def test_who_evicts_a_pod_does_not_touch_its_namesake(client, behind, controlled):
    acting = behind.controller(controlled)
    old = unwell(client)
    client.delete(kinds.PODS, "p", "ns")
    unwell(client)
    with pytest.raises(errors.Conflict):
        if controlled is pod_gc.PodGCController:
            acting._delete(old, "orphaned", None)
        else:
            acting._evict(old, acting.clock.now())
    assert client.get(kinds.PODS, "p", "ns")["status"]["phase"] == "Running"


def unanswered(acting):
    """The next patch is written, but nobody hears of it."""
    patch = acting.client.patch

    def silent(*arguments, **named):
        acting.client.patch = patch
        patch(*arguments, **named)
        raise rest.Unreachable("no answer")

    acting.client.patch = silent


def test_a_range_that_may_have_been_given_is_no_other_nodes(client, behind):
    acting = behind.controller(node_ipam.NodeIPAMController, cluster_cidr="10.0.0.0/16")
    for name in ("n1", "n2"):
        behind.show(kinds.NODES, client.create(kinds.NODES, fake_api.node(name)))
    unanswered(acting)
    with pytest.raises(rest.Unreachable):
        acting.sync("n1")
    acting.sync("n2")
    acting.sync("n1")
    assert [node["spec"]["podCIDR"] for node in client.list(kinds.NODES)["items"]] == ["10.0.0.0/24", "10.0.1.0/24"]


def test_an_address_that_may_have_been_given_is_no_other_services(client, behind):
    acting = behind.controller(service_lb.ServiceLBController, load_balancer_range="10.0.0.0/24")
    for name in ("s1", "s2"):
        made = {"metadata": {"name": name}, "spec": {"type": "LoadBalancer", "ipFamilies": ["IPv4"]}}
        behind.show(kinds.SERVICES, client.create(kinds.SERVICES, made, "ns"))
    unanswered(acting)
    with pytest.raises(rest.Unreachable):
        acting.sync("ns/s1")
    acting.sync("ns/s2")
    with pytest.raises(errors.Conflict):
        acting.sync("ns/s1")
    found = [one["status"]["loadBalancer"]["ingress"][0]["ip"] for one in client.list(kinds.SERVICES, "ns")["items"]]
    assert found == ["10.0.0.1", "10.0.0.2"]


def test_a_charge_that_a_count_took_back_is_charged_again(client, behind):
    acting = behind.controller(resource_quota.ResourceQuotaController)
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": {"pods": "5"}}}
    charged = {**quota, "status": {"hard": {"pods": "5"}, "used": {"pods": "2"}}}
    there = kinds.RESOURCE_QUOTAS
    behind.show(there, client.create(there, charged, "ns"))
    behind.factory.informer(kinds.PODS)._synced.set()
    acting.sync("ns/q")  # somebody has deleted the one pod; the other was charged, but is not to be seen yet
    assert behind.show(there, client.get(there, "q", "ns"))["status"]["used"]["pods"] == "0"
    behind.show(kinds.PODS, client.create(kinds.PODS, {"metadata": {"name": "p"}, "spec": {}}, "ns"))
    assert list(acting.queue._due) == ["late/ns/q"]
    acting.sync("late/ns/q")
    assert client.get(there, "q", "ns")["status"]["used"] == {"pods": "1"}


def test_a_request_whose_author_may_not_have_it_yet_is_looked_at_again(client, behind, monkeypatch):
    acting = behind.controller(certificates.CertificatesController)
    created = {"metadata": {"name": "r"}, "spec": {}}
    behind.show(kinds.CERTIFICATE_SIGNING_REQUESTS, client.create(kinds.CERTIFICATE_SIGNING_REQUESTS, created))
    usages = frozenset({"digital signature", "client auth"})
    signer, user = certificates.approval.CLIENT_KUBELET, "system:node:n"
    wish = certificates.approval.Wish(signer, "somebody", usages, user, ("system:nodes",), (), (), 0)
    monkeypatch.setattr(certificates.approval, "wish", lambda _: wish)
    monkeypatch.setattr(acting, "_may", lambda *_: False)
    with pytest.raises(errors.Conflict):
        acting.sync("r")
    monkeypatch.setattr(acting, "_may", lambda *_: True)
    acting.sync("r")
    assert client.get(kinds.CERTIFICATE_SIGNING_REQUESTS, "r")["status"]["conditions"][0]["type"] == "Approved"


def test_a_secret_becomes_no_token_of_an_account_that_is_gone(client, behind):
    made = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "it"}}
    acting = behind.controller(serviceaccount_token.ServiceAccountTokenController)
    acting._accounts = behind.factory.informer(kinds.SERVICE_ACCOUNTS)
    behind.show(kinds.SERVICE_ACCOUNTS, client.create(kinds.SERVICE_ACCOUNTS, made, "ns"))
    client.delete(kinds.SERVICE_ACCOUNTS, "it", "ns")
    secret = {"metadata": {"namespace": "ns", "annotations": {legacy_tokens.ACCOUNT_NAME: "it"}}}
    assert acting._account(secret) is None
    again = client.create(kinds.SERVICE_ACCOUNTS, made, "ns")
    assert acting._account(secret) == again


def test_a_claim_whose_volume_only_the_cache_does_not_know_is_not_lost(client, behind):
    acting = behind.controller(persistentvolume_binder.PersistentVolumeBinderController)
    metadata = {"name": "c", "annotations": {persistentvolume_binder.BIND_COMPLETED: "yes"}}
    claim = client.create(kinds.PERSISTENT_VOLUME_CLAIMS, {"metadata": metadata, "spec": {"volumeName": "v"}}, "ns")
    behind.show(kinds.PERSISTENT_VOLUME_CLAIMS, claim)
    volume = {"metadata": {"name": "v"}, "spec": {"claimRef": {"namespace": "ns", "name": "c"}}}
    client.create(kinds.PERSISTENT_VOLUMES, volume)
    acting.sync("claim/ns/c")
    assert client.get(kinds.PERSISTENT_VOLUME_CLAIMS, "c", "ns")["status"]["phase"] == "Bound"


def test_a_class_that_only_the_cache_does_not_see_used_is_kept(client, behind):
    acting = behind.controller(vac_protection.VACProtectionController)
    classes, claims = kinds.VOLUME_ATTRIBUTES_CLASSES, kinds.PERSISTENT_VOLUME_CLAIMS
    client.create(classes, {"metadata": {"name": "fast", "finalizers": [vac_protection.FINALIZER]}})
    behind.show(classes, client.delete(classes, "fast"))
    client.create(claims, {"metadata": {"name": "c"}, "spec": {"volumeAttributesClassName": "fast"}}, "ns")
    acting.sync("fast")
    assert client.get(classes, "fast")
    client.delete(claims, "c", "ns")
    acting.sync("fast")
    assert client.list(classes)["items"] == []


@pytest.mark.parametrize("ours", [True, False])
@pytest.mark.parametrize("serves", [True, False])
def test_endpoints_that_their_service_left_behind_while_nobody_looked(client, behind, ours, serves):
    acting = behind.controller(endpoints.EndpointsController)
    metadata = {"name": "it", "labels": {endpoints.MANAGED_BY: endpoints.MANAGER} if ours else {}}
    behind.show(kinds.ENDPOINTS, client.create(kinds.ENDPOINTS, {"metadata": metadata}, "ns"))
    if serves:
        client.create(kinds.SERVICES, {"metadata": {"name": "it"}, "spec": {}}, "ns")
    while len(acting.queue):
        acting.sync(acting.queue.get())
    assert len(client.list(kinds.ENDPOINTS, "ns")["items"]) == (not ours or serves)


def ready_node(name):
    return fake_api.node(name, metadata={"name": name, "uid": name})


def renew(client, number):
    lease = {"metadata": {"name": "n"}, "spec": {"renewTime": f"2026-01-01T00:00:0{number}.000000Z"}}
    if number == 1:
        return client.create(kinds.LEASES, lease, "kube-node-lease")
    return client.patch(kinds.LEASES, "n", lease, "kube-node-lease")


def test_a_node_whose_renewal_only_the_cache_does_not_show_is_not_lost(client, behind):
    acting = behind.controller(node_lifecycle.NodeLifecycleController)
    acting.clock = clock.FakeClock()
    behind.show(kinds.NODES, client.create(kinds.NODES, ready_node("n")))
    leases = behind.factory.informer(kinds.LEASES, namespace="kube-node-lease")
    leases._set("kube-node-lease/n", renew(client, 1))

    def ready_after(seconds):
        acting.clock.step(seconds)
        acting.sync("n")
        node = behind.show(kinds.NODES, client.get(kinds.NODES, "n"))
        return objects.condition(node, "Ready")["status"]

    grace = acting.context.options.node_monitor_grace_period
    assert ready_after(0) == "True"
    renew(client, 2)
    assert ready_after(grace + 1) == "True"
    assert ready_after(grace + 1) == "True"  # the watch may be slow for long
    leases._set("kube-node-lease/n", client.get(kinds.LEASES, "n", "kube-node-lease"))
    assert ready_after(grace - 1) == "True"
    assert ready_after(2) == "Unknown"


def test_a_taint_that_met_another_writer_needs_no_second_ration(client, behind):
    acting = behind.controller(node_lifecycle.NodeLifecycleController)
    acting.clock = clock.FakeClock()
    behind.show(kinds.NODES, client.create(kinds.NODES, ready_node("well")))
    silent = ready_node("n")
    silent["status"]["conditions"] = [{"type": "Ready", "status": "Unknown"}]
    behind.show(kinds.NODES, client.create(kinds.NODES, silent))
    client.patch(kinds.NODES, "n", {"metadata": {"labels": {"written": "meanwhile"}}})
    with pytest.raises(errors.Conflict):
        acting.sync("n")
    behind.show(kinds.NODES, client.get(kinds.NODES, "n"))
    acting.sync("n")
    assert "NoExecute" in [taint["effect"] for taint in client.get(kinds.NODES, "n")["spec"]["taints"]]


@pytest.mark.parametrize(
    ("status", "remain"),
    [
        ({"replicas": 0, "observedGeneration": 1}, True),  # its controller may be making pods
        ({"replicas": 1, "observedGeneration": 2}, True),
        ({"replicas": 0, "observedGeneration": 2}, False),
    ],
)
def test_pods_of_a_set_that_shall_have_none_may_remain_unseen(behind, status, remain):
    acting = behind.controller(deployment.DeploymentController)
    old = {"metadata": {"name": "old", "uid": "u", "generation": 2}, "spec": {"replicas": 0}, "status": status}
    assert acting._old_pods_remain(deployment.Sets(None, (old,))) == remain


def test_a_turn_that_takes_long_holds_up_no_other(client, behind):
    held, done = threading.Event(), threading.Event()

    class Slow(controller.Controller):
        name = "slow"

        def register(self):
            pass

        def sync(self, key):
            started.set() if key == "slow" else done.set()
            held.wait()

    started = threading.Event()
    acting = behind.controller(Slow)
    acting.start()
    acting.queue.add("slow")
    assert started.wait(60)
    acting.queue.add("another")
    came = done.wait(60)
    held.set()
    acting.stop()
    assert came


def test_what_an_autoscaler_did_is_told_whoever_writes_meanwhile(client, behind):
    acting = behind.controller(horizontalpodautoscaler.HorizontalPodAutoscalerController)
    gvr = kinds.HORIZONTAL_POD_AUTOSCALERS
    made = behind.show(gvr, client.create(gvr, {"metadata": {"name": "a"}, "spec": {}}, "ns"))
    client.patch(gvr, "a", {"spec": {"maxReplicas": 7}}, "ns")
    acting._write({**made, "status": {"desiredReplicas": 0}})
    now = client.get(gvr, "a", "ns")
    assert (now["spec"], now["status"]) == ({"maxReplicas": 7}, {"desiredReplicas": 0})
    # and until the cache shows that, it says nothing of whose zero it is
    acting._reconcile = lambda look: pytest.fail(f"judged by {look.hpa}")
    assert acting.sync("ns/a") is not None


@pytest.mark.parametrize(
    ("controlled", "gvr", "kind"),
    [
        (statefulset.StatefulSetController, kinds.STATEFUL_SETS, "StatefulSet"),
        (daemonset.DaemonSetController, kinds.DAEMON_SETS, "DaemonSet"),
    ],
)
def test_a_revision_that_went_with_a_namesake_is_made_again(client, behind, controlled, gvr, kind):
    acting = behind.controller(controlled)
    before = owner_of(client, gvr, kind)
    revision = history.build(before, history.data_of(before), 1, 0)
    revision = behind.show(kinds.CONTROLLER_REVISIONS, client.create(kinds.CONTROLLER_REVISIONS, revision, "ns"))
    client.delete(gvr, "it", "ns")
    behind.show(gvr, owner_of(client, gvr, kind, replicas=0))
    acting.sync(acting.queue.get())
    client.delete(kinds.CONTROLLER_REVISIONS, revision["metadata"]["name"], "ns")
    acting.queue.done("ns/it")
    behind.show(gvr, client.get(gvr, "it", "ns"))
    while len(acting.queue):
        acting.queue.get()
        acting.queue.done("ns/it")
    behind.show_gone(kinds.CONTROLLER_REVISIONS, revision)
    acting.sync(acting.queue.get(timeout=0))
    assert client.get(kinds.CONTROLLER_REVISIONS, revision["metadata"]["name"], "ns")


def test_who_is_stopped_begins_no_other_turn(client, behind):
    held, started, handled = threading.Event(), threading.Event(), []

    class Slow(controller.Controller):
        name = "slow"
        workers = 1

        def register(self):
            pass

        def sync(self, key):
            handled.append(key)
            started.set()
            held.wait()

    acting = behind.controller(Slow)
    acting.start()
    for key in ("first", "second"):
        acting.queue.add(key)
    assert started.wait(60)
    acting.stop()
    held.set()
    acting._threads[0].join(60)
    assert handled == ["first"]


def test_a_daemon_that_fails_after_a_long_time_is_replaced_as_one_that_fails_first(client, behind):
    acting = behind.controller(daemonset.DaemonSetController)
    acting.clock = clock.FakeClock()
    owner = owner_of(client, kinds.DAEMON_SETS, "DaemonSet")
    behind.show(kinds.NODES, client.create(kinds.NODES, fake_api.node("n")))
    failed = pod_of(client, owner, "p", spec={"nodeName": "n"}, status={"phase": "Failed"})

    def waits(after):
        acting.clock.step(after)
        return acting._place(owner, [failed], "")

    assert [waits(after) for after in (0, 0.5, 0.5, 0.5, 1.5, daemonset.FORGIVEN + 9, 0.5)] == [
        None, 0.5, None, 1.5, None, None, 0.5,
    ]  # fmt: skip


def test_a_template_that_changes_twice_while_the_cache_is_behind(client, behind):
    acting = behind.controller(deployment.DeploymentController)
    spec = {"replicas": 2, "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}
    made = behind.show(kinds.DEPLOYMENTS, owner_of(client, kinds.DEPLOYMENTS, "Deployment", **spec))
    acting.sync("ns/it")
    changed = copy.deepcopy(made)
    changed["spec"]["template"]["spec"]["containers"][0]["image"] = "another"
    del changed["metadata"]["resourceVersion"]
    behind.show(kinds.DEPLOYMENTS, client.update(kinds.DEPLOYMENTS, changed))
    with pytest.raises(errors.Conflict):
        acting.sync("ns/it")
    [first] = client.list(kinds.REPLICA_SETS, "ns")["items"]
    behind.show(kinds.REPLICA_SETS, first)
    acting.sync("ns/it")
    found = client.list(kinds.REPLICA_SETS, "ns")["items"]
    assert sorted(objects.annotations(one)["deployment.kubernetes.io/revision"] for one in found) == ["1", "2"]
    assert sum(one["spec"]["replicas"] for one in found) == 3


def test_an_autoscaler_made_anew_has_no_past(client, behind):
    acting = behind.controller(horizontalpodautoscaler.HorizontalPodAutoscalerController)
    made = behind.show(kinds.HORIZONTAL_POD_AUTOSCALERS, {"metadata": {"name": "a", "namespace": "ns", "uid": "1"}})
    acting._histories["ns/a"] = object()
    made = {"metadata": {**made["metadata"], "uid": "2", "resourceVersion": "7"}}
    behind.show(kinds.HORIZONTAL_POD_AUTOSCALERS, made)
    assert acting._histories == {}


def test_the_revision_that_pods_have_is_waited_for(client, behind):
    acting = behind.controller(statefulset.StatefulSetController)
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}
    made = owner_of(client, kinds.STATEFUL_SETS, "StatefulSet", replicas=0, updateStrategy=strategy)
    behind.show(kinds.STATEFUL_SETS, made)
    acting.sync("ns/it")
    [revision] = client.list(kinds.CONTROLLER_REVISIONS, "ns")["items"]
    template = copy.deepcopy(TEMPLATE)
    template["spec"]["containers"][0]["image"] = "another"
    changed = client.patch(kinds.STATEFUL_SETS, "it", {"spec": {"template": template, "replicas": 1}}, "ns")
    behind.show(kinds.STATEFUL_SETS, changed)
    with pytest.raises(errors.Conflict):
        acting.sync("ns/it")
    behind.show(kinds.CONTROLLER_REVISIONS, revision)
    acting.sync("ns/it")
    [pod] = client.list(kinds.PODS, "ns")["items"]
    assert objects.labels(pod)["controller-revision-hash"] == objects.name(revision)
    assert len(client.list(kinds.CONTROLLER_REVISIONS, "ns")["items"]) == 2
