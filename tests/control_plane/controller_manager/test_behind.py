"""What controllers do while their caches are behind: each case is two things that happen in another order than usual.

The caches are filled by hand, so that they show just what the case says they do.
"""

import copy

import pytest

from kubeshim.client import informer, kinds, recorder, rest
from kubeshim.control_plane.controller_manager import config, controller
from kubeshim.control_plane.controller_manager.controllers import (
    daemonset,
    job,
    node_ipam,
    pod_gc,
    replicaset,
    resource_quota,
    service_lb,
    taint_eviction,
)
from kubeshim.machinery import errors, objects
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
