"""Placing pods: one thread decides, others carry out.

A cycle takes one pod, filters and scores the nodes and *assumes* the pod onto the best; that takes well under a
millisecond a node and holds the cache's lock. Binding, which asks the API, runs in other threads while the next
pod is being placed. What could not be placed waits in the queue for an event that may help it.
"""

import dataclasses
import logging
import random
import socket
import threading
import time
from collections.abc import Callable
from concurrent import futures

from kubeshim import clock
from kubeshim.client import informer, kinds, leader_election, rest, series_recorder
from kubeshim.control_plane import component_metrics, health
from kubeshim.control_plane.scheduler import cache as caches
from kubeshim.control_plane.scheduler import (
    config as configuration,
)
from kubeshim.control_plane.scheduler import (
    diagnosis,
    event_handlers,
    framework,
    metrics,
    node_info,
    pod_info,
    profile,
    queue,
)
from kubeshim.machinery import errors, objects
from kubeshim.machinery.objects import Object
from kubeshim.wire import exposition

_log = logging.getLogger(__name__)

LEASE = "kube-scheduler"
"""The Lease, and who we say we are: the manager of the fields we write."""
BINDERS = 8
ALWAYS_ENOUGH = 100
"""So many feasible nodes are looked for in any case."""


@dataclasses.dataclass(frozen=True, slots=True)
class Decision:
    """Where a pod goes (``node``), or why nowhere."""

    node: str = ""
    state: framework.CycleState = dataclasses.field(default_factory=dict)
    why: diagnosis.FitError | None = None
    nominated: str | None = ""
    """The node that is kept for it; "" takes an earlier nomination back, None lets it be."""
    begun: float = 0.0
    """When the attempt began (monotonic)."""


