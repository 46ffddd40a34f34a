"""What controllers and scheduler count, under the names that dashboards ask for."""

import pytest

from kubeshim import clock
from kubeshim.client import workqueue
from kubeshim.control_plane import component_metrics
from kubeshim.control_plane.controller_manager import metrics as controllers
from kubeshim.control_plane.scheduler import metrics as scheduling


class Told:
    def __init__(self):
        self.said = []

    def waited(self, seconds):
        self.said.append(("waited", seconds))

    def worked(self, seconds):
        self.said.append(("worked", seconds))


def test_a_queue_tells_how_long_keys_wait_and_are_worked_on():
    time = clock.FakeClock()
    queue = workqueue.RateLimitingQueue(monotonic=time.monotonic)
    queue.observer = told = Told()
    queue.add("a")
    time.step(2)
    queue.get()
    time.step(3)
    queue.add_rate_limited("a")
    assert (queue.unfinished(), queue.retries) == ([3], 1)
    queue.done("a")
    assert (told.said, queue.unfinished()) == ([("waited", 2), ("worked", 3)], [])
    work = controllers.Work()
    work.waited("endpoint", 2)
    lines = list(work.lines([(controllers.queue_name("endpoints"), queue)]))
    assert {
        'workqueue_depth{name="endpoint"} 0',
        'workqueue_adds_total{name="endpoint"} 1',
        'workqueue_retries_total{name="endpoint"} 1',
        'workqueue_unfinished_work_seconds{name="endpoint"} 0',
        'workqueue_queue_duration_seconds_bucket{name="endpoint",le="1"} 0',
        'workqueue_queue_duration_seconds_bucket{name="endpoint",le="10"} 1',
    } <= set(lines)


def test_requests_and_who_leads():
    component = component_metrics.Component("kube-scheduler", "https://127.0.0.1:6443/prefix")
    component.requested("GET", "200", 0.3)
    component.leads = True
    lines = set(component.lines())
    assert {
        'rest_client_requests_total{code="200",method="GET",host="127.0.0.1:6443"} 1',
        'rest_client_request_duration_seconds_bucket{verb="GET",host="127.0.0.1:6443",le="0.5"} 1',
        'leader_election_master_status{name="kube-scheduler"} 1',
    } <= lines
    assert any(line.startswith("process_resident_memory_bytes ") for line in lines)


def test_what_the_scheduler_tells():
    counted = scheduling.Metrics()
    counted.attempted(scheduling.SCHEDULED, 0.003)
    counted.placed(17, 1.0)
    counted.incoming("active", scheduling.label("Node/Taint"))
    counted.victims.observe(3)
    with pytest.raises(OSError), counted.at("Bind"):
        raise OSError
    lines = set(counted.lines({"active": 2}, {"NodeAffinity": 1}, [("nodes", 3)]))
    profile, bind = 'profile="default-scheduler"', 'extension_point="Bind"'
    assert {
        'scheduler_pending_pods{queue="active"} 2',
        f'scheduler_unschedulable_pods{{plugin="NodeAffinity",{profile}}} 1',
        'scheduler_cache_size{type="nodes"} 3',
        f'scheduler_schedule_attempts_total{{result="scheduled",{profile}}} 1',
        f'scheduler_scheduling_attempt_duration_seconds_bucket{{result="scheduled",{profile},le="0.002"}} 0',
        f'scheduler_scheduling_attempt_duration_seconds_bucket{{result="scheduled",{profile},le="0.004"}} 1',
        'scheduler_pod_scheduling_sli_duration_seconds_count{attempts="15+"} 1',
        'scheduler_queue_incoming_pods_total{queue="active",event="NodeUpdateNodeTaint"} 1',
        'scheduler_preemption_victims_bucket{le="2"} 0',
        'scheduler_preemption_victims_bucket{le="4"} 1',
        "scheduler_preemption_attempts_total 0",
        f'scheduler_framework_extension_point_duration_seconds_count{{{bind},status="Success",{profile}}} 1',
    } <= lines


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        ("AssignedPod/Delete", "AssignedPodDelete"),
        ("Node/Allocatable", "NodeUpdateNodeAllocatable"),
        ("StorageClass/Add", "storage.k8s.io/StorageClassAdd"),
    ],
)
def test_how_events_are_called(kind, shown):
    assert scheduling.label(kind) == shown
