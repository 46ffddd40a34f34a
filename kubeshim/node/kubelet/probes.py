"""Startup, liveness and readiness probes of all containers of the node.

A probe belongs to one container id, so a restarted container begins with fresh ones. Until its startup probe has
succeeded a container is not started and its other probes wait; a startup or liveness probe that gives up stays so
until the container is replaced. Probes are appointments of the kubelet's timers, carried out by its pool: however
many there are, no thread waits for the next one.
"""

import dataclasses
import logging
import random
import threading
import time
from collections.abc import Callable

from kubeshim import clock
from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object
from kubeshim.node.kubelet import handlers, observation, pod_spec, probe_metrics, seams, threads

_log = logging.getLogger(__name__)

STARTUP, LIVENESS, READINESS = "startup", "liveness", "readiness"
_FIELDS = {STARTUP: "startupProbe", LIVENESS: "livenessProbe", READINESS: "readinessProbe"}


@dataclasses.dataclass(slots=True)
class Tally:
    """Counts outcomes in a row; the result changes once they reach their threshold."""

    result: bool | None
    """None: not known yet."""
    success_threshold: int = 1
    failure_threshold: int = 3
    last: bool | None = None
    run: int = 0

    def add(self, outcome: bool) -> bool:
        """Whether the result changed."""
        if outcome == self.last:
            self.run += 1
        else:
            self.last, self.run = outcome, 1
        if self.run < (self.success_threshold if outcome else self.failure_threshold):
            return False
        changed = self.result is not outcome
        self.result = outcome
        return changed


_INITIAL = {STARTUP: None, LIVENESS: True, READINESS: False}


@dataclasses.dataclass(slots=True)
class _Probe:
    kind: str
    spec: Object
    tally: Tally
    timer: threads.Timer | None = None


@dataclasses.dataclass(slots=True)
class _Watched:
    target: handlers.Target
    started_at: float
    probes: dict[str, _Probe]
    stopped: bool = False

    @property
    def started(self) -> bool:
        probe = self.probes.get(STARTUP)
        return probe is None or probe.tally.result is True


