"""Statuses on their way to the API, while others write there too."""

import queue

import pytest

from kubeshim.machinery import errors
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


class Server(Api):
    """Merges what it is sent into what it has; ``stored`` is changed by others as well."""

    def __init__(self, stored, refusals=()):
        super().__init__()
        self.stored, self.refusals = stored, list(refusals)

    def patch(self, gvr, name, body, namespace, **options):
        self.patches.put(body["status"])
        if self.refusals:
            raise self.refusals.pop(0)
        self.version += 1
        self.stored = {**self.stored, **body["status"]}
        answer = {**pod(self.version, ""), "status": self.stored}
        self.meanwhile()
        return answer


def served(stored, **fields):
    api, written = Server(stored, **fields), queue.SimpleQueue()
    manager = status_manager.StatusManager(api, written.put)
    manager.start()
    return api, manager, written


def test_what_others_wrote_before_ours_landed_is_put_right_though_it_was_seen_before_our_answer():
    ready, unready = pod(10, "True")["status"], pod(11, "False")["status"]
    api, manager, written = served({**unready, "phase": "Pending"})

    def the_watch_is_faster():
        api.meanwhile = lambda: None
        assert not manager.observe({**pod(api.version, ""), "status": api.stored}), "ours is on its way"

    api.meanwhile = the_watch_is_faster
    manager.set({**pod(10, ""), "status": {**ready, "phase": "Pending"}}, {**ready, "phase": "Running"})
    assert written.get(timeout=60) == "1"
    manager.stop()
    assert api.stored == {**ready, "phase": "Running"}
    assert [api.patches.get_nowait() for _ in range(2)] == [{"phase": "Running"}, ready] and api.patches.empty()


def test_the_last_status_is_said_again_where_somebody_takes_it_back():
    last = {**pod(10, "False")["status"], "phase": "Succeeded"}
    api, manager, written = served({"phase": "Running"})
    manager.set({**pod(10, ""), "status": api.stored}, last)
    assert written.get(timeout=60) == "1"
    taken_back = {**pod(12, ""), "status": {**api.stored, "phase": "Running", "conditions": [GATE]}}
    assert not manager.observe(taken_back), "there is nothing for its worker to do"
    assert written.get(timeout=60) == "1"
    manager.stop()
    assert [api.patches.get_nowait() for _ in range(2)] == [last, last]


def test_a_server_that_is_busy_with_the_pod_is_asked_again():
    busy = errors.conflict("", "pods", "a", errors.MODIFIED)
    api, manager, written = served({}, refusals=[busy])
    manager.set({**pod(10, ""), "status": {}}, {"phase": "Running"})
    assert written.get(timeout=60) == "1"
    manager.stop()
    assert api.stored == {"phase": "Running"}


def test_others_are_noticed_at_rest_and_late_states_are_not(world):
    _, manager, written = world
    manager.set(pod(10, "False"), pod(10, "True")["status"])
    assert written.get(timeout=60) == "1"
    assert not manager.observe(pod(10, "False"))
    assert manager.observe(pod(12, "False"))