class Scheduler:
    def __init__(
        self, client: rest.Client, config: configuration.Config, time_source: clock.Clock = clock.SYSTEM
    ) -> None:
        self._client, self._config, self._clock = client, config, time_source
        self._informers = informer.Factory(client)
        self._metrics = metrics.Metrics(config.scheduler_name)
        self._component = component_metrics.Component(LEASE, config.client.server)
        client.observe = self._component.requested
        instance = f"{config.scheduler_name}-{socket.gethostname()}"
        self._recorder = series_recorder.SeriesRecorder(
            client, config.scheduler_name, instance, time_source=time_source
        )
        self.cache = caches.Cache()
        handle = framework.Handle(
            client, self.cache, self._informers.informer, self._recorder, self._run_filters, self._run_pre_filters,
            self._metrics,
        )  # fmt: skip
        self._framework = framework.Framework(plugin(handle) for plugin in profile.PLUGINS)
        self.queue = queue.SchedulingQueue(self._framework, counted=self._metrics)
        self._pods = self._informers.informer(kinds.PODS, field_selector=event_handlers.PODS_THAT_COUNT)
        event_handlers.EventHandlers(self._informers, self.cache, self.queue, config.scheduler_name)
        self._offset = 0
        self._binders = futures.ThreadPoolExecutor(BINDERS, "bind")
        self._random = random.Random()

    def start(self) -> None:
        """Returns at once; placing begins when the caches are filled."""
        self._component.leads = True
        self._informers.start()
        threading.Thread(target=self._run, name="scheduling", daemon=True).start()

    def metrics(self) -> str:
        return exposition.text(
            self._metrics.lines(self.queue.counts(), self.queue.rejected(), self.cache.sizes()),
            self._component.lines(),
        )

    def stop(self) -> None:
        self.queue.close()
        self._informers.stop()
        self._binders.shutdown(wait=False, cancel_futures=True)
        self._recorder.stop()

    def _run(self) -> None:
        self._informers.wait_for_sync()
        while (info := self.queue.pop()) is not None:
            try:
                self._schedule_one(info)
            except Exception:
                _log.exception("placing %s failed, it will be tried again", info.key)
                self.queue.failed(info)

    def _schedule_one(self, info: pod_info.PodInfo) -> None:
        current = self._pods.get(info.key)
        gone = current is None or objects.uid(current) != info.uid or objects.is_deleting(current)
        if gone or (current or {}).get("spec", {}).get("nodeName") or self.cache.is_assumed(info.uid):
            self.queue.done(info.uid)
            return
        started = time.monotonic()
        with self.cache.lock:
            decision = self._decide(info)
            self._metrics.algorithm.observe(time.monotonic() - started)
            if decision.node:
                self.cache.assume(info, decision.node)
                self.cache.nominations.forget(info.uid)
        if decision.node:
            try:
                self._start_binding(info, dataclasses.replace(decision, begun=started))
            except Exception:  # no thread could be had: nothing may stay promised to a pod that is tried again
                self._take_back(info, decision)
                raise
        else:
            self._metrics.attempted(metrics.UNSCHEDULABLE, time.monotonic() - started)
            self._reject(info, decision)

    def _start_binding(self, info: pod_info.PodInfo, decision: Decision) -> None:
        if any("persistentVolumeClaim" in one or "ephemeral" in one for one in info.spec.get("volumes") or ()):
            # May wait minutes for a volume: that must not keep others from being bound.
            threading.Thread(target=self._bind, args=(info, decision), name="bind-volumes", daemon=True).start()
        else:
            self._binders.submit(self._bind, info, decision)

    # deciding; the cache's lock is held

    def _decide(self, info: pod_info.PodInfo) -> Decision:
        nodes = self.cache.nodes()
        why = diagnosis.FitError(len(nodes))
        if not nodes:
            return Decision(why=why)
        state: framework.CycleState = {}
        with self._metrics.at("PreFilter") as told:
            found = self._framework.pre_filter(state, info, nodes)
            told += [found.code.value] if isinstance(found, framework.Status) else []
        if isinstance(found, framework.Status):
            why.pre_filter = found.message
            why.plugins.add(found.plugin)
            why.statuses = {node.name: found for node in nodes}
            return self._make_room(info, state, why, nodes)
        eligible = nodes
        if found is not None:
            eligible = [node for node in nodes if node.name in found.nodes]
            why.absent = "node(s) didn't satisfy plugin(s) [NodeAffinity]"
        with self._metrics.at("Filter") as told:
            feasible = self._feasible(info, state, eligible, why)
            told += [] if feasible else [framework.Code.UNSCHEDULABLE.value]
        if not feasible:
            if found is not None and not eligible:
                why.plugins.add("NodeAffinity")
            return self._make_room(info, state, why, nodes)
        best = feasible[0].name if len(feasible) == 1 else self._best(info, state, feasible)
        refusal = self._framework.reserve(state, info, best) or self._framework.permit(state, info, best)
        if refusal is not None:
            self._framework.unreserve(state, info, best)
            why = diagnosis.FitError(1, {best: refusal}, plugins={refusal.plugin})
            return Decision(why=why)
        return Decision(best, state)

    def _feasible(
        self,
        info: pod_info.PodInfo,
        state: framework.CycleState,
        nodes: list[node_info.NodeInfo],
        why: diagnosis.FitError,
    ) -> list[node_info.NodeInfo]:
        """Nodes that pass all filters; in large clusters not all are looked at, starting where we stopped."""
        if wanted := self.cache.nominations.node_of(info.uid) or info.nominated:
            first = [node for node in nodes if node.name == wanted]
            if first and self._filter(info, state, first[0], nodes) is None:
                return first
        enough = enough_nodes(len(nodes), self._config.percentage_of_nodes_to_score)
        start = self._offset % len(nodes) if nodes else 0
        feasible: list[node_info.NodeInfo] = []
        for looked, node in enumerate(nodes[start:] + nodes[:start], 1):
            self._offset = start + looked
            status = self._filter(info, state, node, nodes)
            if status is None:
                feasible.append(node)
                if len(feasible) >= enough:
                    break
            else:
                why.statuses[node.name] = status
                why.plugins.add(status.plugin)
        return feasible

    def _filter(
        self,
        info: pod_info.PodInfo,
        state: framework.CycleState,
        node: node_info.NodeInfo,
        nodes: framework.Nodes,
    ) -> framework.Status | None:
        """Filters with the pods that are nominated to the node counted in, then as it is."""
        expected = [
            other
            for other in self.cache.nominations.on(node.name)
            if other.uid != info.uid and other.priority >= info.priority and other.uid not in node.pods
        ]
        if expected:
            trial = node.copy()
            for other in expected:
                trial.add(other)
            fresh: framework.CycleState = {}
            found = self._framework.pre_filter(fresh, info, [trial if one is node else one for one in nodes])
            if isinstance(found, framework.Status):
                return found
            status = self._framework.filter(fresh, info, trial)
            if status is not None:
                return status
        return self._framework.filter(state, info, node)

    def _best(self, info: pod_info.PodInfo, state: framework.CycleState, nodes: list[node_info.NodeInfo]) -> str:
        with self._metrics.at("Score"):
            scores = self._framework.score(state, info, nodes)
        most = max(scores.values())
        return self._random.choice([name for name, score in scores.items() if score == most])

    def _make_room(
        self,
        info: pod_info.PodInfo,
        state: framework.CycleState,
        why: diagnosis.FitError,
        nodes: list[node_info.NodeInfo],
    ) -> Decision:
        with self._metrics.at("PostFilter") as told:
            nominated, why.post_filter = self._framework.post_filter(state, info, why.statuses, nodes)
            told += [] if nominated else [framework.Code.UNSCHEDULABLE.value]
        return Decision(why=why, nominated=nominated)

    def _run_filters(
        self,
        state: framework.CycleState,
        info: pod_info.PodInfo,
        node: node_info.NodeInfo,
        nodes: framework.Nodes,
    ) -> framework.Status | None:
        return self._filter(info, state, node, nodes)

    def _run_pre_filters(
        self, state: framework.CycleState, info: pod_info.PodInfo, nodes: framework.Nodes
    ) -> framework.Status | framework.PreFilterResult | None:
        return self._framework.pre_filter(state, info, nodes)

    # carrying out; in other threads

    def _bind(self, info: pod_info.PodInfo, decision: Decision) -> None:
        try:
            if self._framework.takes_time(decision.state, info, decision.node):
                self._write(info, nomination_patch(self._current(info) or info.pod, decision.node))
            with self._metrics.at("Bind"):
                refusal = self._framework.bind(decision.state, info, decision.node)
        except errors.NotFound:
            _log.info("pod %s was deleted before it could be bound", info.key)
            self._take_back(info, decision)
            self.queue.done(info.uid)
            return
        except Exception as error:
            _log.info("binding %s to %s failed: %s", info.key, decision.node, error)
            refusal = framework.error(str(error))
        if refusal is not None:
            self._metrics.attempted(metrics.ERROR, time.monotonic() - decision.begun)
            self._take_back(info, decision)
            if self._current(info) is None:
                _log.info("pod %s is gone", info.key)
                self.queue.done(info.uid)
                return
            self._tell_failure(info, refusal.message, "SchedulerError", "")
            self._back(info, self.queue.failed)
            return
        self.queue.done(info.uid)
        now = time.monotonic()
        self._metrics.attempted(metrics.SCHEDULED, now - decision.begun)
        self._metrics.placed(info.attempts, now - info.tried_since)
        text = f"Successfully assigned {info.key} to {decision.node}"
        self._recorder.event(info.pod, "Normal", "Scheduled", "Binding", text)

    def _take_back(self, info: pod_info.PodInfo, decision: Decision) -> None:
        with self.cache.lock:
            self._framework.unreserve(decision.state, info, decision.node)
            self.cache.forget(info.uid)
        # What the pod had taken is free again.
        self.queue.tell(framework.Event("AssignedPod/Delete", info.pod, None))

    def _reject(self, info: pod_info.PodInfo, decision: Decision) -> None:
        why = decision.why
        assert why is not None
        message = why.message()
        if decision.nominated is not None:
            with self.cache.lock:
                self.cache.nominations.put(info, decision.nominated)
        self._binders.submit(self._put_off, info, message, decision.nominated, frozenset(why.plugins))

    def _put_off(
        self, info: pod_info.PodInfo, message: str, nominated: str | None, rejected_by: frozenset[str]
    ) -> None:
        """The pod comes back to the queue when it is written why it waits: what a next attempt writes, or its binding,
        is never overtaken by the words of this one."""
        try:
            self._tell_failure(info, message, "Unschedulable", nominated)
        finally:
            self._back(info, lambda latest: self.queue.unschedulable(latest, rejected_by))

    def _current(self, info: pod_info.PodInfo) -> Object | None:
        """The pod itself as the cache has it, not a later one of its name."""
        current = self._pods.get(info.key)
        return current if current is not None and objects.uid(current) == info.uid else None

    def _back(self, info: pod_info.PodInfo, put: Callable[[pod_info.PodInfo], None]) -> None:
        """The pod as it is by now goes back to the queue by ``put``, unless it waits no more."""
        current = self._current(info)
        if current is None or current["spec"].get("nodeName"):
            self.queue.done(info.uid)
            return
        latest = pod_info.of(current)
        latest.take_over(info)
        put(latest)
        current = self._current(info)
        if current is None or current["spec"].get("nodeName"):  # who told the queue so has found nothing in it yet
            self.queue.delete(info.uid)

    def _tell_failure(self, info: pod_info.PodInfo, message: str, reason: str, nominated: str | None) -> None:
        self._recorder.event(info.pod, "Warning", "FailedScheduling", "Scheduling", diagnosis.shortened(message))
        current = self._current(info)
        if current is not None and not current["spec"].get("nodeName"):
            now = clock.rfc3339(self._clock.now())
            self._write(info, failure_patch(current, reason, message, nominated, now))

    def _write(self, info: pod_info.PodInfo, patch: Object | None) -> None:
        if patch is None:
            return
        try:
            self._client.patch(
                kinds.PODS, objects.name(info.pod), patch, info.namespace, kind="strategic", subresource="status"
            )
        except errors.NotFound:
            _log.debug("pod %s is gone", info.key)
        except (errors.APIStatusError, OSError) as error:
            _log.info("cannot write the status of %s: %s", info.key, error)


