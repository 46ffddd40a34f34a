"""Since when endpoints are what they are, and whose they are not."""

import pytest

from kubeshim.control_plane.controller_manager import endpoints, trigger_times
from kubeshim.control_plane.controller_manager.controllers import endpointslice

SERVICE = {"metadata": {"name": "s", "creationTimestamp": "t1"}}


def pod(name, moment):
    return {"metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "lastTransitionTime": moment}]}}


@pytest.mark.parametrize(
    ("before", "there", "moment"),
    [
        (trigger_times.Seen(), [], "t1"),
        (trigger_times.Seen(), [pod("a", "t2"), pod("b", "t3")], "t1"),
        (trigger_times.Seen("t1"), [], ""),
        (trigger_times.Seen("t1"), [pod("a", "t3"), pod("b", "t2")], "t2"),
        (trigger_times.Seen("t1", {"a": "t2"}), [pod("a", "t2"), pod("b", "t3")], "t3"),
        (trigger_times.Seen("t1", {"a": "t2"}), [pod("a", "t4"), pod("b", "t3")], "t3"),
        (trigger_times.Seen("t1", {"a": "t2"}), [], ""),
    ],
)
def test_the_earliest_that_is_new(before, there, moment):
    seen, found = trigger_times.look(before, SERVICE, there)
    assert found == moment
    assert trigger_times.look(seen, SERVICE, there) == (seen, "")


def test_the_annotation_comes_and_goes():
    made = trigger_times.annotated({"name": "s", "annotations": {"a": "b"}}, "t1")
    assert made["annotations"] == {"a": "b", endpoints.TRIGGER_TIME: "t1"}
    assert trigger_times.annotated(made, "") == {"name": "s", "annotations": {"a": "b"}}
    assert trigger_times.annotated({"name": "s", "annotations": {endpoints.TRIGGER_TIME: "t0"}}, "") == {"name": "s"}


@pytest.mark.parametrize(("publishes", "lost"), [(False, ["b"]), (True, [])])
def test_pods_of_nodes_that_are_gone_are_left_out(publishes, lost):
    there = [{"metadata": {"name": name}, "spec": {"nodeName": name}} for name in "ab"]
    there.append({"metadata": {"name": "c"}, "spec": {}})
    service = {"spec": {"publishNotReadyAddresses": publishes}}
    found = endpointslice.without_node(service, there, {"a": "zone"})
    assert [one["metadata"]["name"] for one in found] == lost
