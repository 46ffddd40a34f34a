"""What controllers and scheduler count, under the names that dashboards ask for."""

import pytest

from kubeshim import clock
from kubeshim.client import workqueue
from kubeshim.control_plane import component_metrics
from kubeshim.control_plane.controller_manager import job_metrics, jobs, slice_metrics, slices
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


def test_how_endpoints_are_packed():
    def made(name, *addresses):
        return {"metadata": {"name": name}, "endpoints": [{"addresses": [one]} for one in addresses]}

    def told(*lines):
        return [line.removeprefix("endpoint_slice_controller_") for line in counted.lines() if line.startswith(lines)]

    counted, prefix = slice_metrics.OfServices(), "endpoint_slice_controller_"
    group = slices.Group("IPv4", [], [{"addresses": [str(number)]} for number in range(5)])
    old, new = made("a", "0", "9"), made("b", "1", "2", "3", "4")
    changed = {**made("a", "0"), "metadata": {"name": "a"}}
    assert counted.planned("n/s", [group], [old], slices.Plan(create=[new], update=[changed]), 3) == 0
    counted.planned("n/empty", [slices.Group("IPv4", [], [])], [], slices.Plan(create=[made("c")]), 3)
    gauges = [f"{prefix}{name} " for name in ("endpoints_desired", "num_endpoint_slices", "desired_endpoint_slices")]
    assert told(*gauges) == ["endpoints_desired 5", "num_endpoint_slices 3", "desired_endpoint_slices 3"]
    assert told(f"{prefix}endpoints_added_per_sync_sum", f"{prefix}endpoints_removed_per_sync_sum") == [
        "endpoints_added_per_sync_sum 4", "endpoints_removed_per_sync_sum 1",
    ]  # fmt: skip
    for key, wanted in (("n/s", "PreferClose"), ("n/t", "PreferClose"), ("n/u", "x.com/own"), ("n/v", "")):
        counted.spread(key, wanted, by_zones=False)
    counted.spread("n/t", "PreferClose", by_zones=True)
    counted.forget("n/s")
    assert told(*gauges) == ["endpoints_desired 0", "num_endpoint_slices 1", "desired_endpoint_slices 1"]
    assert told(f"{prefix}services_count") == [
        'services_count_by_traffic_distribution{traffic_distribution="ImplementationSpecific"} 1'
    ]
    counted.carried_out(slices.Plan(create=[new]), "PreferClose", by_zones=False)
    assert told(f"{prefix}endpointslices_changed_per_sync_sum") == [
        'endpointslices_changed_per_sync_sum{topology="Disabled",traffic_distribution="PreferClose"} 1'
    ]


def test_endpoints_that_change_in_a_mirrored_slice():
    old = {"metadata": {"name": "a"}, "endpoints": [{"addresses": ["1"], "conditions": {"ready": True}}]}
    new = {"metadata": {"name": "a"}, "endpoints": [{"addresses": ["1"], "conditions": {"ready": False}}]}
    counted = slice_metrics.Mirrored()
    assert counted.planned("n/s", [], [old], slices.Plan(update=[new]), 1000) == 1
    assert "endpoint_slice_mirroring_controller_desired_endpoint_slices 0" in counted.lines()


def test_what_is_counted_of_jobs():
    rules = [{"action": "Ignore", "onExitCodes": {"operator": "In", "values": [3]}}]
    spec = {"completionMode": "Indexed", "completions": 4, "backoffLimitPerIndex": 1}
    job = {"spec": {**spec, "podFailurePolicy": {"rules": rules}}, "status": {"completedIndexes": "0,2-3"}}

    def failed(code):
        state = {"terminated": {"exitCode": code}}
        status = {"phase": "Failed", "containerStatuses": [{"name": "c", "state": state}]}
        return {"metadata": {"name": "p", "namespace": "n", "finalizers": [jobs.FINALIZER]}, "status": status}

    counted = job_metrics.Jobs()
    counted.written({**job, "status": {"completedIndexes": "0,2-3", "failedIndexes": "1"}}, {"completedIndexes": "0"})
    for code in (3, 4):
        counted.released(job, failed(code))
    counted.seen(None, failed(1))
    counted.seen(failed(1), None)
    counted.created(job, jobs.tally({**job, "status": {}}, []), 2, 1)
    counted.created(job, jobs.tally({**job, "status": {"failed": 1}}, []), 1, 0)
    plain = {"spec": {}}
    counted.created(plain, jobs.tally({**plain, "status": {"failed": 1}}, []), 1, 0)
    counted.left_to("x.com/own")
    start = "job_controller_"
    assert [line.removeprefix(start) for line in counted.lines() if line.startswith(start)] == [
        'job_finished_indexes_total{status="succeeded",backoffLimit="perIndex"} 2',
        'job_finished_indexes_total{status="failed",backoffLimit="perIndex"} 1',
        'job_pods_creation_total{reason="new",status="succeeded"} 2',
        'job_pods_creation_total{reason="new",status="failed"} 1',
        'job_pods_creation_total{reason="recreate_failed",status="succeeded"} 1',
        'job_pods_creation_total{reason="recreate_terminating_or_failed",status="succeeded"} 1',
        'pod_failures_handled_by_failure_policy_total{action="Ignore"} 1',
        'terminated_pods_tracking_finalizer_total{event="add"} 1',
        'terminated_pods_tracking_finalizer_total{event="delete"} 1',
        'jobs_by_external_controller_total{controller_name="x.com/own"} 1',
    ]
