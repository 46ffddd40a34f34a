"""What controllers count, under upstream's names, labels and bounds."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from kubeshim.control_plane.component_metrics import doubling
from kubeshim.control_plane.controller_manager import job_metrics, slice_metrics
from kubeshim.wire import exposition

_TENS = doubling(1e-6, 10, 10)

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
        self.jobs = job_metrics.Jobs()
        self.slices = slice_metrics.OfServices()
        self.mirrored = slice_metrics.Mirrored()
        self.cron_skew = exposition.Histogram(
            "cronjob_controller_cronjob_job_creation_skew_duration_seconds",
            "Seconds between the time a job was due and that at which it was made.", doubling(1, 10),
        )  # fmt: skip
        self.garbage_errors = exposition.Counter(
            "garbagecollector_controller_resources_sync_error_total", "Times the types to look after could not be read."
        )

    def lines(self) -> Iterator[str]:
        for one in (self.jobs, self.slices, self.mirrored, self.cron_skew, self.garbage_errors):
            yield from one.lines()
