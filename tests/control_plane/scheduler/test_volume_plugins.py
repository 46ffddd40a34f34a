"""Volumes that one pod may have, that are somewhere, and that are too many."""

import types

import pytest

from kubeshim.client import kinds
from kubeshim.control_plane.scheduler import cache as caches
from kubeshim.control_plane.scheduler import framework, node_info, pod_info
from kubeshim.control_plane.scheduler.plugins import node_volume_limits, volume_restrictions, volume_zone
from tests import fake_api

RWOP, RWX = ["ReadWriteOncePod"], ["ReadWriteMany"]
ZONE = "topology.kubernetes.io/zone"


class Cache(dict):
    """An informer's cache."""

    def list(self, **_):
        return list(self.values())


def pod(name, *volumes, namespace="x"):
    listed = [{"name": f"v{number}", **volume} for number, volume in enumerate(volumes)]
    metadata = {"name": name, "namespace": namespace, "uid": f"{namespace}/{name}"}
    return pod_info.of({"metadata": metadata, "spec": {"containers": [], "volumes": listed}})


def uses(claim):
    return {"persistentVolumeClaim": {"claimName": claim}}


def node(name, *pods, labels=None):
    made = node_info.NodeInfo(name)
    obj = fake_api.node(name)
    obj["metadata"]["labels"] |= labels or {}
    made.set_node(obj)
    for one in pods:
        made.add(one)
    return made


def asked(kind, one, nodes, **found):
    """What the plugin says of each node; ``found`` is what its caches hold."""
    known = {gvr: Cache(found.get(gvr.resource, {})) for gvr in vars(kinds).values() if hasattr(gvr, "resource")}
    plugin, state = kind(types.SimpleNamespace(cache=caches.Cache(), informer=lambda gvr, **_: known.get(gvr))), {}
    refused = plugin.pre_filter(state, one, nodes)
    if isinstance(refused, framework.Status):
        return [(refused.code.name, refused.message)]
    said = [plugin.filter(state, one, each) for each in nodes]
    return [(status.code.name, status.message) if status else "" for status in said]


CLAIMS = {f"x/{name}": {"spec": {"accessModes": modes}} for name, modes in (("one", RWOP), ("many", RWX))}
IN_USE = ("UNSCHEDULABLE", volume_restrictions.CLAIM_CONFLICT)


@pytest.mark.parametrize(
    ("one", "there", "said"),
    [
        (pod("p", uses("one")), [], ""),
        (pod("p", uses("one")), [pod("o", uses("one"))], IN_USE),
        (pod("p", uses("many"), uses("one")), [pod("o", uses("one"))], IN_USE),
        (pod("p", uses("one")), [pod("o", uses("one"), namespace="y")], ""),
        (pod("p", uses("many")), [pod("o", uses("many"))], ""),
        (pod("p", uses("none")), [], ("UNRESOLVABLE", 'persistentvolumeclaim "none" not found')),
    ],
)
def test_a_claim_of_one_pod_is_in_use_on_whatever_node(one, there, said):
    nodes = [node("a", *there), node("b")]
    assert set(asked(volume_restrictions.VolumeRestrictions, one, nodes, persistentvolumeclaims=CLAIMS)) == {said}


@pytest.mark.parametrize(
    ("one", "two", "conflict"),
    [
        ({"gcePersistentDisk": {"pdName": "a"}}, {"gcePersistentDisk": {"pdName": "a", "readOnly": True}}, True),
        ({"gcePersistentDisk": {"pdName": "a"}}, {"gcePersistentDisk": {"pdName": "b"}}, False),
        ({"awsElasticBlockStore": {"volumeID": "a"}}, {"awsElasticBlockStore": {"volumeID": "a"}}, True),
        ({"iscsi": {"iqn": "a", "readOnly": True}}, {"iscsi": {"iqn": "a", "readOnly": True}}, False),
        (
            {"rbd": {"monitors": ["a", "b"], "pool": "p", "image": "i"}},
            {"rbd": {"monitors": ["b"], "pool": "p", "image": "i"}},
            True,
        ),
        ({"rbd": {"monitors": ["a"], "image": "i"}}, {"rbd": {"monitors": ["b"], "image": "i"}}, False),
        ({"emptyDir": {}}, {"emptyDir": {}}, False),
    ],
)
def test_disks_that_one_machine_may_write_to(one, two, conflict):
    said = ("UNSCHEDULABLE", volume_restrictions.DISK_CONFLICT) if conflict else ""
    found = asked(volume_restrictions.VolumeRestrictions, pod("p", one), [node("a", pod("o", two)), node("b")])
    assert found == [said, ""]


