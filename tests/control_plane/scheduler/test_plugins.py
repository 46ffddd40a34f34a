"""What each plugin says of a pod and a node, and the queue's places."""

import types

import pytest

from kubeshim import clock
from kubeshim.control_plane.scheduler import cache as caches
from kubeshim.control_plane.scheduler import diagnosis, framework, node_info, pod_info, queue, scheduler
from kubeshim.control_plane.scheduler.plugins import (
    default_preemption,
    image_locality,
    inter_pod_affinity,
    node_affinity,
    node_ports,
    node_resources_fit,
    pod_topology_spread,
    priority_sort,
    taint_toleration,
)
from kubeshim.machinery import errors, volumes
from tests import fake_api


class NoInformer:
    def list(self, **_):
        return []


def pod(name="p", cpu=None, labels=None, priority=0, **spec):
    container = {
        "name": "c",
        "image": "i",
        "resources": {"requests": {"cpu": cpu} if cpu else {}},
        **spec.pop("container", {}),
    }
    return pod_info.of(
        {
            "metadata": {"name": name, "namespace": "x", "uid": name, "labels": labels or {}},
            "spec": {"containers": [container], "priority": priority, **spec},
        }
    )


def node(name="n", *pods, labels=None, **extra):
    made = node_info.NodeInfo(name)
    obj = fake_api.node(name, **extra)
    obj["metadata"]["labels"] |= labels or {}
    made.set_node(obj)
    for one in pods:
        made.add(one)
    return made


def asked(kind, one, *nodes):
    """The plugin's word about each node: '' or its reasons."""
    handle = types.SimpleNamespace(cache=caches.Cache(), informer=lambda *_, **__: NoInformer())
    plugin, state = kind(handle), {}
    refused = plugin.pre_filter(state, one, nodes)
    if isinstance(refused, framework.Status):
        return [refused.message] * len(nodes)
    found = [plugin.filter(state, one, each) for each in nodes]
    return [status.message if status else "" for status in found]


@pytest.mark.parametrize(
    ("cpu", "there", "said"),
    [("4", [], ""), ("4", ["1"], "Insufficient cpu"), ("5", [], "Insufficient cpu"), (None, ["4"], "")],
)
def test_resources(cpu, there, said):
    present = [pod(f"o{number}", amount) for number, amount in enumerate(there)]
    assert asked(node_resources_fit.NodeResourcesFit, pod(cpu=cpu), node("n", *present)) == [said]


def test_too_many_pods():
    full = node("n", pod("a"), status={"allocatable": {"cpu": "1", "pods": "1"}})
    assert asked(node_resources_fit.NodeResourcesFit, pod(), full) == ["Too many pods"]


def test_init_containers_count_by_their_peak():
    def one(cpu, **more):
        return {"name": "i", "resources": {"requests": {"cpu": cpu}}, **more}

    asked_for = pod(cpu="1", initContainers=[one("1", restartPolicy="Always"), one("3")]).requests
    assert asked_for == {"cpu": 4000}


@pytest.mark.parametrize(
    ("wanted", "taken", "said"),
    [
        ({"hostPort": 80}, {"hostPort": 80}, node_ports.REASON),
        ({"hostPort": 80}, {"hostPort": 81}, ""),
        ({"hostPort": 80, "protocol": "UDP"}, {"hostPort": 80}, ""),
        ({"hostPort": 80, "hostIP": "1.1.1.1"}, {"hostPort": 80, "hostIP": "2.2.2.2"}, ""),
        ({"hostPort": 80, "hostIP": "1.1.1.1"}, {"hostPort": 80}, node_ports.REASON),
    ],
)
def test_host_ports(wanted, taken, said):
    def with_port(name, port):
        return pod(name, container={"ports": [{"containerPort": 80, **port}]})

    assert asked(node_ports.NodePorts, with_port("p", wanted), node("n", with_port("o", taken))) == [said]


def test_node_affinity_and_selector():
    ssd = node("a", labels={"disk": "ssd"})
    assert asked(node_affinity.NodeAffinity, pod(nodeSelector={"disk": "ssd"}), ssd, node("b")) == [
        "",
        node_affinity.REASON,
    ]
    terms = [{"matchExpressions": [{"key": "disk", "operator": "NotIn", "values": ["ssd"]}]}]
    required = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}
    assert asked(node_affinity.NodeAffinity, pod(affinity=required), ssd, node("b")) == [node_affinity.REASON, ""]


