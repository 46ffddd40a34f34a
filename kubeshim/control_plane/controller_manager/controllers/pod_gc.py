"""Deletes pods that nothing else will: of nodes that are gone, terminating before they had a node, and the oldest of
those that ended, beyond a threshold.
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
BREATH = 5.0


class PodGCController(controller.Controller):
    """Queue keys are ``pod/NS/NAME``, ``node/NAME`` and ``terminated``."""

    name = "pod-garbage-collector"
    component = "pod-garbage-collector-controller"
    workers = 1

    def register(self) -> None:
        self._nodes = self.informer(kinds.NODES)
        self._nodes.add_handler(deleted=self._node_deleted)
        self._pods = indexes.by_node(self.informer(kinds.PODS))
        self._pods.add_handler(added=self._pod_changed, updated=lambda _, new: self._pod_changed(new))

    def _node_deleted(self, node: Object) -> None:
        self.queue.add_after(f"node/{objects.name(node)}", QUARANTINE)

    def _pod_changed(self, pod: Object) -> None:
        node = pod["spec"].get("nodeName")
        if objects.is_deleting(pod) and not node:
            self.queue.add(f"pod/{objects.key(pod)}")
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
                self._delete(pod, None)
        else:
            self._sweep(rest)

    def _sweep(self, node: str) -> None:
        if self._nodes.get(node) is not None or not self._pods.by_index("node", node):
            return
        try:
            self.client.get(kinds.NODES, node)
            return
        except errors.NotFound:
            _log.info("node %s is gone, its pods are deleted", node)
        for pod in self._pods.by_index("node", node):
            self._delete(pod, ("DeletionByPodGC", "PodGC: node no longer exists"))

    def _trim(self) -> None:
        ended = [pod for pod in self._pods.list() if pods.is_finished(pod) and not objects.is_deleting(pod)]
        surplus = len(ended) - self.context.options.terminated_pod_gc_threshold
        ended.sort(key=lambda pod: str(objects.dig(pod, "metadata", "creationTimestamp", default="")))
        for pod in ended[: max(0, surplus)]:
            self._delete(pod, None)

    def _delete(self, pod: Object, why: tuple[str, str] | None) -> None:
        name, namespace = objects.name(pod), objects.namespace(pod)
        try:
            if why is not None and not pods.is_finished(pod):
                fresh = {
                    "type": "DisruptionTarget",
                    "status": "True",
                    "reason": why[0],
                    "message": why[1],
                    "lastTransitionTime": clock.rfc3339(self.clock.now()),
                }
                listed = conditions.put(objects.dig(pod, "status", "conditions", default=()), fresh)
                patch = {"status": {"phase": "Failed", "conditions": listed}}
                self.client.patch(kinds.PODS, name, patch, namespace, kind="strategic", subresource="status")
            options = {"gracePeriodSeconds": 0, "preconditions": {"uid": objects.uid(pod)}}
            self.client.delete(kinds.PODS, name, namespace, options=options)
        except errors.NotFound:
            _log.debug("pod %s/%s is gone already", namespace, name)
