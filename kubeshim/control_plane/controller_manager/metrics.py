"""What controllers count, under upstream's names, labels and bounds."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from kubeshim.control_plane.component_metrics import doubling
from kubeshim.wire import exposition

_TENS = doubling(1e-6, 10, 10)
_ENDPOINTS = doubling(2, 15)
_SYNC = ("completion_mode", "result", "action")


_QUEUES = {
    "bootstrap-signer": "bootstrap_signer_queue",
    "certificatesigningrequest": "certificate",
    "clusterrole-aggregation": "ClusterRoleAggregator",
    "endpoints": "endpoint",
    "endpointslice": "endpoint_slice",
    "endpointslice-mirroring": "endpoint_slice_mirroring",
    "ephemeral-volume": "ephemeral_volume",
    "garbage-collector": "garbage_collector_attempt_to_delete",
    "horizontal-pod-autoscaler": "horizontalpodautoscaler",
    "node-lifecycle": "node_lifecycle_controller",
    "persistentvolume-binder": "claims",
    "persistentvolume-expander": "volume_expand",
    "persistentvolume-protection": "pvprotection",
    "persistentvolumeclaim-protection": "pvcprotection",
    "pod-garbage-collector": "orphaned_pods_nodes",
    "replicationcontroller": "replicationmanager",
    "resourcequota": "resourcequota_primary",
    "root-ca-certificate-publisher": "root_ca_cert_publisher",
    "service-lb": "service",
    "serviceaccount-token": "serviceaccount_tokens_secret",
    "taint-eviction": "noexec_taint_pod",
    "token-cleaner": "token_cleaner",
    "ttl": "ttlcontroller",
    "ttl-after-finished": "ttl_jobs_to_delete",
    "volumeattributesclass-protection": "vacprotection",
}
"""Controllers whose queue upstream calls otherwise than the controller."""


def queue_name(controller: str) -> str:
    return _QUEUES.get(controller, controller)


class Queue(Protocol):
    """A queue of work, and what it tells when it is asked."""

    adds: int
    retries: int

    def __len__(self) -> int: ...

    def unfinished(self) -> list[float]: ...


class Work:
    """Of all queues, by name."""

    def __init__(self) -> None:
        self._waits = exposition.Histogram(
            "workqueue_queue_duration_seconds", "Seconds that an item waits before it is taken.", _TENS, ("name",)
        )
        self._works = exposition.Histogram(
            "workqueue_work_duration_seconds", "Seconds that the work on an item takes.", _TENS, ("name",)
        )

    def waited(self, name: str, seconds: float) -> None:
        self._waits.observe(seconds, name)

    def worked(self, name: str, seconds: float) -> None:
        self._works.observe(seconds, name)

    def lines(self, queues: Iterable[tuple[str, Queue]]) -> Iterator[str]:
        known = [((name,), queue, queue.unfinished()) for name, queue in queues]

        def family(name: str, kind: str, about: str, figures: Iterable[float]) -> Iterator[str]:
            series = [(labels, figure) for (labels, _, _), figure in zip(known, figures, strict=True)]
            return exposition.family(f"workqueue_{name}", kind, about, ("name",), series)

        yield from family("depth", "gauge", "Items that wait now.", (len(queue) for _, queue, _ in known))
        yield from family("adds_total", "counter", "Items taken in.", (queue.adds for _, queue, _ in known))
        yield from family("retries_total", "counter", "Items tried again.", (queue.retries for _, queue, _ in known))
        about = "Seconds of work under way, of all workers; it grows without end where one is stuck."
        yield from family("unfinished_work_seconds", "gauge", about, (sum(spent) for _, _, spent in known))
        about = "Seconds that the longest work under way has taken."
        longest = (max(spent, default=0) for _, _, spent in known)
        yield from family("longest_running_processor_seconds", "gauge", about, longest)
        yield from self._waits.lines()
        yield from self._works.lines()


class Metrics:
    """Of the controllers of one process."""

    def __init__(self) -> None:
        self.work = Work()
        self.job_syncs = exposition.Counter("job_controller_job_syncs_total", "Times a job was looked at.", _SYNC)
        self.job_sync_seconds = exposition.Histogram(
            "job_controller_job_sync_duration_seconds",
            "Seconds that looking at a job took.",
            doubling(0.004, 15),
            _SYNC,
        )
        self.jobs_finished = exposition.Counter(
            "job_controller_jobs_finished_total", "Jobs that have ended.", ("completion_mode", "result", "reason")
        )
        self.job_pods_finished = exposition.Counter(
            "job_controller_job_pods_finished_total", "Ended pods that are counted in their job.",
            ("completion_mode", "result"),
        )  # fmt: skip
        self.cron_skew = exposition.Histogram(
            "cronjob_controller_cronjob_job_creation_skew_duration_seconds",
            "Seconds between the time a job was due and that at which it was made.", doubling(1, 10),
        )  # fmt: skip
        self.garbage_errors = exposition.Counter(
            "garbagecollector_controller_resources_sync_error_total", "Times the types to look after could not be read."
        )
        self.endpoints_added = exposition.Histogram(
            "endpoint_slice_controller_endpoints_added_per_sync", "Endpoints added, of each sync.", _ENDPOINTS
        )
        self.endpoints_removed = exposition.Histogram(
            "endpoint_slice_controller_endpoints_removed_per_sync", "Endpoints removed, of each sync.", _ENDPOINTS
        )
        self.slice_changes = exposition.Counter(
            "endpoint_slice_controller_changes", "EndpointSlices written, by how.", ("operation",)
        )
        self.slice_syncs = exposition.Counter(
            "endpoint_slice_controller_syncs", "Times a Service was looked at, by what came of it.", ("result",)
        )

    def job_looked_at(self, mode: str, ok: bool, action: str, seconds: float) -> None:
        labels = mode, "success" if ok else "error", action
        self.job_syncs.add(*labels)
        self.job_sync_seconds.observe(seconds, *labels)

    def lines(self) -> Iterator[str]:
        for one in (
            self.job_syncs, self.job_sync_seconds, self.jobs_finished, self.job_pods_finished, self.cron_skew,
            self.garbage_errors, self.endpoints_added, self.endpoints_removed, self.slice_changes, self.slice_syncs,
        ):  # fmt: skip
            yield from one.lines()
