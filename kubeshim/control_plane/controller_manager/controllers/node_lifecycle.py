"""Nodes that fall silent: conditions Unknown, taints, pods marked not ready.

A node's Lease (or status) must change within the grace period. Nothing polls: each node has one timer in the
queue, set to the moment it would be lost, and set anew when it rings and the node is alive. Who evicts pods is
the taint eviction controller; here nodes only get the ``NoExecute`` taint, zone by zone, at most so many a
second. If every node is lost, none is tainted: then it is us who cannot see.
"""

import dataclasses
import logging
import threading
from collections.abc import Iterable

from kubeshim import clock
from kubeshim.client import kinds, workqueue
from kubeshim.control_plane.controller_manager import conditions, controller, indexes, inventory, node_health
from kubeshim.machinery import errors, objects
from kubeshim.machinery.objects import Object

_log = logging.getLogger(__name__)

LEASES_NAMESPACE = "kube-node-lease"


class NodeLifecycleController(controller.Controller):
    name = "node-lifecycle"
    component = "node-controller"
    workers = 4

    def register(self) -> None:
        self._nodes = self.watch(kinds.NODES)
        self._leases = self.context.informers.informer(kinds.LEASES, namespace=LEASES_NAMESPACE)
        self._informers.append(self._leases)
        self._leases.add_handler(added=self._renewed, updated=lambda _, new: self._renewed(new))
        self._pods = indexes.by_node(self.informer(kinds.PODS))
        self._pods.add_handler(updated=self._pod_updated)
        self._lock = threading.Lock()
        self._signs: dict[str, node_health.Signs] = {}
        self._known: set[str] = set()
        self._buckets: dict[str, tuple[float, workqueue.Bucket]] = {}

    def _renewed(self, lease: Object) -> None:
        name = objects.name(lease)
        with self._lock:
            node = self._nodes.get(name)
            if node is None:
                return
            self._signs[name] = node_health.signs(node, lease, self._signs.get(name), self.clock.monotonic())
        if (objects.condition(node, "Ready") or {}).get("status") == "Unknown":
            self.queue.add(name)

    def _pod_updated(self, old: Object, new: Object) -> None:
        """A pod bound to a node that is lost already must be marked too."""
        if old["spec"].get("nodeName") != new["spec"].get("nodeName"):
            node = self._nodes.get(new["spec"].get("nodeName") or "")
            if node is not None and (objects.condition(node, "Ready") or {}).get("status") == "Unknown":
                self.enqueue(node)

    def sync(self, key: str) -> float | None:
        node = self._nodes.get(key)
        if node is None:
            self._forget(key)
            return None
        self._greet(node)
        silence, grace = self._silence(node)
        wait: float | None
        if silence > grace and self._renewed_unseen(node):
            silence = 0.0
        wait = grace - silence
        if silence > grace:
            node = self._mark_lost(node)
            wait = None
        retry = self._taint(node)
        # A kubelet that says itself that it is not ready goes on to say what its pods are.
        if (objects.condition(node, "Ready") or {}).get("status") == "Unknown":
            self._mark_pods(node)
        self._label(node)
        if retry is not None:
            return retry
        return wait + 0.05 if wait is not None else None

    def _label(self, node: Object) -> None:
        labels = node_health.missing_labels(node)
        if labels:
            try:
                self.client.patch(kinds.NODES, objects.name(node), {"metadata": {"labels": labels}})
            except errors.NotFound:
                _log.debug("node %s is gone", objects.name(node))

    def _greet(self, node: Object) -> None:
        name = objects.name(node)
        if name not in self._known:
            self._known.add(name)
            text = f"Node {name} event: Registered Node {name} in Controller"
            self.recorder.event(_reference(node), "Normal", "RegisteredNode", text)

    def _forget(self, name: str) -> None:
        if name in self._known:
            self._known.discard(name)
            text = f"Node {name} event: Removing Node {name} from Controller"
            gone = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "uid": name}}
            self.recorder.event(gone, "Normal", "RemovingNode", text)
        with self._lock:
            self._signs.pop(name, None)

    def _silence(self, node: Object) -> tuple[float, float]:
        """Seconds since the last sign of life, and how many are allowed."""
        name, now = objects.name(node), self.clock.monotonic()
        with self._lock:
            lease = self._leases.get(f"{LEASES_NAMESPACE}/{name}")
            found = self._signs[name] = node_health.signs(node, lease, self._signs.get(name), now)
        options = self.context.options
        reported = objects.condition(node, "Ready") is not None
        return now - found.seen, options.node_monitor_grace_period if reported else options.node_startup_grace_period

    def _renewed_unseen(self, node: Object) -> bool:
        """Whether the server knows of a sign of life that our watch has not brought: then it is us who are slow."""
        name = objects.name(node)
        try:
            lease = self.client.get(kinds.LEASES, name, LEASES_NAMESPACE)
        except errors.NotFound:
            return False
        with self._lock:
            before = self._signs[name]
            if node_health.signs(node, lease, before, 0.0) is before:
                return False
            # What was seen stays what it was, so that the watch's word counts once more when it comes.
            self._signs[name] = dataclasses.replace(before, seen=self.clock.monotonic())
        return True

    def _mark_lost(self, node: Object) -> Object:
        changed = node_health.mark_unknown(node, self.clock.now())
        if changed is None:
            return node
        name = objects.name(node)
        was_ready = (objects.condition(node, "Ready") or {}).get("status") == "True"
        status = {**(node.get("status") or {}), "conditions": changed}
        node = self.client.update(kinds.NODES, {**node, "status": status}, subresource="status")
        if was_ready:
            text = f"Node {name} status is now: NodeNotReady"
            self.recorder.event(_reference(node), "Normal", "NodeNotReady", text)
        return node

    def _taint(self, node: Object) -> float | None:
        """Brings the node's taints in order; a number is when to come back because evictions are rationed."""
        wanted = node_health.no_execute_taint(node)
        present = {taint["key"] for taint in node["spec"].get("taints") or () if taint["effect"] == "NoExecute"}
        retry, taken = None, False
        zones = self._zones()
        if zones and all(state == "FullDisruption" for state, _ in zones.values()):
            wanted = None
        elif wanted is not None and wanted not in present and not present & _LOST:
            retry = self._ration(node, zones)
            taken = retry is None
            if retry is not None:
                wanted = None
        now = self.clock.now()
        taints = node_health.with_taints(node, node_health.no_schedule_taints(node), wanted, now)
        if taints != (node["spec"].get("taints") or []):
            patch = {
                "metadata": {"resourceVersion": objects.resource_version(node)},
                "spec": {"taints": taints or None},
            }
            try:
                self.client.patch(kinds.NODES, objects.name(node), patch, kind="merge")
            except errors.NotFound:
                _log.debug("node %s is gone", objects.name(node))
            except (errors.APIStatusError, OSError):
                if taken:
                    self._give_back(node)  # the next attempt, a moment later, must not wait for another
                raise
            else:
                if taken:
                    self.metrics.nodes_evicted.add(node_health.zone_of(node))
        return retry

    def _zones(self) -> dict[str, tuple[node_health.ZoneState, int]]:
        threshold = self.context.options.unhealthy_zone_threshold
        zones = self._by_zone()
        return {zone: (node_health.zone_state(nodes, threshold), len(nodes)) for zone, nodes in zones.items()}

    def _by_zone(self) -> dict[str, list[Object]]:
        zones: dict[str, list[Object]] = {}
        for node in self._nodes.list():
            zones.setdefault(node_health.zone_of(node), []).append(node)
        return zones

    def figures(self) -> Iterable[str]:
        return inventory.nodes(self._by_zone())

    def _ration(self, node: Object, zones: dict[str, tuple[node_health.ZoneState, int]]) -> float | None:
        """Takes a token of the node's zone; else the seconds until there may be one."""
        zone = node_health.zone_of(node)
        state, size = zones.get(zone, ("Normal", 1))
        rate = node_health.eviction_rate(state, size, self.context.options)
        if rate <= 0:
            return 10.0
        with self._lock:
            known = self._buckets.get(zone)
            if known is None or known[0] != rate:
                known = self._buckets[zone] = rate, workqueue.Bucket(rate, 1, self.clock.monotonic)
            return None if known[1].try_take() else 1 / rate

    def _give_back(self, node: Object) -> None:
        with self._lock:
            known = self._buckets.get(node_health.zone_of(node))
            if known is not None:
                known[1].give_back()

    def _mark_pods(self, node: Object) -> None:
        for pod in self._pods.by_index("node", objects.name(node)):
            ready = objects.condition(pod, "Ready")
            if ready is None or ready.get("status") != "True":
                continue
            moment = clock.rfc3339(self.clock.now())
            fresh = {**ready, "status": "False", "lastTransitionTime": moment, **objects.observed_generation(pod)}
            status = {"conditions": conditions.put(pod["status"]["conditions"], fresh)}
            patch = {"metadata": {"resourceVersion": objects.resource_version(pod)}, "status": status}
            try:
                self.client.patch(
                    kinds.PODS, objects.name(pod), patch, objects.namespace(pod), kind="strategic", subresource="status"
                )
            except errors.NotFound:
                continue
            self.recorder.event(pod, "Warning", "NodeNotReady", "Node is not ready")


_LOST = {node_health.NOT_READY, node_health.UNREACHABLE}


def _reference(node: Object) -> Object:
    """Events about nodes name the node as uid, which is what ``kubectl describe node`` looks for."""
    return {**node, "metadata": {**node["metadata"], "uid": objects.uid(node) or objects.name(node)}}
