"""What is mirrored of Endpoints that people write."""

import pytest

from kubeshim.control_plane.controller_manager import slices
from kubeshim.control_plane.controller_manager.controllers import endpointslice_mirroring as mirroring

PORT = {"port": 80}


def subset(*addresses, unready=(), ports=(PORT,)):
    made = {"ports": list(ports), "addresses": [{"ip": one} for one in addresses]}
    return {**made, "notReadyAddresses": [{"ip": one} for one in unready]}


def many(count, block=0):
    return [f"10.{block}.{number // 250}.{number % 250 + 1}" for number in range(count)]


def shown(*subsets):
    found = mirroring.mirror({"subsets": list(subsets)})
    groups = [
        (group.address_type, [(one["addresses"][0], one["conditions"]["ready"]) for one in group.endpoints])
        for group in found.groups
    ]
    return groups, found.invalid, found.skipped


@pytest.mark.parametrize(
    ("subsets", "expected"),
    [
        ([subset("10.0.0.1", unready=["10.0.0.2"])], ([("IPv4", [("10.0.0.1", True), ("10.0.0.2", False)])], 0, 0)),
        ([subset("10.0.0.1", "fd00::1")], ([("IPv4", [("10.0.0.1", True)]), ("IPv6", [("fd00::1", True)])], 0, 0)),
        # of the same ports: one, and not ready somewhere is not ready
        ([subset(unready=["10.0.0.1"]), subset("10.0.0.1")], ([("IPv4", [("10.0.0.1", False)])], 0, 0)),
        ([subset("010.0.0.01", "::ffff:10.0.0.2", "x")], (
            [("IPv4", [("10.0.0.1", True), ("10.0.0.2", True)])], 1, 1,
        )),
        ([subset(ports=[])], ([], 0, 0)),
    ],
)  # fmt: skip
def test_what_is_mirrored(subsets, expected):
    assert shown(*subsets) == expected


def test_a_subset_has_a_thousand_addresses_at_most():
    [(_, listed)], invalid, skipped = shown(subset(*many(999), unready=many(3, block=1)))
    assert (len(listed), [ready for _, ready in listed].count(False), invalid, skipped) == (1000, 1, 0, 2)
    groups, _, skipped = shown(subset(*many(1001)), subset(*many(2), ports=[{"port": 81}]))
    assert ([len(listed) for _, listed in groups], skipped) == ([1000, 2], 1)


def test_slices_have_the_annotations_of_their_endpoints_and_no_others():
    metadata = {"name": "e", "namespace": "n", "uid": "u"}
    source = {"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": [subset("10.0.0.1")]}
    groups = mirroring.mirror(source).groups

    def planned(existing):
        return slices.plan(groups, existing, mirroring.metadata(source), mirroring.CAPACITY, annotated=True)

    [made] = planned([]).create
    made["metadata"]["name"] = "e-1"
    assert planned([made]) == slices.Plan()
    for annotations in ({"a": "b"}, {"a": "c"}, {}):
        source["metadata"]["annotations"] = {**annotations, "endpoints.kubernetes.io/last-change-trigger-time": "t"}
        [made] = planned([made]).update
        assert made["metadata"]["annotations"] == annotations
        assert planned([made]) == slices.Plan()


def reached(port, ready=(), unready=()):
    listed = {"addresses": [{"ip": ip} for ip in ready], "notReadyAddresses": [{"ip": ip} for ip in unready]}
    return {"ports": [{"name": f"p{port}", "port": port}], **listed}


@pytest.mark.parametrize(
    ("subsets", "expected"),
    [
        ([reached(80, ["10.0.0.1"]), reached(90, ["10.0.0.1"])], [([80, 90], ["10.0.0.1"])]),
        ([reached(80, ["10.0.0.1"]), reached(90, ["10.0.0.2"])], [([80], ["10.0.0.1"]), ([90], ["10.0.0.2"])]),
        ([reached(80, ["10.0.0.1"]), reached(90, (), ["10.0.0.1"])], [([80], ["10.0.0.1"]), ([90], ["10.0.0.1"])]),
        ([reached(80, ["10.0.0.1", "fd00::1"], ["10.0.0.1"])], [([80], ["10.0.0.1"]), ([80], ["fd00::1"])]),
        ([{"addresses": [{"ip": "10.0.0.1"}]}], [([], ["10.0.0.1"])]),
    ],
)
def test_ports_of_the_same_addresses_are_mirrored_together(subsets, expected):
    found = mirroring.mirror({"metadata": {}, "subsets": subsets}).groups
    told = [
        (sorted(port["port"] for port in one.ports), [each["addresses"][0] for each in one.endpoints]) for one in found
    ]
    assert sorted(told) == expected
