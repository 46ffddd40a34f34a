"""Deletes pods that nothing else will: of nodes that are gone, terminating on nodes that are said to be out of
service, terminating before they had a node, and the oldest of those that ended, beyond a threshold.
"""

import logging

from kubeshim import clock
from kubeshim.client import kinds
from kubeshim.control_plane.controller_manager import conditions, controller, indexes, pods
from kubeshim.machinery import errors, objects
from kubeshim.machinery.objects import Object

_log = logging.getLogger(__name__)

QUARANTINE = 40.0
"""Seconds a node must have been gone: one that is made anew under its name keeps its pods."""
TERMINATED = "terminated"
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
BREATH = 5.0


class PodGCController(controller.Controller):
    """Queue keys are ``pod/NS/NAME``, ``node/NAME`` and ``terminated``."""

    name = "pod-garbage-collector"
    component = "pod-garbage-collector-controller"
    workers = 1

    def register(self) -> None:
        self._nodes = self.informer(kinds.NODES)
        self._nodes.add_handler(
            added=self._node_changed, updated=lambda _, new: self._node_changed(new), deleted=self._node_deleted
        )
        self._pods = indexes.by_node(self.informer(kinds.PODS))
        self._pods.add_handler(added=self._pod_changed, updated=lambda _, new: self._pod_changed(new))

    def _node_changed(self, node: Object) -> None:
        if is_out_of_service(node):
            self.queue.add(f"node/{objects.name(node)}")

    def _node_deleted(self, node: Object) -> None:
        self.queue.add_after(f"node/{objects.name(node)}", QUARANTINE)

    def _pod_changed(self, pod: Object) -> None:
        node = pod["spec"].get("nodeName")
        if objects.is_deleting(pod) and not node:
            self.queue.add(f"pod/{objects.key(pod)}")
        elif node and objects.is_deleting(pod) and is_out_of_service(self._nodes.get(node) or {}):
            self.queue.add(f"node/{node}")
        elif node and self._nodes.get(node) is None:
            self.queue.add_after(f"node/{node}", QUARANTINE)
        if pods.is_finished(pod) and self.context.options.terminated_pod_gc_threshold > 0:
            self.queue.add_after(TERMINATED, BREATH)

    def sync(self, key: str) -> None:
        kind, _, rest = key.partition("/")
        if key == TERMINATED:
            self._trim()
        elif kind == "pod":
            pod = self._pods.get(rest)
            if pod is not None and objects.is_deleting(pod) and not pod["spec"].get("nodeName"):
                self._delete(pod, "unscheduled", None)
        else:
            self._sweep(rest)

    def _sweep(self, node: str) -> None:
        present = self._nodes.get(node)
        if present is not None and is_out_of_service(present):
            for pod in self._pods.by_index("node", node):
                if objects.is_deleting(pod):
                    self._delete(pod, "out-of-service", None)
        if present is not None or not self._pods.by_index("node", node):
            return
        try:
            self.client.get(kinds.NODES, node)
            return
        except errors.NotFound:
            _log.info("node %s is gone, its pods are deleted", node)
        for pod in self._pods.by_index("node", node):
            self._delete(pod, "orphaned", ("DeletionByPodGC", "PodGC: node no longer exists"))

    def _trim(self) -> None:
        ended = [pod for pod in self._pods.list() if pods.is_finished(pod) and not objects.is_deleting(pod)]
        surplus = len(ended) - self.context.options.terminated_pod_gc_threshold
        ended.sort(key=in_the_way)
        for pod in ended[: max(0, surplus)]:
            self._delete(pod, TERMINATED, None)

    def _delete(self, pod: Object, kind: str, why: tuple[str, str] | None) -> None:
        """``kind`` is for the metrics."""
        name, namespace = objects.name(pod), objects.namespace(pod)
        try:
            if not pods.is_finished(pod):
                # No kubelet will do it, and whoever counts its pods must see that this one has failed.
                patch = {"metadata": {"uid": objects.uid(pod)}, "status": self._failed(pod, why)}
                self.client.patch(kinds.PODS, name, patch, namespace, kind="strategic", subresource="status")
            options = {"gracePeriodSeconds": 0, "preconditions": {"uid": objects.uid(pod)}}
            self.client.delete(kinds.PODS, name, namespace, options=options)
            self.metrics.pods_collected.add(namespace, kind)
        except errors.NotFound:
            _log.debug("pod %s/%s is gone already", namespace, name)
        except Exception:
            self.metrics.pods_not_collected.add(namespace, kind)
            raise

    def _failed(self, pod: Object, why: tuple[str, str] | None) -> Object:
        if why is None:
            return {"phase": "Failed"}
        fresh = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": why[0],
            "message": why[1],
            "lastTransitionTime": clock.rfc3339(self.clock.now()),
            **objects.observed_generation(pod),
        }
        # This one alone: what the cache has of the others may be old.
        return {"phase": "Failed", "conditions": [conditions.following(objects.condition(pod, fresh["type"]), fresh)]}


def in_the_way(pod: Object) -> tuple[bool, str]:
    """Which of the ended pods goes first: those the kubelet evicted, then the oldest. Pure."""
    evicted = objects.dig(pod, "status", "reason") == "Evicted"
    return not evicted, str(objects.dig(pod, "metadata", "creationTimestamp", default=""))


def is_out_of_service(node: Object) -> bool:
    """Whether somebody has said that the node is down for good, and it is not ready. Pure."""
    taints = objects.dig(node, "spec", "taints", default=())
    ready = (objects.condition(node, "Ready") or {}).get("status") == "True"
    return not ready and any(taint["key"] == OUT_OF_SERVICE for taint in taints)
