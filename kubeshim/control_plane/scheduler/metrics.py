"""What the scheduler counts, under upstream's names, labels and bounds."""

import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping

from kubeshim.control_plane.component_metrics import doubling
from kubeshim.wire import exposition

SCHEDULED, UNSCHEDULABLE, ERROR = "scheduled", "unschedulable", "error"
_MOST_ATTEMPTS = 15
"""Beyond, they are one figure."""
_ACTIONS = {"Allocatable": "UpdateNodeAllocatable", "Label": "UpdateNodeLabel", "Taint": "UpdateNodeTaint"}
_GROUPED = frozenset(("CSINode", "StorageClass", "VolumeAttachment"))


class Metrics:
    """``profile`` is the scheduler's name."""

    def __init__(self, profile: str = "default-scheduler") -> None:
        self._profile = profile
        self._attempts = exposition.Counter(
            "scheduler_schedule_attempts_total", "Attempts to place a pod, by what came of them.", ("result", "profile")
        )
        self._durations = exposition.Histogram(
            "scheduler_scheduling_attempt_duration_seconds", "Seconds of an attempt, binding included.",
            doubling(0.001, 15), ("result", "profile"),
        )  # fmt: skip
        self.algorithm = exposition.Histogram(
            "scheduler_scheduling_algorithm_duration_seconds", "Seconds of choosing a node.", doubling(0.001, 15)
        )
        self._promised = exposition.Histogram(
            "scheduler_pod_scheduling_sli_duration_seconds",
            "Seconds from a pod's first attempt to its place, by the number of attempts.",
            doubling(0.01, 20), ("attempts",),
        )  # fmt: skip
        self._needed = exposition.Histogram(
            "scheduler_pod_scheduling_attempts", "Attempts that placing a pod took.", doubling(1, 5)
        )
        self._points = exposition.Histogram(
            "scheduler_framework_extension_point_duration_seconds", "Seconds of all plugins at an extension point.",
            doubling(0.0001, 12), ("extension_point", "status", "profile"),
        )  # fmt: skip
        self._incoming = exposition.Counter(
            "scheduler_queue_incoming_pods_total", "Pods that came into a queue, by why.", ("queue", "event")
        )
        self.preemptions = exposition.Counter("scheduler_preemption_attempts_total", "Attempts to make room for a pod.")
        self.victims = exposition.Histogram(
            "scheduler_preemption_victims", "Pods that had to go for one.", doubling(1, 7)
        )

    def attempted(self, result: str, seconds: float) -> None:
        self._attempts.add(result, self._profile)
        self._durations.observe(seconds, result, self._profile)

    def placed(self, attempts: int, seconds: float) -> None:
        """``seconds`` are since its first attempt."""
        self._needed.observe(attempts)
        shown = f"{_MOST_ATTEMPTS}+" if attempts >= _MOST_ATTEMPTS else str(attempts)
        self._promised.observe(seconds, shown)

    def incoming(self, queue: str, event: str) -> None:
        self._incoming.add(queue, event)

    @contextlib.contextmanager
    def at(self, point: str) -> Iterator[list[str]]:
        """Times an extension point; who runs it says what its status was, if not success."""
        status: list[str] = []
        started = time.perf_counter()
        try:
            yield status
        finally:
            spent = time.perf_counter() - started
            self._points.observe(spent, point, status[0] if status else "Success", self._profile)

    def lines(
        self, pending: Mapping[str, int], rejected: Mapping[str, int], held: Iterable[tuple[str, int]]
    ) -> Iterator[str]:
        """``pending`` are pods by queue, ``rejected`` those that wait by plugin, ``held`` what the cache has."""
        places = [((queue,), count) for queue, count in pending.items()]
        yield from exposition.family("scheduler_pending_pods", "gauge", "Pods that wait, by where.", ("queue",), places)
        plugins = [((plugin, self._profile), count) for plugin, count in sorted(rejected.items())]
        about = "Pods that cannot be placed, by each of the plugins that said so."
        yield from exposition.family("scheduler_unschedulable_pods", "gauge", about, ("plugin", "profile"), plugins)
        kinds = [((kind,), count) for kind, count in held]
        about = "Nodes, pods and pods assumed to be bound that are known."
        yield from exposition.family("scheduler_cache_size", "gauge", about, ("type",), kinds)
        for one in (
            self._attempts, self._durations, self.algorithm, self._promised, self._needed, self._points,
            self._incoming, self.preemptions, self.victims,
        ):  # fmt: skip
            yield from one.lines()


def label(kind: str) -> str:
    """An event (``Node/Taint``) as it is called there: ``NodeUpdateNodeTaint``."""
    what, _, action = kind.partition("/")
    group = "storage.k8s.io/" if what in _GROUPED else ""
    return f"{group}{what}{_ACTIONS.get(action, action)}"
