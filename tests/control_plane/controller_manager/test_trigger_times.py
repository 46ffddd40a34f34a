"""Since when endpoints are what they are."""

import pytest

from kubeshim.control_plane.controller_manager import endpoints, trigger_times

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
