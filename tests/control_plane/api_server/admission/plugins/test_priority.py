import pytest

from kubeshim.control_plane.api_server.admission.plugins import priority
from kubeshim.machinery import errors
from tests.control_plane.api_server.admission import admission_kit as kit


def priority_class(name, value, **fields):
    return {"metadata": {"name": name}, "value": value, **fields}


HIGH = priority_class("high", 1000, preemptionPolicy="Never")
DEFAULT = priority_class("usual", 10, globalDefault=True, preemptionPolicy="PreemptLowerPriority")


def admit(pod, *classes, old=None):
    priority.Priority().admit(kit.attributes("pods", pod, old), kit.Objects(priorityclasses=classes))
    fields = ("priorityClassName", "priority", "preemptionPolicy")
    return tuple(pod["spec"].get(field) for field in fields)


@pytest.mark.parametrize(
    ("spec", "classes", "expected"),
    [
        ({}, (), (None, 0, "PreemptLowerPriority")),
        ({}, (HIGH, DEFAULT), ("usual", 10, "PreemptLowerPriority")),
        ({"priorityClassName": "high"}, (HIGH, DEFAULT), ("high", 1000, "Never")),
        ({"priorityClassName": "high", "priority": 1000}, (HIGH,), ("high", 1000, "Never")),
    ],
)
def test_classes_become_priorities(spec, classes, expected):
    assert admit(kit.pod(**spec), *classes) == expected


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"priorityClassName": "none"}, "no PriorityClass with name none was found"),
        (
            {"priorityClassName": "high", "priority": 5},
            "the integer value of priority (5) must not be provided in pod spec; priority admission controller "
            "computed 1000 from the given PriorityClass name",
        ),
        (
            {"priorityClassName": "high", "preemptionPolicy": "PreemptLowerPriority"},
            "the string value of PreemptionPolicy (PreemptLowerPriority) must not be provided in pod spec; priority "
            "admission controller computed Never from the given PriorityClass name",
        ),
    ],
)
def test_refusals(spec, why):
    with pytest.raises(errors.Forbidden) as caught:
        admit(kit.pod(**spec), HIGH)
    assert caught.value.message == f'pods "p" is forbidden: {why}'


def test_updates_by_old_clients_keep_the_priority():
    assert admit(kit.pod(), old=kit.pod(priority=7, preemptionPolicy="Never")) == (None, 7, "Never")


def test_only_one_class_is_the_default():
    def validate(wanted, old=None):
        asked = kit.attributes("priorityclasses.scheduling.k8s.io", wanted, old)
        priority.Priority().validate(asked, kit.Objects(priorityclasses=[DEFAULT]))

    validate(DEFAULT, DEFAULT)
    with pytest.raises(errors.Forbidden, match="PriorityClass usual is already marked as default"):
        validate(priority_class("other", 1, globalDefault=True))
