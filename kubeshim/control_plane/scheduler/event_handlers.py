"""From informers to the cache and the queue: what happened, and whom it may help."""

from collections.abc import Callable

from kubeshim.client import informer, kinds
from kubeshim.control_plane.scheduler import cache as caches
from kubeshim.control_plane.scheduler import framework, pod_info, queue
from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object
from kubeshim.machinery.resources import GroupVersionResource

PODS_THAT_COUNT = "status.phase!=Succeeded,status.phase!=Failed"
"""Pods that ended take no room; the server does not even send them."""


class EventHandlers:
    def __init__(
        self, informers: informer.Factory, cache: caches.Cache, waiting: queue.SchedulingQueue, scheduler_name: str
    ) -> None:
        self._cache, self._queue, self._name = cache, waiting, scheduler_name
        pods = informers.informer(kinds.PODS, field_selector=PODS_THAT_COUNT)
        nodes = informers.informer(kinds.NODES)
        namespaces = informers.informer(kinds.NAMESPACES)
        # Nodes first: a pod that is bound to an unknown node would wait in a nameless place.
        nodes.add_handler(added=self._node_added, updated=self._node_updated, deleted=self._node_deleted)
        namespaces.add_handler(
            added=self._namespace, updated=lambda _, new: self._namespace(new), deleted=self._namespace_deleted
        )
        pods.add_handler(added=self._pod_added, updated=self._pod_updated, deleted=self._pod_deleted)
        for gvr, kind in _OTHERS.items():
            informers.informer(gvr).add_handler(
                added=self._teller(f"{kind}/Add"),
                updated=self._update_teller(f"{kind}/Update"),
                deleted=self._teller(f"{kind}/Delete"),
            )

    def _teller(self, kind: str) -> Callable[[Object], None]:
        return lambda obj: self._queue.tell(framework.Event(kind, None, obj))

    def _update_teller(self, kind: str) -> Callable[[Object, Object], None]:
        return lambda old, new: self._queue.tell(framework.Event(kind, old, new))

    def _node_added(self, node: Object) -> None:
        self._cache.set_node(node)
        self._queue.tell(framework.Event("Node/Add", None, node))

    def _node_updated(self, old: Object, new: Object) -> None:
        self._cache.set_node(new)
        for kind in node_changes(old, new):
            self._queue.tell(framework.Event(kind, old, new))

    def _node_deleted(self, node: Object) -> None:
        self._cache.remove_node(objects.name(node))
        self._queue.tell(framework.Event("Node/Delete", node, None))

    def _namespace(self, namespace: Object) -> None:
        with self._cache.lock:
            self._cache.namespace_labels[objects.name(namespace)] = objects.labels(namespace)

    def _namespace_deleted(self, namespace: Object) -> None:
        with self._cache.lock:
            self._cache.namespace_labels.pop(objects.name(namespace), None)

    def _is_ours(self, pod: Object) -> bool:
        return (pod["spec"].get("schedulerName") or "default-scheduler") == self._name

    def _pod_added(self, pod: Object) -> None:
        node = pod["spec"].get("nodeName")
        if node:
            self._cache.set_pod(pod_info.of(pod), node)
            self._forget_nomination(pod)
            self._queue.delete(objects.uid(pod))
            self._queue.tell(framework.Event("AssignedPod/Add", None, pod))
        elif self._is_ours(pod) and not objects.is_deleting(pod):
            info = pod_info.of(pod)
            with self._cache.lock:
                self._cache.nominations.told("", info)
            self._queue.add(info)

    def _pod_updated(self, old: Object, new: Object) -> None:
        if not old["spec"].get("nodeName") and new["spec"].get("nodeName"):
            self._pod_added(new)
        elif new["spec"].get("nodeName"):
            self._cache.set_pod(pod_info.of(new), new["spec"]["nodeName"])
            if objects.labels(old) != objects.labels(new) or old["spec"] != new["spec"]:
                self._queue.tell(framework.Event("AssignedPod/Update", old, new))
        elif objects.is_deleting(new):
            self._forget_nomination(new)
            self._queue.delete(objects.uid(new))
        elif self._is_ours(new) and not self._cache.is_assumed(objects.uid(new)):
            changed = old["spec"] != new["spec"] or objects.labels(old) != objects.labels(new)
            info = pod_info.of(new)
            with self._cache.lock:
                self._cache.nominations.told(str(objects.dig(old, "status", "nominatedNodeName", default="")), info)
            self._queue.update(info, worth_a_try=changed)

    def _forget_nomination(self, pod: Object) -> None:
        with self._cache.lock:
            self._cache.nominations.forget(objects.uid(pod))

    def _pod_deleted(self, pod: Object) -> None:
        self._forget_nomination(pod)
        self._queue.delete(objects.uid(pod))
        self._cache.remove_pod(objects.uid(pod))
        # Also a pod that was only nominated or assumed may have kept others away.
        self._queue.tell(framework.Event("AssignedPod/Delete", pod, None))


_OTHERS: dict[GroupVersionResource, str] = {
    kinds.PERSISTENT_VOLUME_CLAIMS: "PersistentVolumeClaim",
    kinds.PERSISTENT_VOLUMES: "PersistentVolume",
    kinds.STORAGE_CLASSES: "StorageClass",
    kinds.CSI_NODES: "CSINode",
    kinds.VOLUME_ATTACHMENTS: "VolumeAttachment",
}


def node_changes(old: Object, new: Object) -> list[str]:
    """What about the node changed that may matter; a heartbeat is nothing. Pure."""
    found = []
    if objects.dig(old, "status", "allocatable") != objects.dig(new, "status", "allocatable"):
        found.append("Node/Allocatable")
    if objects.labels(old) != objects.labels(new):
        found.append("Node/Label")
    before, after = old.get("spec") or {}, new.get("spec") or {}
    if before.get("taints") != after.get("taints") or before.get("unschedulable") != after.get("unschedulable"):
        found.append("Node/Taint")
    return found