@pytest.mark.parametrize(
    ("volume", "labels", "right"),
    [
        ({ZONE: "a"}, {ZONE: "a"}, True),
        ({ZONE: "a"}, {ZONE: "b"}, False),
        ({ZONE: "a__b"}, {ZONE: "b"}, True),
        ({ZONE: "a__"}, {ZONE: "b"}, True),  # no label at all, as it is wrong
        ({ZONE: "a"}, {}, True),
        ({ZONE: "a"}, {"topology.kubernetes.io/region": "r"}, False),
        ({"failure-domain.beta.kubernetes.io/zone": "a"}, {ZONE: "a"}, True),
        ({}, {ZONE: "b"}, True),
    ],
)
def test_zones_of_volumes(volume, labels, right):
    found = asked(
        volume_zone.VolumeZone,
        pod("p", uses("c")),
        [node("n", labels=labels)],
        persistentvolumeclaims={"x/c": {"spec": {"volumeName": "v"}}},
        persistentvolumes={"v": {"metadata": {"name": "v", "labels": volume}, "spec": {}}},
    )
    assert found == ["" if right else ("UNRESOLVABLE", volume_zone.CONFLICT)]


def test_a_claim_without_its_volume_has_no_zone():
    claims = {"x/c": {"spec": {"volumeName": "v"}}, "x/d": {"spec": {"storageClassName": "s"}}}
    classes = {"s": {"volumeBindingMode": "WaitForFirstConsumer"}}
    for name, said in (("c", ("UNRESOLVABLE", 'persistentvolume "v" not found')), ("d", "")):
        one = pod("p", uses(name))
        found = asked(volume_zone.VolumeZone, one, [node("n")], persistentvolumeclaims=claims, storageclasses=classes)
        assert found == [said]


@pytest.mark.parametrize(
    ("wanted", "there", "attached", "fits"),
    [
        (["a"], [], [], True),
        (["a", "b"], [], [], True),
        (["a", "b", "c"], [], [], False),
        (["a"], ["b", "c"], [], False),
        (["b"], ["b", "c"], [], True),  # is there already
        (["a"], ["b"], ["b"], True),
        (["a"], [], ["b", "c"], False),
        (["unbound"], ["b", "c"], [], False),
        (["elsewhere"], ["b", "c"], [], True),
    ],
)
def test_a_node_takes_two_volumes_of_a_driver(wanted, there, attached, fits):
    def volume(name):
        return {"metadata": {"name": name}, "spec": {"csi": {"driver": "d", "volumeHandle": name}}}

    claims = {f"x/{name}": {"spec": {"volumeName": name}} for name in "abc"}
    claims["x/unbound"] = {"spec": {"storageClassName": "s"}}
    claims["x/elsewhere"] = {"spec": {"storageClassName": "other"}}
    found = asked(
        node_volume_limits.NodeVolumeLimits,
        pod("p", *map(uses, wanted)),
        [node("n", *[pod(f"o{name}", uses(name)) for name in there])],
        persistentvolumeclaims=claims,
        persistentvolumes={name: volume(name) for name in "abc"},
        storageclasses={"s": {"provisioner": "d"}, "other": {"provisioner": "e"}},
        csinodes={"n": {"spec": {"drivers": [{"name": "d", "allocatable": {"count": 2}}]}}},
        volumeattachments={
            name: {"spec": {"nodeName": "n", "source": {"persistentVolumeName": name}}} for name in attached
        },
    )
    assert found == ["" if fits else ("UNSCHEDULABLE", node_volume_limits.REASON)]
