"""Claims of pods: whose they are, and what ends the wait for a volume that is being made."""

import types

import pytest

from kubeshim.client import kinds
from kubeshim.control_plane.scheduler import framework, pod_info, queue
from kubeshim.control_plane.scheduler.plugins import volume_binding

CLASS = {"metadata": {"name": "local"}, "provisioner": "x", "volumeBindingMode": "WaitForFirstConsumer"}


class Cache:
    """An informer's cache that a test fills."""

    def __init__(self, *found):
        self.found = {self.key(one): one for one in found}
        self.tell = []

    @staticmethod
    def key(obj):
        space = obj["metadata"].get("namespace")
        return f"{space}/{obj['metadata']['name']}" if space else obj["metadata"]["name"]

    def get(self, key):
        return self.found.get(key)

    def list(self, **_):
        return list(self.found.values())

    def add_handler(self, **handlers):
        self.tell += handlers.values()


class Client:
    """Patches what the cache has, and lets the test go on from there."""

    def __init__(self, claims, then):
        self.claims, self.then = claims, then

    def update(self, gvr, volume):
        self.then(self.claims, volume)

    def patch(self, gvr, name, patch, namespace):
        claim = self.claims.found[f"{namespace}/{name}"]
        written = {**claim, "metadata": {**claim["metadata"], **patch["metadata"], "resourceVersion": "7"}}
        self.then(self.claims, written)
        return written


def claim(owner="p", version="5"):
    owners = [{"kind": "Pod", "name": "p", "uid": owner, "controller": True}]
    metadata = {"name": "p-v", "namespace": "x", "uid": "c", "ownerReferences": owners, "resourceVersion": version}
    return {"metadata": metadata, "spec": {"storageClassName": "local"}}


def plugin(*claims, then=lambda *_: None):
    caches = {
        kinds.PODS: Cache(pod().pod),
        kinds.PERSISTENT_VOLUME_CLAIMS: Cache(*claims),
        kinds.PERSISTENT_VOLUMES: Cache(),
        kinds.STORAGE_CLASSES: Cache(CLASS),
    }
    client = Client(caches[kinds.PERSISTENT_VOLUME_CLAIMS], then)
    handle = types.SimpleNamespace(informer=lambda gvr, **_: caches[gvr], client=client)
    return volume_binding.VolumeBinding(handle)


def pod():
    volumes = [{"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}}]
    return pod_info.of(
        {
            "metadata": {"name": "p", "namespace": "x", "uid": "p"},
            "spec": {"containers": [{"name": "c", "image": "i"}], "volumes": volumes, "priority": 0},
        }
    )


@pytest.mark.parametrize(
    ("owner", "said"),
    [("p", ""), ("an earlier one", "PVC x/p-v was not created for pod x/p (pod is not owner)")],
)
def test_an_ephemeral_volumes_claim_is_the_pods_own(owner, said):
    found = plugin(claim(owner)).pre_filter({}, pod(), [])
    assert (found.message if isinstance(found, framework.Status) else "") == said


def bound(cache, written):
    done = {
        **written["metadata"],
        "annotations": {**written["metadata"]["annotations"], volume_binding.BIND_COMPLETED: "yes"},
    }
    cache.found["x/p-v"] = {**written, "metadata": done}


def given_back(cache, written):
    cache.found["x/p-v"] = {**written, "metadata": {**written["metadata"], "annotations": {}, "resourceVersion": "8"}}


def deleted(cache, written):
    del cache.found["x/p-v"]


@pytest.mark.parametrize(
    ("then", "said"),
    [
        (bound, ""),
        (given_back, 'binding volumes: provisioning failed for PVC "p-v"'),
        (deleted, 'binding volumes: provisioning failed for PVC "p-v"'),
    ],
)
def test_what_ends_the_wait(then, said):
    this = plugin(claim(), then=then)
    state = {this.name: volume_binding._Claims([], [claim()], {"n": volume_binding._Plan((), (claim(),))})}
    found = this.pre_bind(state, pod(), "n")
    assert (found.message if found else "") == said


def test_a_cache_that_is_behind_ends_nothing(monkeypatch):
    monkeypatch.setattr(volume_binding, "TIMEOUT", 0.01)
    this = plugin(claim())
    state = {this.name: volume_binding._Claims([], [claim()], {"n": volume_binding._Plan((), (claim(),))})}
    assert this.pre_bind(state, pod(), "n").message == "binding volumes: context deadline exceeded"


def gone(cache):
    cache.found.clear()


def made_again(cache):
    cache.found = {key: {**one, "metadata": {**one["metadata"], "uid": "another"}} for key, one in cache.found.items()}


@pytest.mark.parametrize("how", [gone, made_again])
@pytest.mark.parametrize(
    ("what", "said"),
    [("pods", 'pod "p" not found'), ("claims", 'persistentvolumeclaim "p-v" not found')],
)
def test_nobody_waits_for_a_volume_when_who_wants_it_is_gone(monkeypatch, how, what, said):
    """The volume that was promised is free for others then."""
    monkeypatch.setattr(volume_binding, "TIMEOUT", 0.01)
    this = plugin(claim())
    volume = {"metadata": {"name": "v"}, "spec": {}}
    this.handle.client.then = lambda claims, _: how(this._pods if what == "pods" else claims)
    state = {this.name: volume_binding._Claims([], [claim()], {"n": volume_binding._Plan(((claim(), volume),), ())})}
    this.reserve(state, pod(), "n")
    assert this.pre_bind(state, pod(), "n").message == f"binding volumes: {said}"


def test_the_wait_is_looked_at_again_when_a_pod_is_gone():
    this = plugin(claim())
    with this._changed:
        woken = []
        this._changed.notify_all = lambda: woken.append(True)
        for tell in this._pods.tell:
            tell(pod().pod)
    assert woken == [True]


@pytest.mark.parametrize(
    ("volumes", "helps"), [([{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}], True), ([], False)]
)
def test_a_promise_that_is_taken_back_may_help_who_found_no_volume(volumes, helps):
    """The volume itself does not change: nothing else tells of it."""
    this = plugin()
    other = {"metadata": {"name": "other", "namespace": "x"}, "spec": {"volumes": volumes}}
    waiting = queue.SchedulingQueue(framework.Framework([this]))
    waiting._profile._at["sort_key"] = [types.SimpleNamespace(sort_key=lambda _: ())]
    waiting.add(pod())
    waiting.unschedulable(waiting.pop(), frozenset({this.name}))
    waiting.tell(framework.Event("AssignedPod/Delete", other, None))
    assert waiting.counts()["backoff"] == int(helps)
