"""Evicts pods from nodes with ``NoExecute`` taints that they do not tolerate, or not for ever.

The queue's timers are the clocks of ``tolerationSeconds``. A deadline counts from the moment the taint was
added, where the taint tells it, or the pod was placed, whichever is later, so that a restart of ours does not start it
again; else from when it was first seen to concern the pod.
"""

import datetime
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from kubeshim import clock
from kubeshim.client import kinds
from kubeshim.control_plane.controller_manager import conditions, controller, indexes
from kubeshim.machinery import errors, node_selection, objects
from kubeshim.machinery.objects import Object

_log = logging.getLogger(__name__)


class TaintEvictionController(controller.Controller):
    name = "taint-eviction"
    component = "taint-eviction-controller"
    workers = 4

    def register(self) -> None:
        self._pods = indexes.by_node(self.informer(kinds.PODS))
        self._pods.add_handler(added=self._pod_changed, updated=lambda _, new: self._pod_changed(new))
        self._nodes = self.informer(kinds.NODES)
        self._nodes.add_handler(added=self._node_changed, updated=self._node_updated)
        self._marked: dict[str, datetime.datetime] = {}
        """Pods that will have to go, and since when."""

    def _pod_changed(self, pod: Object) -> None:
        node = self._nodes.get(pod["spec"].get("nodeName") or "")
        if node is not None and no_execute(node):
            self.enqueue(pod)

    def _node_changed(self, node: Object) -> None:
        if no_execute(node):
            self._enqueue_pods(node)

    def _node_updated(self, old: Object, new: Object) -> None:
        if no_execute(old) != no_execute(new):
            self._enqueue_pods(new)

    def _enqueue_pods(self, node: Object) -> None:
        for pod in self._pods.by_index("node", objects.name(node)):
            self.enqueue(pod)

    def sync(self, key: str) -> float | None:
        pod = self._pods.get(key)
        node = self._nodes.get(objects.dig(pod, "spec", "nodeName", default="")) if pod else None
        if pod is None or node is None or objects.is_deleting(pod):
            self._marked.pop(key, None)
            return None
        taints = no_execute(node)
        now = self.clock.now()
        since = self._marked.get(key, now)
        wait = evicted_in(taints, pod["spec"].get("tolerations") or (), now, since, placed_at(pod)) if taints else None
        if wait is None:
            if key in self._marked:
                del self._marked[key]
                text = f"Cancelling deletion of Pod {key}"
                self.recorder.event(pod, "Normal", "TaintManagerEviction", text)
            return None
        if wait > 0:
            self._marked[key] = since
            return wait
        self._marked.pop(key, None)
        self.recorder.event(pod, "Normal", "TaintManagerEviction", f"Marking for deletion Pod {key}")
        self._evict(pod, now)
        self.metrics.eviction_delay.observe((self.clock.now() - now).total_seconds() - wait)
        return None

    def _evict(self, pod: Object, now: datetime.datetime) -> None:
        name, namespace = objects.name(pod), objects.namespace(pod)
        fresh = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "DeletionByTaintManager",
            "message": "Taint manager: deleting due to NoExecute taint",
            "lastTransitionTime": clock.rfc3339(now),
            **objects.observed_generation(pod),
        }
        try:
            # This one alone: what the cache has of the others may be old.
            told = conditions.following(objects.condition(pod, fresh["type"]), fresh)
            patch = {"metadata": {"uid": objects.uid(pod)}, "status": {"conditions": [told]}}
            self.client.patch(kinds.PODS, name, patch, namespace, kind="strategic", subresource="status")
            self.client.delete(kinds.PODS, name, namespace, options={"preconditions": {"uid": objects.uid(pod)}})
            self.metrics.pods_evicted.add()
        except errors.NotFound:
            _log.debug("pod %s/%s is gone already", namespace, name)


def placed_at(pod: Object) -> datetime.datetime | None:
    """When the pod was given its node. Pure."""
    scheduled = objects.condition(pod, "PodScheduled") or {}
    text = scheduled.get("lastTransitionTime") or objects.dig(pod, "metadata", "creationTimestamp")
    return clock.parse_rfc3339(text) if text else None


def no_execute(node: Object) -> list[dict[str, Any]]:
    return [taint for taint in node.get("spec", {}).get("taints") or () if taint.get("effect") == "NoExecute"]


def evicted_in(
    taints: Sequence[Mapping[str, Any]],
    tolerations: Sequence[Mapping[str, Any]],
    now: datetime.datetime,
    since: datetime.datetime,
    placed: datetime.datetime | None = None,
) -> float | None:
    """Seconds until a pod must go; 0 or less: now; None: it may stay. ``since``: for taints that do not say. Pure."""
    waits: list[float] = []
    for taint in taints:
        matching = [toleration for toleration in tolerations if node_selection.tolerates(toleration, taint)]
        if not matching:
            return 0.0
        limits = [float(one["tolerationSeconds"]) for one in matching if one.get("tolerationSeconds") is not None]
        if limits:
            added = taint.get("timeAdded")
            start = clock.parse_rfc3339(added) if added else since
            elapsed = (now - (max(start, placed) if placed else start)).total_seconds()
            waits.append(max(0.0, min(limits)) - max(0.0, elapsed))
    return min(waits) if waits else None
