"""Two things at once in one kubelet: pods that come together, a pod that changes while its round is under way."""

import contextlib
import dataclasses
import os
import threading

import kubelet_kit as kit_module
import pytest

from kubeshim.node.kubelet import pod_resize, pod_sync, shutdown_manager
from tests import fake_api


@pytest.fixture
def kit(tmp_path):
    made = kit_module.make(tmp_path, system_reserved={"cpu": f"{(os.cpu_count() or 1) - 1}"})
    yield made
    made.stop()
    made.api.stop()
    made.engine.close()


def pod(kit, name, amount, **fields):
    container = {"resources": {"requests": {"cpu": amount}}, **fields}
    return kit.create(kit_module.pod(name, kit.settings.node_name, container))


def resized(amount):
    def change(found):
        [container] = found["spec"]["containers"]
        metadata = {**found["metadata"], "generation": found["metadata"]["generation"] + 1}
        containers = [{**container, "resources": {"requests": {"cpu": amount}}}]
        return {**found, "metadata": metadata, "spec": {**found["spec"], "containers": containers}}

    return change


def shown(status):
    """What the status says of the one container's resources."""
    return status["containerStatuses"][0]["resources"]["requests"]["cpu"]


def statuses(kit, name):
    """All that the API had, in order."""
    states = [each for _, _, _, each in kit.api.history if each["metadata"]["name"] == name]
    return [each["status"] for each in states if "status" in each]


def conditions(status):
    return {entry["type"] for entry in status["conditions"]}


def test_of_two_pods_that_come_together_one_is_refused_where_there_is_room_for_one(kit, monkeypatch):
    both = threading.Barrier(2)

    def meet():
        try:
            both.wait(0.5)
        except threading.BrokenBarrierError:
            return True  # nobody comes while this one is judged
        return True

    monkeypatch.setattr(pod_sync.machine, "has_apparmor", meet)
    kit.start()
    for name in ("a", "b"):
        pod(kit, name, "600m")
    phases = {kit.wait(name, lambda found: found["status"]["phase"] in ("Running", "Failed"))["status"]["phase"]
              for name in ("a", "b")}  # fmt: skip
    assert phases == {"Running", "Failed"}


def test_a_status_tells_of_no_change_that_its_round_did_not_see(kit, monkeypatch):
    grant, held = pod_resize.grant, threading.Event()

    def then_it_changes(shared, work, others):
        answer = grant(shared, work, others)
        if held.is_set():
            held.clear()
            kit.update("a", resized("500m"))
            fake_api.eventually(lambda: work.newest["metadata"]["generation"] == 2)
        return answer

    monkeypatch.setattr(pod_resize, "grant", then_it_changes)
    made = kit.start()
    uid = pod(kit, "a", "300m")["metadata"]["uid"]
    kit.wait("a", kit_module.ready)
    held.set()
    made._poke(uid)
    kit.wait("a", lambda found: shown(found["status"]) == "500m")
    seen = [shown(status) for status in statuses(kit, "a") if status.get("observedGeneration") == 2]
    assert set(seen) == {"500m"}


def test_a_resize_is_told_once_it_is_in_force(kit):
    made = kit.start()
    uid = pod(kit, "a", "300m")["metadata"]["uid"]
    kit.wait("a", kit_module.ready)
    told, update = [], kit.engine.update_resources

    def update_resources(identity, resources):
        told.append(shown(made._parts.statuses.latest(uid)))
        update(identity, resources)

    kit.engine.update_resources = update_resources
    kit.update("a", resized("500m"))
    kit.wait("a", lambda found: shown(found["status"]) == "500m")
    assert told == ["300m"]


def test_a_resize_that_needs_a_restart_is_under_way_until_then(kit):
    kit.start()
    pod(kit, "a", "300m", resizePolicy=[{"resourceName": "cpu", "restartPolicy": "RestartContainer"}])
    kit.wait("a", kit_module.ready)
    kit.update("a", resized("500m"))
    found = kit.wait("a", lambda found: found["status"]["containerStatuses"][0]["restartCount"] == 1
                     and "PodResizeInProgress" not in conditions(found["status"]))  # fmt: skip
    assert shown(found["status"]) == "500m"
    before = [status for status in statuses(kit, "a") if status.get("containerStatuses") and shown(status) == "500m"
              and status["containerStatuses"][0]["restartCount"] == 0]  # fmt: skip
    assert before and all("PodResizeInProgress" in conditions(status) for status in before)


def test_a_shutdown_ends_a_pod_that_was_being_let_in_as_it_began(kit, monkeypatch):
    kit.settings = dataclasses.replace(kit.settings, shutdown_grace_period=30.0)
    made = kit.start()

    def meanwhile():
        made.shut_down()
        with contextlib.suppress(AssertionError):  # it waits until this one is judged
            fake_api.eventually(lambda: "endTime" in shutdown_manager.state(kit.settings.data_dir), 0.5)
        return True

    monkeypatch.setattr(pod_sync.machine, "has_apparmor", meanwhile)
    pod(kit, "a", "300m")
    found = kit.wait("a", lambda found: found["status"]["phase"] == "Failed")
    assert found["status"]["reason"] == "Terminated"
