"""Nodes and their pods, with what we decided but the API has not told yet.

A pod is *assumed* onto its node when the decision falls, so that the next pod is placed as if it were there
already; the watch later confirms it (or binding fails and it is forgotten). Changed by informers' threads, read by
the scheduling thread: everyone holds ``lock``, the scheduling thread for a whole cycle, which is milliseconds.
"""

import threading
from collections.abc import Mapping

from kubeshim.control_plane.scheduler import node_info, nominations, pod_info
from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object


class Cache:
    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._nodes: dict[str, node_info.NodeInfo] = {}
        self._places: dict[str, str] = {}
        """Pod uid → node name, confirmed or assumed."""
        self._assumed: set[str] = set()
        self.namespace_labels: dict[str, Mapping[str, str]] = {}
        self.nominations = nominations.Nominations()

    def nodes(self) -> list[node_info.NodeInfo]:
        """Those that exist. Call with ``lock`` held."""
        return [info for info in self._nodes.values() if info.node is not None]

    def node(self, name: str) -> node_info.NodeInfo | None:
        return self._nodes.get(name)

    def set_node(self, node: Object) -> None:
        with self.lock:
            self._of(objects.name(node)).set_node(node)

    def remove_node(self, name: str) -> None:
        """The pods stay until each is told gone."""
        with self.lock:
            info = self._nodes.get(name)
            if info is not None:
                info.set_node(None)
                self._drop_if_empty(info)

    def assume(self, pod: pod_info.PodInfo, node: str) -> None:
        with self.lock:
            self._put(pod, node)
            self._assumed.add(pod.uid)

    def forget(self, uid: str) -> None:
        """The assumption was wrong; does nothing to a pod that was confirmed."""
        with self.lock:
            if uid in self._assumed:
                self._take(uid)

    def sizes(self) -> list[tuple[str, int]]:
        """What is held, by kind, for the metrics."""
        with self.lock:
            return [("nodes", len(self.nodes())), ("pods", len(self._places)), ("assumed_pods", len(self._assumed))]

    def is_assumed(self, uid: str) -> bool:
        with self.lock:
            return uid in self._assumed

    def set_pod(self, pod: pod_info.PodInfo, node: str) -> None:
        """The API says that ``pod`` is on ``node``."""
        with self.lock:
            self._assumed.discard(pod.uid)
            self._put(pod, node)

    def remove_pod(self, uid: str) -> None:
        with self.lock:
            self._take(uid)

    def _put(self, pod: pod_info.PodInfo, node: str) -> None:
        before = self._places.get(pod.uid)
        if before is not None and before != node:
            self._take(pod.uid)
        self._places[pod.uid] = node
        self._of(node).add(pod)

    def _take(self, uid: str) -> None:
        self._assumed.discard(uid)
        name = self._places.pop(uid, None)
        if name is not None:
            info = self._nodes[name]
            info.remove(uid)
            self._drop_if_empty(info)

    def _of(self, name: str) -> node_info.NodeInfo:
        return self._nodes.setdefault(name, node_info.NodeInfo(name))

    def _drop_if_empty(self, info: node_info.NodeInfo) -> None:
        if info.node is None and not info.pods:
            del self._nodes[info.name]
