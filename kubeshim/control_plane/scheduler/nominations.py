"""Pods that a node is kept for: preemption made room there, or somebody else wrote ``status.nominatedNodeName``.

They count when others are filtered, until they are placed, gone, or a later try finds nobody to preempt. What was
decided here is known before the API tells it, so an update that knows no nomination yet does not end one.
"""

from collections.abc import Iterator

from kubeshim.control_plane.scheduler import pod_info


class Nominations:
    """Not locked: whoever calls holds the cache's lock."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[str, pod_info.PodInfo]] = {}

    def put(self, pod: pod_info.PodInfo, node: str) -> None:
        """``node`` is kept for the pod; "" ends that."""
        if node:
            self._found[pod.uid] = node, pod
        else:
            self.forget(pod.uid)

    def told(self, before: str, pod: pod_info.PodInfo) -> None:
        """The API says that the pod is nominated to ``pod.nominated``, and was to ``before``."""
        self.put(pod, pod.nominated if before or pod.nominated else self.node_of(pod.uid))

    def forget(self, uid: str) -> None:
        self._found.pop(uid, None)

    def node_of(self, uid: str) -> str:
        return self._found[uid][0] if uid in self._found else ""

    def on(self, node: str) -> Iterator[pod_info.PodInfo]:
        return (pod for name, pod in list(self._found.values()) if name == node)
