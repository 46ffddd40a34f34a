"""Graceful shutdown of a node: the order is a table, what follows is seen through the API."""

import dataclasses
import threading

import kubelet_kit as kit_module
import pytest

from kubeshim.node.container_runtime import fake
from kubeshim.node.kubelet import shutdown, shutdown_manager

CRITICAL = shutdown.SYSTEM_CRITICAL_PRIORITY


def by_priority(*entries):
    return [{"priority": priority, "shutdownGracePeriodSeconds": seconds} for priority, seconds in entries]


@pytest.mark.parametrize(
    ("total", "critical", "classes", "wanted"),
    [
        (0, 0, [], []),
        (30, 10, [], [(0, 20), (CRITICAL, 10)]),
        (30, 0, [], [(0, 30), (CRITICAL, 0)]),
        (0, 0, by_priority((100, 5), (-5, 60), (0, 10)), [(-5, 60), (0, 10), (100, 5)]),
    ],
)
def test_groups_of_the_options(total, critical, classes, wanted):
    assert [dataclasses.astuple(group) for group in shutdown.groups(total, critical, classes)] == wanted


@pytest.mark.parametrize(
    ("total", "critical", "classes", "said"),
    [
        (10, 20, [], "shutdownGracePeriodCriticalPods must be <= shutdownGracePeriod"),
        (0.5, 0, [], "shutdownGracePeriod must be either zero or otherwise >= 1 sec"),
        (20, 0.5, [], "shutdownGracePeriodCriticalPods must be either zero or otherwise >= 1 sec"),
        (10, 0, by_priority((0, 1)), "cannot be given together"),
        (0, 0, by_priority((7, 1), (7, 2)), "names a priority twice"),
    ],
)
def test_options_that_make_no_sense(total, critical, classes, said):
    with pytest.raises(ValueError, match=said):
        shutdown.groups(total, critical, classes)


def pod(name, priority=None, grace=30):
    spec = {"terminationGracePeriodSeconds": grace, **({} if priority is None else {"priority": priority})}
    return {"metadata": {"name": name}, "spec": spec}


@pytest.mark.parametrize(
    ("groups", "wanted"),
    [
        ([(0, 20), (CRITICAL, 10)], [(0, ["below", "none", "ten", "hundred", "just under"]), (CRITICAL, ["critical"])]),
        ([(10, 1), (100, 1)], [(10, ["below", "none", "ten"]), (100, ["hundred", "just under", "critical"])]),
        ([(-1000, 1), (10, 1), (500, 1), (CRITICAL * 2, 1)],
         [(-1000, ["below", "none"]), (10, ["ten", "hundred"]), (500, ["just under", "critical"])]),
    ],
)  # fmt: skip
def test_pods_belong_to_the_highest_group_not_above_them(groups, wanted):
    pods = [
        pod("below", -7),
        pod("none"),
        pod("ten", 10),
        pod("hundred", 100),
        pod("just under", CRITICAL - 1),
        pod("critical", CRITICAL),
    ]
    found = shutdown.order([shutdown.Group(*each) for each in groups], pods)
    assert [(group.priority, [each["metadata"]["name"] for each in members]) for group, members in found] == wanted


@pytest.mark.parametrize(("own", "group", "wanted"), [(30, 10, 10), (5, 10, 5), (0, 10, 0), (30, 0, 0)])
def test_a_pod_gets_the_shorter_time(own, group, wanted):
    assert shutdown.grace(pod("a", grace=own), shutdown.Group(0, group)) == wanted


class Order(fake.Fake):
    """Notes the order in which containers are stopped, and holds the first stop until it is let go."""

    def __init__(self):
        super().__init__(images=[kit_module.IMAGE], registry=[])
        self.stopped = []
        self.go = threading.Event()

    def stop_container(self, container_id, grace):
        self.stopped.append(self.container(container_id).labels["io.kubernetes.pod.name"])
        assert self.go.wait(60)
        super().stop_container(container_id, grace)


@pytest.fixture
def kit(tmp_path):
    periods = by_priority((0, 20), (1000, 20))
    made = kit_module.make(tmp_path, engine=Order(), shutdown_grace_period_by_pod_priority=periods)
    yield made
    made.engine.go.set()
    made.close()


def node_condition(kit):
    node = kit.api.find(("v1", "nodes"), "", kit.settings.node_name)
    return {entry["type"]: entry for entry in node["status"]["conditions"]}["Ready"]


def test_pods_end_by_priority_and_the_node_takes_no_more(kit):
    running = kit.start()
    for name, priority in (("high", 1000), ("low", 0)):
        kit.create(kit_module.pod(name, kit.settings.node_name, priority=priority))
        kit.wait(name, kit_module.ready)
    running.shut_down()
    with kit.api.lock:
        assert kit.api.lock.wait_for(lambda: node_condition(kit)["status"] == "False", 60)
    assert node_condition(kit)["message"] == "node is shutting down"
    assert node_condition(kit)["reason"] == "KubeletNotReady"
    kit.create(kit_module.pod("late", kit.settings.node_name))
    late = kit.wait("late", lambda found: found["status"]["phase"] == "Failed")["status"]
    assert (late["reason"], late["message"]) == ("NodeShutdown", "Pod was rejected as the node is shutting down.")
    kit.engine.go.set()
    for name in ("low", "high"):
        status = kit.wait(name, lambda found: found["status"]["phase"] == "Failed")["status"]
        assert status["reason"] == "Terminated"
        assert status["message"] == "Pod was terminated in response to imminent node shutdown."
        target = {entry["type"]: entry for entry in status["conditions"]}["DisruptionTarget"]
        assert (target["status"], target["reason"]) == ("True", "TerminationByKubelet")
        assert target["message"] == status["message"]
    assert kit.engine.stopped == ["low", "high"]
    message = kit.wait_event(kit.settings.node_name, "NodeShutdown")
    assert message == "Shutdown manager detected shutdown event"
    with kit.api.lock:
        assert kit.api.lock.wait_for(lambda: "endTime" in shutdown_manager.state(kit.settings.data_dir), 60)
    assert "kubelet_graceful_shutdown_end_time_seconds 0" not in running.metrics()


def test_without_periods_nothing_is_ended(tmp_path):
    made = kit_module.make(tmp_path)
    try:
        running = made.start()
        made.create(kit_module.pod("stays", made.settings.node_name))
        made.wait("stays", kit_module.ready)
        running.shut_down()
        assert node_condition(made)["status"] == "True"
        assert shutdown_manager.state(made.settings.data_dir) == {}
        assert made.container("stays").state.name == "RUNNING"
    finally:
        made.close()