def test_taints():
    tainted = node("n", spec={"taints": [{"key": "k", "value": "v", "effect": "NoSchedule"}]})
    assert asked(taint_toleration.TaintToleration, pod(), tainted) == [taint_toleration.REASON]
    tolerant = pod(tolerations=[{"key": "k", "value": "v"}])
    assert asked(taint_toleration.TaintToleration, tolerant, tainted) == [""]


def affinity(kind, key="zone"):
    term = {"labelSelector": {"matchLabels": {"app": "a"}}, "topologyKey": key}
    return {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def test_pods_near_and_away_from_pods():
    app = pod("app", labels={"app": "a"})
    one, two = node("1", app, labels={"zone": "e"}), node("2", labels={"zone": "w"})
    plugin = inter_pod_affinity.InterPodAffinity
    assert asked(plugin, pod(affinity=affinity("podAffinity")), one, two) == ["", inter_pod_affinity.AFFINITY]
    assert asked(plugin, pod(affinity=affinity("podAntiAffinity")), one, two) == [inter_pod_affinity.ANTI_AFFINITY, ""]
    loner = pod("loner", affinity=affinity("podAntiAffinity"))
    taken = node("1", loner, labels={"zone": "e"})
    assert asked(plugin, app, taken, two) == [inter_pod_affinity.EXISTING_ANTI_AFFINITY, ""]
    first = pod("first", labels={"app": "a"}, affinity=affinity("podAffinity"))
    assert asked(plugin, first, two) == [""]  # nobody to be near yet but its like


def test_topology_spread():
    constraint = {
        "maxSkew": 1,
        "topologyKey": "zone",
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "a"}},
    }
    full = node("1", pod("x", labels={"app": "a"}), labels={"zone": "e"})
    nodes = full, node("2", labels={"zone": "w"}), node("3")
    one = pod(labels={"app": "a"}, topologySpreadConstraints=[constraint])
    plugin = pod_topology_spread.PodTopologySpread
    assert asked(plugin, one, *nodes) == [pod_topology_spread.SKEW, "", pod_topology_spread.MISSING]


