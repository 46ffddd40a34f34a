"""Statuses on their way to the API, while others write there too."""

import queue

import pytest

from kubeshim.node.kubelet import status_manager

OURS, OURS_LATER = {"type": "Ready", "status": "False"}, {"type": "Ready", "status": "True"}
GATE, GATE_LATER = {"type": "x/gate", "status": "False"}, {"type": "x/gate", "status": "True"}
RESIZE, TARGET = {"type": "PodResizePending", "status": "True"}, {"type": "DisruptionTarget", "status": "True"}


@pytest.mark.parametrize(
    ("before", "after", "patch"),
    [
        ([OURS], [OURS], {}),
        ([OURS], [OURS_LATER], {"conditions": [OURS_LATER]}),
        ([OURS, RESIZE], [OURS], {"conditions": [{"type": "PodResizePending", "$patch": "delete"}]}),
        ([{**OURS, "reason": "X"}], [OURS], {"conditions": [{**OURS, "reason": None}]}),
        ([OURS, GATE], [OURS], {}),
        ([OURS, GATE_LATER], [OURS_LATER, GATE], {"conditions": [OURS_LATER]}),
        ([OURS], [OURS, GATE], {}),
        ([OURS], [OURS, TARGET], {"conditions": [TARGET]}),
        ([OURS, TARGET], [OURS], {}),
    ],
)
def test_a_patch_names_the_kubelets_conditions_alone(before, after, patch):
    assert status_manager.difference({"conditions": before}, {"conditions": after}) == patch


def pod(version, ready):
    status = {"conditions": [{"type": "Ready", "status": ready}]}
    metadata = {"name": "a", "namespace": "x", "uid": "1", "resourceVersion": str(version)}
    return {"metadata": metadata, "status": status}


class Api:
    """Answers a patch only after ``meanwhile`` was called, as when others' events come before our answer."""

    def __init__(self):
        self.patches = queue.SimpleQueue()
        self.version = 10
        self.meanwhile = lambda: None

    def patch(self, gvr, name, body, namespace, **options):
        self.patches.put(body["status"])
        self.version += 1
        answer = pod(self.version, body["status"]["conditions"][0]["status"])
        self.meanwhile()
        return answer


@pytest.fixture
def world():
    api, written = Api(), queue.SimpleQueue()
    manager = status_manager.StatusManager(api, written.put)
    manager.start()
    yield api, manager, written
    manager.stop()


def test_what_others_wrote_before_our_answer_came_is_put_right(world):
    api, manager, written = world

    def another_writes():
        api.meanwhile = lambda: None
        api.version += 1
        assert not manager.observe(pod(api.version, "False")), "ours is on its way"

    api.meanwhile = another_writes
    manager.set(pod(10, "False"), pod(10, "True")["status"])
    assert written.get(timeout=60) == "1"
    assert [api.patches.get_nowait()["conditions"][0]["status"] for _ in range(2)] == ["True", "True"]
    assert api.patches.empty()
    assert manager.settled("1")


def test_our_own_writing_seen_early_is_no_others(world):
    api, manager, written = world
    api.meanwhile = lambda: manager.observe(pod(api.version, "True"))
    manager.set(pod(10, "False"), pod(10, "True")["status"])
    assert written.get(timeout=60) == "1"
    api.patches.get_nowait()
    assert api.patches.empty()


def test_others_are_noticed_at_rest_and_late_states_are_not(world):
    _, manager, written = world
    manager.set(pod(10, "False"), pod(10, "True")["status"])
    assert written.get(timeout=60) == "1"
    assert not manager.observe(pod(10, "False"))
    assert manager.observe(pod(12, "False"))
