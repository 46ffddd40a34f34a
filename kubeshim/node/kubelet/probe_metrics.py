"""``/metrics/probes``: outcomes and durations of probes under upstream's names. A pod's series end with its probes."""

import threading

from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object

SUCCESSFUL, FAILED, UNKNOWN = "successful", "failed", "unknown"
_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_COUNTS, _DURATIONS = "prober_probe_total", "prober_probe_duration_seconds"
_HELP = {
    _COUNTS: ("counter", "Outcomes of startup, liveness and readiness probes."),
    _DURATIONS: ("histogram", "Seconds that probes took which had an answer."),
}

_Probe = tuple[str, str]
"""Kind and container."""


class _Series:
    """Of one pod."""

    def __init__(self, pod: Object) -> None:
        self.pod = pod
        self.counts: dict[tuple[_Probe, str], int] = {}
        self.durations: dict[_Probe, list[float]] = {}


class ProbeMetrics:
    """Of one node. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pods: dict[str, _Series] = {}

    def note(self, kind: str, pod: Object, container: str, result: str, seconds: float) -> None:
        """Of failures only the number is kept, as upstream does."""
        probe = (kind.capitalize(), container)
        with self._lock:
            series = self._pods.setdefault(objects.uid(pod), _Series(pod))
            series.counts[probe, result] = series.counts.get((probe, result), 0) + 1
            if result == FAILED:
                return
            row = series.durations.setdefault(probe, [0.0] * (len(_BOUNDS) + 2))
            for index, bound in enumerate(_BOUNDS):
                row[index] += seconds <= bound
            row[-2] += 1
            row[-1] += seconds

    def forget(self, uid: str) -> None:
        with self._lock:
            self._pods.pop(uid, None)

    def text(self) -> str:
        """In the text format of Prometheus."""
        counts: list[str] = []
        durations: list[str] = []
        with self._lock:
            for uid, series in self._pods.items():
                for (probe, result), number in sorted(series.counts.items()):
                    names = _labels(series.pod, probe)
                    counts.append(f'{_COUNTS}{{{names},pod_uid="{uid}",result="{result}"}} {number}')
                for probe, row in sorted(series.durations.items()):
                    durations += _histogram(_labels(series.pod, probe), row)
        return "".join(_family(name, lines) for name, lines in ((_COUNTS, counts), (_DURATIONS, durations)) if lines)


def _labels(pod: Object, probe: _Probe) -> str:
    kind, container = probe
    where = f'namespace="{objects.namespace(pod)}",pod="{objects.name(pod)}"'
    return f'container="{container}",{where},probe_type="{kind}"'


def _histogram(names: str, row: list[float]) -> list[str]:
    bounds = [*(f"{bound:g}" for bound in _BOUNDS), "+Inf"]
    lines = [f'{_DURATIONS}_bucket{{{names},le="{bound}"}} {row[index]:g}' for index, bound in enumerate(bounds)]
    return [*lines, f"{_DURATIONS}_sum{{{names}}} {row[-1]:g}", f"{_DURATIONS}_count{{{names}}} {row[-2]:g}"]


def _family(name: str, lines: list[str]) -> str:
    kind, about = _HELP[name]
    return "\n".join([f"# HELP {name} {about}", f"# TYPE {name} {kind}", *lines]) + "\n"