class Probes:
    """Of one node. Safe from any thread. ``on_change`` gets the pod's UID when some result changed."""

    def __init__(
        self,
        pool: threads.Pool,
        timers: threads.Timers,
        actions: handlers.Handlers,
        recorder: seams.Recorder,
        time_source: clock.Clock,
        on_change: Callable[[str], None],
    ) -> None:
        self._pool = pool
        self._timers = timers
        self._actions = actions
        self._recorder = recorder
        self._clock = time_source
        self._on_change = on_change
        self._lock = threading.Lock()
        self._watched: dict[str, _Watched] = {}
        self.metrics = probe_metrics.ProbeMetrics()

    def watch(self, target: handlers.Target, started_at: float, before: observation.Health | None = None) -> None:
        """Begins probing a running container; nothing to do where it is probed already.

        ``before`` is what the API knows of the same container: after a restart of the kubelet nothing changes
        until a probe says otherwise.
        """
        probes: dict[str, _Probe] = {}
        for kind, field in _FIELDS.items():
            spec = target.container.get(field)
            if spec:
                result = _INITIAL[kind]
                if before is not None and kind == READINESS:
                    result = before.ready
                if before is not None and kind == STARTUP and before.started:
                    result = True
                probes[kind] = _Probe(kind, spec, _tally(spec, result))
        with self._lock:
            if target.container_id in self._watched:
                return
            watched = self._watched[target.container_id] = _Watched(target, started_at, probes)
        for probe in probes.values():
            if probe.kind == STARTUP or watched.started:
                self._first(watched, probe, spread=before is not None)

    def stop(self, container_id: str) -> None:
        """No further probes of that container; what they said is forgotten."""
        with self._lock:
            watched = self._watched.pop(container_id, None)
        if watched is not None:
            self._cancel(watched, tuple(watched.probes))

    def stop_pod(self, uid: str, *, keep_readiness: bool = False) -> None:
        """Ends a pod's probes; while it terminates, readiness is still asked (``keep_readiness``)."""
        with self._lock:
            found = [each for each in self._watched.values() if objects.uid(each.target.pod) == uid]
        for watched in found:
            if keep_readiness:
                self._cancel(watched, (STARTUP, LIVENESS))
            else:
                self.stop(watched.target.container_id)
        if not keep_readiness:
            self.metrics.forget(uid)

    def _cancel(self, watched: _Watched, kinds: tuple[str, ...]) -> None:
        watched.stopped = watched.stopped or READINESS in kinds
        for kind in kinds:
            probe = watched.probes.pop(kind, None) if kind != STARTUP else watched.probes.get(kind)
            if probe is not None and probe.timer is not None:
                probe.timer.cancel()

    def health(self, container_id: str) -> observation.Health | None:
        """None for a container that is not watched."""
        with self._lock:
            watched = self._watched.get(container_id)
        if watched is None:
            return None
        readiness = watched.probes.get(READINESS)
        return observation.Health(readiness is None or readiness.tally.result is True, watched.started)

    def gave_up(self, container_id: str) -> str:
        """``startup`` or ``liveness`` where that probe failed for good; else empty."""
        with self._lock:
            watched = self._watched.get(container_id)
        for kind in (STARTUP, LIVENESS):
            probe = watched.probes.get(kind) if watched else None
            if probe is not None and probe.tally.result is False:
                return kind
        return ""

    def _first(self, watched: _Watched, probe: _Probe, *, spread: bool) -> None:
        delay = watched.started_at + float(probe.spec.get("initialDelaySeconds") or 0) - self._clock.now().timestamp()
        if spread:
            delay = max(delay, 0.0) + random.uniform(0.0, _period(probe.spec))
        self._schedule(watched, probe, delay)

    def _schedule(self, watched: _Watched, probe: _Probe, delay: float) -> None:
        def due() -> None:
            self._pool.submit(lambda: self._probe(watched, probe))

        probe.timer = self._timers.after(delay, due)

    def _probe(self, watched: _Watched, probe: _Probe) -> None:
        if watched.stopped or probe.kind not in watched.probes:
            return
        outcome = self._outcome(watched, probe)
        if watched.stopped:
            return
        changed = outcome is not None and probe.tally.add(outcome)
        if changed and probe.kind == STARTUP and outcome:
            for other in list(watched.probes.values()):
                if other.kind != STARTUP:
                    self._first(watched, other, spread=False)
        done = probe.kind == STARTUP and probe.tally.result is not None
        gave_up = probe.kind == LIVENESS and probe.tally.result is False
        if not done and not gave_up:
            self._schedule(watched, probe, _period(probe.spec))
        if changed:
            self._on_change(objects.uid(watched.target.pod))

    def _outcome(self, watched: _Watched, probe: _Probe) -> bool | None:
        """None where the probe could not be carried out: that counts neither way."""
        target = watched.target
        timeout = float(probe.spec.get("timeoutSeconds") or 1)
        result, begun = probe_metrics.SUCCESSFUL, time.monotonic()
        try:
            output = self._actions.run(probe.spec, target, timeout)
            if isinstance(output, handlers.Doubtful):
                self._warn(watched, "ProbeWarning", f"{probe.kind.capitalize()} probe warning: {output}")
        except handlers.Failure as failure:
            errored = isinstance(failure, handlers.Errored)
            result = probe_metrics.UNKNOWN if errored else probe_metrics.FAILED
            how = "errored and resulted in unknown state" if errored else "failed"
            self._warn(watched, "Unhealthy", f"{probe.kind.capitalize()} probe {how}: {failure}")
            return None if errored else False
        finally:
            if not watched.stopped:
                took = time.monotonic() - begun
                self.metrics.note(probe.kind, target.pod, target.container["name"], result, took)
        return True

    def _warn(self, watched: _Watched, reason: str, message: str) -> None:
        if not watched.stopped:
            pod, name = watched.target.pod, watched.target.container["name"]
            self._recorder.event(pod, "Warning", reason, message, field_path=pod_spec.field_path(pod, name))


def _tally(spec: Object, result: bool | None) -> Tally:
    return Tally(result, int(spec.get("successThreshold") or 1), int(spec.get("failureThreshold") or 3))


def _period(spec: Object) -> float:
    return float(spec.get("periodSeconds") or 10)