def failure_patch(pod: Object, reason: str, message: str, nominated: str | None, moment: str) -> Object | None:
    """The status patch that says why; None if the status says so already. Pure."""
    old = objects.condition(pod, "PodScheduled") or {}
    wanted = {
        "type": "PodScheduled",
        "status": "False",
        "reason": reason,
        "message": message,
        **objects.observed_generation(pod),
    }
    status: Object = {} if nominated is None else _nomination(pod, nominated)
    if any(old.get(field) != value for field, value in wanted.items()):
        changed_at = old.get("lastTransitionTime", moment) if old.get("status") == "False" else moment
        status["conditions"] = [{**wanted, "lastProbeTime": None, "lastTransitionTime": changed_at}]
    return {"metadata": {"uid": objects.uid(pod)}, "status": status} if status else None


def nomination_patch(pod: Object, node: str) -> Object | None:
    """The status patch that says which node is kept for the pod; None if the status says so already. Pure."""
    status = _nomination(pod, node)
    return {"metadata": {"uid": objects.uid(pod)}, "status": status} if status else None


def _nomination(pod: Object, node: str) -> Object:
    before = str(objects.dig(pod, "status", "nominatedNodeName", default=""))
    return {} if before == node else {"nominatedNodeName": node or None}


def enough_nodes(count: int, percentage: int) -> int:
    """How many feasible nodes are looked for in a cluster of ``count``."""
    if count <= ALWAYS_ENOUGH or percentage >= 100:
        return count
    share = percentage or max(5, 50 - count // 125)
    return max(ALWAYS_ENOUGH, count * share // 100)


def run(config: configuration.Config, stop: threading.Event | None = None) -> bool:
    """Runs until ``stop`` is set; False if it returned because leadership was lost (then end the process)."""
    stop = stop or threading.Event()
    client = rest.Client(config.client, user_agent=LEASE)
    scheduler = Scheduler(client, config)
    with health.serve(config.health_address, {"ping": lambda: True}, scheduler.metrics):
        try:
            if not config.leader_elect:
                scheduler.start()
                stop.wait()
                return True
            elector = leader_election.LeaderElector(
                client, LEASE, config.identity, config.lease_duration, config.renew_deadline, config.retry_period
            )
            elector.run(scheduler.start, stop)
            return stop.is_set()
        finally:
            scheduler.stop()
            client.close()
