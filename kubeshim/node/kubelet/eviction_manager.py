"""Watches what the node runs short of, and makes room: unused images first, then one pod a round.

A thread looks every ten seconds (upstream's interval). What to do is decided in ``eviction``; here are the measuring
and the doing. The same thread looks after the images' share of the disk (``imageGCHighThresholdPercent``).
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence

from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object
from kubeshim.node.container_runtime import runtime
from kubeshim.node.kubelet import eviction, image_garbage, labels, local_storage, machine, parts, pod_spec

_log = logging.getLogger(__name__)

Measures = Mapping[str, eviction.Measure]
Evict = Callable[[str, str, float], None]
"""``(UID, message, seconds of grace)``."""


class EvictionManager:
    """Of one node. ``pods`` gives those that run or will; ``changed`` is told when conditions are others."""

    def __init__(
        self,
        shared: parts.Parts,
        pods: Callable[[], Sequence[Object]],
        evict: Evict,
        changed: Callable[[], None],
        measure: Callable[[parts.Parts], Measures] | None = None,
    ) -> None:
        """Raises ``ValueError`` for thresholds that make no sense."""
        settings = shared.config
        self._parts = shared
        self._pods = pods
        self._evict = evict
        self._changed = changed
        self._measure = measure or measures
        self._limits = eviction.thresholds(
            settings.eviction_hard,
            settings.eviction_soft,
            settings.eviction_soft_grace_period,
            settings.eviction_minimum_reclaim,
        )
        self._memory = eviction.Memory()
        self._collector = image_garbage.Collector(shared.engine, shared.images.pulled, self._images_in_use)
        self._collect_at = time.monotonic() + settings.image_gc_period
        self.conditions: frozenset[str] = frozenset()

    def run(self, stopping: threading.Event) -> None:
        while not stopping.is_set():
            try:
                self.round()
            except (runtime.RuntimeFailure, OSError) as failure:
                _log.info("eviction: %s", failure)
            stopping.wait(self._parts.config.eviction_interval)

    def round(self) -> None:
        """One look, and what follows from it."""
        found, now = self._measure(self._parts), time.monotonic()
        transition = self._parts.config.eviction_pressure_transition_period
        verdict = eviction.judge(self._limits, found, self._memory, now, transition)
        self._memory = verdict.memory
        if verdict.conditions != self.conditions:
            self.conditions = verdict.conditions
            self._changed()
        if verdict.act is not None:
            self._relieve(verdict.act, found[verdict.act.signal])
        elif now >= self._collect_at:
            self._collect_at = now + self._parts.config.image_gc_period
            self._collect_images(found)

    def _relieve(self, limit: eviction.Threshold, measure: eviction.Measure) -> None:
        resource = eviction.RESOURCES[limit.signal]
        node = self._parts.node()
        if node is not None:
            self._parts.recorder.event(node, "Warning", "EvictionThresholdMet", f"Attempting to reclaim {resource}")
        if limit.signal in eviction.DISK_SIGNALS:
            self._collector.collect(measure.capacity, time.monotonic())
            left = self._measure(self._parts)[limit.signal]
            if left.available >= limit.minimum(left.capacity):
                return
        ranked = eviction.rank(self._uses(limit.signal), limit.signal)
        if not ranked:
            _log.warning("the node is low on %s and no pod may be evicted", resource)
            return
        grace = eviction.HARD_GRACE
        if not limit.hard:
            own = pod_spec.grace_period(ranked[0].pod)
            grace = max(eviction.HARD_GRACE, min(self._parts.config.eviction_max_pod_grace_period, own))
        self._evict(objects.uid(ranked[0].pod), eviction.message(limit, measure, ranked[0]), grace)

    def _uses(self, signal: str) -> list[eviction.Use]:
        shared = self._parts
        by_pod: dict[str, list[runtime.Container]] = {}
        for container in shared.engine.containers(shared.own_labels()):
            by_pod.setdefault(container.labels.get(labels.POD_UID, ""), []).append(container)
        uses: list[eviction.Use] = []
        for pod in self._pods():
            found = by_pod.get(objects.uid(pod), ())
            if signal == eviction.MEMORY:
                uses.append(eviction.Use(pod, self._memory_of(found)))
            elif signal in eviction.DISK_SIGNALS:
                directory = shared.pod_directory(objects.uid(pod))
                used = local_storage.measure(shared.engine, pod, directory, found)
                uses.append(eviction.Use(pod, used.containers, sum(used.volumes.values())))
            else:
                uses.append(eviction.Use(pod, {}))
        return uses

    def _memory_of(self, found: Sequence[runtime.Container]) -> dict[str, int]:
        used: dict[str, int] = {}
        for container in found:
            stats = self._parts.engine.stats(container.id) if container.state is runtime.State.RUNNING else None
            if stats is not None:
                used[container.labels.get(labels.CONTAINER, "")] = stats.memory_working_set
        return used

    # --- images

    def _images_in_use(self) -> set[str]:
        shared = self._parts
        used: set[str] = set()
        for container in shared.engine.containers(shared.own_labels()):
            used |= {container.image, container.image_id}
        return used.union(each.get("image", "") for pod in self._pods() for each in pod_spec.every(pod))

    def _collect_images(self, found: Measures) -> None:
        settings = self._parts.config
        disk = found.get(eviction.IMAGE_DISK) or eviction.Measure(0, 0)
        high, low = settings.image_gc_high_threshold, settings.image_gc_low_threshold
        wanted = image_garbage.wanted_bytes(disk.available, disk.capacity, high, low)
        if not wanted and not settings.image_maximum_gc_age:
            return
        ages = settings.image_minimum_gc_age, settings.image_maximum_gc_age
        freed = self._collector.collect(wanted, time.monotonic(), *ages)
        node = self._parts.node()
        if freed < wanted and node is not None:
            message = (
                f"Failed to garbage collect required amount of images. Attempted to free {wanted} bytes, but only "
                f"found {freed} bytes eligible to free."
            )
            self._parts.recorder.event(node, "Warning", "FreeDiskSpaceFailed", message)


def measures(shared: parts.Parts) -> Measures:
    """All signals of this machine."""
    load = machine.load(shared.config.data_dir)
    found = {
        eviction.MEMORY: eviction.Measure(load.memory_available, shared.memory_capacity),
        eviction.NODE_DISK: eviction.Measure(load.disk_free, load.disk_total),
        eviction.NODE_INODES: eviction.Measure(load.inodes_free, load.inodes_total),
        eviction.PIDS: eviction.Measure(load.processes_limit - load.processes, load.processes_limit),
    }
    root = shared.engine.info().root_dir
    if os.path.isdir(root):
        disk = os.statvfs(root)
        found[eviction.IMAGE_DISK] = eviction.Measure(disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize)
        found[eviction.IMAGE_INODES] = eviction.Measure(disk.f_favail, disk.f_files)
    # A file system that does not count (inodes of btrfs) is never short of anything.
    return {signal: measure for signal, measure in found.items() if measure.capacity > 0}
