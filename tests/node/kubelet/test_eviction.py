"""Node-pressure eviction as tables."""

import pytest

from kubeshim.node.kubelet import eviction

MI = 1 << 20
HARD = {"memory.available": "100Mi", "nodefs.available": "10%"}


def measures(memory=500 * MI, disk=50):
    return {"memory.available": eviction.Measure(memory, 1000 * MI), "nodefs.available": eviction.Measure(disk, 100)}


@pytest.mark.parametrize(
    ("hard", "soft", "graces", "words"),
    [
        ({"memory": "1"}, {}, {}, "unsupported eviction signal memory"),
        ({}, {"memory.available": "1Gi"}, {}, "grace period must be specified"),
        ({"memory.available": "100%"}, {}, {}, "must be between"),
        ({"memory.available": "x"}, {}, {}, "quantities must match"),
    ],
)
def test_thresholds_that_make_no_sense_are_refused(hard, soft, graces, words):
    with pytest.raises(ValueError, match=words):
        eviction.thresholds(hard, soft, graces, {})


def rounds(limits, *steps, transition=300):
    """``(time, memory, disk)`` each; gives what each round said."""
    memory, said = eviction.Memory(), []
    for now, available, disk in steps:
        verdict = eviction.judge(limits, measures(available * MI, disk), memory, now, transition)
        memory = verdict.memory
        said.append((sorted(verdict.conditions), verdict.act and verdict.act.signal))
    return said


def test_a_hard_threshold_acts_at_once_and_its_condition_stays_for_the_transition_period():
    limits = eviction.thresholds(HARD, {}, {}, {})
    assert rounds(limits, (0, 500, 50), (10, 99, 50), (20, 500, 50), (309, 500, 50), (311, 500, 50)) == [
        ([], None),
        (["MemoryPressure"], "memory.available"),
        (["MemoryPressure"], None),
        (["MemoryPressure"], None),
        ([], None),
    ]
    assert rounds(limits, (0, 99, 9)) == [(["DiskPressure", "MemoryPressure"], "memory.available")]
    assert rounds(limits, (0, 500, 9)) == [(["DiskPressure"], "nodefs.available")]
    assert eviction.thresholds({"nodefs.available": "0%"}, {}, {}, {}) == []


def test_a_soft_threshold_waits_for_its_grace_and_a_minimum_is_reclaimed():
    soft = eviction.thresholds({}, {"memory.available": "200Mi"}, {"memory.available": 30.0}, {})
    steps = (0, 150, 50), (20, 150, 50), (30, 150, 50), (40, 250, 50), (50, 150, 50)
    assert [act for _, act in rounds(soft, *steps)] == [None, None, "memory.available", None, None]
    more = eviction.thresholds(HARD, {}, {}, {"memory.available": "50Mi"})
    assert [act for _, act in rounds(more, (0, 120, 50), (10, 90, 50), (20, 120, 50), (30, 150, 50))] == [
        None, "memory.available", "memory.available", None,
    ]  # fmt: skip


def pod(name, used, request=None, priority=0, **spec):
    resources = {"resources": {"requests": {"memory": request}}} if request else {}
    made = {
        "metadata": {"name": name},
        "spec": {"priority": priority, "containers": [{"name": "c", **resources}], **spec},
    }
    return eviction.Use(made, {"c": used * MI})


def test_who_goes_first():
    uses = [
        pod("within", 90, "100Mi"), pod("important", 300, "100Mi", 10), pod("little", 10), pod("over", 150, "100Mi"),
        pod("critical", 900, priority=2_000_001_000),
    ]  # fmt: skip
    order = [use.pod["metadata"]["name"] for use in eviction.rank(uses, eviction.MEMORY)]
    assert order == ["over", "little", "important", "within"]
    limit = eviction.thresholds(HARD, {}, {}, {})[0]
    assert eviction.message(limit, eviction.Measure(50 * MI, 1000 * MI), uses[3]) == (
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 50Mi. "
        "Container c was using 150Mi, request is 100Mi, has larger consumption of memory. "
    )


@pytest.mark.parametrize(
    ("conditions", "use", "refused"),
    [
        ([], pod("a", 0), False),
        (["MemoryPressure"], pod("a", 0), True),
        (["MemoryPressure"], pod("a", 0, "1Mi"), False),
        (["MemoryPressure"], pod("a", 0, tolerations=[{"operator": "Exists"}]), False),
        (["DiskPressure"], pod("a", 0, "1Mi"), True),
        (["DiskPressure"], pod("a", 0, priority=2_000_000_000), False),
    ],
)
def test_what_a_node_under_pressure_takes(conditions, use, refused):
    assert (eviction.refusal(use.pod, conditions) is not None) is refused