def test_which_volume_fits_a_claim():
    claim = {
        "metadata": {"name": "c", "namespace": "x", "uid": "u"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "s",
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }

    def volume(size="1Gi", storage_class="s", **spec):
        spec = {
            "capacity": {"storage": size},
            "storageClassName": storage_class,
            "accessModes": ["ReadWriteOnce"],
            **spec,
        }
        return {"metadata": {"name": "v"}, "spec": spec, "status": {"phase": "Available"}}

    assert volumes.fits(volume(), claim)
    assert not volumes.fits(volume("500Mi"), claim)
    assert not volumes.fits(volume(storage_class="t"), claim)
    assert not volumes.fits(volume(claimRef={"namespace": "x", "name": "other"}), claim)
    assert volumes.fits(volume(claimRef={"namespace": "x", "name": "c"}), claim)
    assert not volumes.fits(volume(volumeAttributesClassName="fast"), claim)
    assert volumes.suits(volume(storage_class="t"), claim)
    shared = ["ReadWriteOnce", "ReadWriteMany"]
    many, large, small = volume(accessModes=shared), volume("3Gi"), volume("2Gi")
    assert sorted([many, large, small], key=volumes.preference) == [small, large, many]


def test_images_are_known_by_their_whole_name():
    assert image_locality.normalized("host:5000/a") == "host:5000/a:latest"
    assert image_locality.normalized("a:1") == "a:1"


def test_the_words_of_a_failure():
    why = diagnosis.FitError(3, absent="node(s) didn't satisfy plugin(s) [NodeAffinity]")
    why.statuses = {
        "a": framework.unschedulable("Insufficient cpu", "Insufficient memory"),
        "b": framework.unschedulable("Insufficient cpu"),
    }
    why.post_filter = "preemption: not eligible due to preemptionPolicy=Never."
    assert why.message() == (
        "0/3 nodes are available: 1 Insufficient memory, 1 node(s) didn't satisfy plugin(s) [NodeAffinity], "
        "2 Insufficient cpu. preemption: not eligible due to preemptionPolicy=Never."
    )
    assert diagnosis.FitError(0).message() == "no nodes available to schedule pods"


def test_the_status_is_written_only_where_it_changes():
    obj = {"metadata": {"uid": "u"}, "status": {}}
    patch = scheduler.failure_patch(obj, "Unschedulable", "why", "", "t1")
    obj["status"] = patch["status"]
    assert scheduler.failure_patch(obj, "Unschedulable", "why", "", "t2") is None
    again = scheduler.failure_patch(obj, "Unschedulable", "because", "n", "t2")["status"]
    assert (again["conditions"][0]["lastTransitionTime"], again["nominatedNodeName"]) == ("t1", "n")


# the queue


class Picky(framework.Plugin):
    name = "Picky"
    events = frozenset({"Node/Add"})

    def __init__(self):
        pass

    def hint(self, one, event):
        return event.new != "useless"


class Sort(priority_sort.PrioritySort):
    def __init__(self):
        pass


def waiting_queue():
    time = clock.FakeClock()
    return queue.SchedulingQueue(framework.Framework([Sort(), Picky()]), time.monotonic), time


def test_the_more_important_comes_first_then_the_earlier():
    waiting, time = waiting_queue()
    for name, priority in (("a", 0), ("b", 5), ("c", 0)):
        waiting.add(pod(name, priority=priority))
        time.step(1)
    assert [waiting.pop(0).uid for _ in range(3)] == ["b", "a", "c"]
    assert waiting.pop(0) is None


def test_only_an_event_that_helps_brings_a_refused_pod_back():
    waiting, _ = waiting_queue()
    waiting.add(pod("a"))
    waiting.unschedulable(waiting.pop(0), frozenset({"Picky"}))
    waiting.tell(framework.Event("AssignedPod/Delete"))
    waiting.tell(framework.Event("Node/Add", None, "useless"))
    assert waiting.counts()["unschedulable"] == 1
    waiting.tell(framework.Event("Node/Add"))
    assert waiting.pop(0).uid == "a"


def test_what_happens_while_a_pod_is_tried_is_not_missed():
    waiting, _ = waiting_queue()
    waiting.add(pod("a"))
    taken = waiting.pop(0)
    waiting.tell(framework.Event("Node/Add"))
    waiting.unschedulable(taken, frozenset({"Picky"}))
    assert waiting.counts()["backoff"] == 1


def test_after_an_error_the_delay_is_waited_for_and_grows():
    waiting, time = waiting_queue()
    waiting.add(pod("a"))
    for delay in (1, 2, 4, 8, 10, 10):
        waiting.failed(waiting.pop(0))
        time.step(delay - 0.1)
        assert waiting.pop(0) is None
        time.step(0.2)


def test_nobody_waits_for_ever():
    waiting, time = waiting_queue()
    waiting.add(pod("a"))
    waiting.unschedulable(waiting.pop(0), frozenset({"Picky"}))
    time.step(301)
    assert waiting.pop(0).uid == "a"


def test_large_clusters_are_looked_at_in_part():
    assert [scheduler.enough_nodes(count, 0) for count in (50, 100, 1000, 6000)] == [50, 100, 420, 300]


@pytest.mark.parametrize(
    "answer", [errors.not_found("", "pods", "gone"), errors.conflict("", "pods", "gone", "another uid")]
)
def test_a_victim_that_is_gone_keeps_no_other_from_being_preempted(answer):
    """It may have a namesake by then."""
    ended = []

    class Client:
        def patch(self, gvr, name, *_, **__):
            if name == "gone":
                raise answer

        def delete(self, gvr, name, *_, **__):
            ended.append(name)

    recorder = types.SimpleNamespace(event=lambda *_, **__: None)
    handle = types.SimpleNamespace(client=Client(), recorder=recorder, informer=lambda *_, **__: NoInformer())
    victims = (pod("gone"), pod("there"))
    default_preemption.DefaultPreemption(handle)._evict(pod("p"), default_preemption.Candidate("n", victims, 0))
    assert ended == ["there"]
