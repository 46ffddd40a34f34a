"""What a node says of itself, beside what others say of it."""

import pytest

from kubeshim.node.container_runtime import runtime
from kubeshim.node.kubelet import config, machine, node_status

HARDWARE = machine.Machine(4, 8 << 30, "amd64", "", "", "", "", "", 0)
SETTINGS = config.KubeletConfig("n", "1.2.3.4", "/d")


def status(old=None, info=None):
    load = machine.Load(0, 1 << 40, 0, 0, 0, 0, 0)
    facts = node_status.Facts(HARDWARE, load, info, [], node_status.Health(), "2026-01-01T00:00:00Z")
    return node_status.status(SETTINGS, facts, old or {})


def test_runtime_classes_may_name_the_engines_runtimes():
    info = runtime.Info("docker", "20.10", "1.41", "cgroupfs", 1, "/r", {"Runtimes": {"runc": {}, "kata": {}}})
    assert [one["name"] for one in status(info=info)["runtimeHandlers"]] == ["", "kata", "runc"]
    assert [one["name"] for one in status()["runtimeHandlers"]] == [""]


@pytest.mark.parametrize(
    ("capacity", "allocatable", "news"),
    [
        ({"cpu": "4", "x.example/y": "5"}, {"cpu": "3"}, True),
        ({"cpu": "4", "x.example/y": "5"}, {"cpu": "3", "x.example/y": "5"}, False),
        ({"cpu": "4"}, {"cpu": "3", "x.example/y": "5"}, True),
    ],
)
def test_what_others_add_to_capacity_can_be_allocated(capacity, allocatable, news):
    old = {"capacity": capacity, "allocatable": allocatable}
    assert node_status.has_news({"status": old}) is news
    made = status(old)
    assert made["capacity"].get("x.example/y") == made["allocatable"].get("x.example/y") == capacity.get("x.example/y")
    assert not node_status.has_news({"status": made})


READY, LATER = {"type": "Ready", "lastHeartbeatTime": "1"}, {"type": "Ready", "lastHeartbeatTime": "2"}
OTHERS = {"type": "x.example/Y", "status": "True"}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"conditions": [OTHERS, READY]}, {"conditions": [OTHERS, LATER]}, {"conditions": [LATER]}),
        ({}, {"conditions": [READY]}, {"conditions": [READY]}),
        ({"conditions": [READY]}, {"conditions": [READY]}, {}),
        (
            {"capacity": {"x.example/y": "5", "ephemeral-storage": "1Ki"}},
            {"capacity": {"x.example/y": "5", "ephemeral-storage": "2Ki"}},
            {"capacity": {"ephemeral-storage": "2Ki"}},
        ),
        ({"allocatable": {"cpu": "4", "x.example/y": "5"}}, {"allocatable": {"cpu": "4"}},
         {"allocatable": {"x.example/y": None}}),
        ({}, {"allocatable": {"cpu": "4"}}, {"allocatable": {"cpu": "4"}}),
        ({"images": [1]}, {"images": [2]}, {"images": [2]}),
    ],
)  # fmt: skip
def test_a_patch_names_only_what_differs_of_what_others_write_too(before, after, expected):
    assert node_status.patch(before, after) == expected
