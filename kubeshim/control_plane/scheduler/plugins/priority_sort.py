"""Who is tried first: higher priority, then longer wait."""

from typing import Any

from kubeshim.control_plane.scheduler import framework, pod_info


class PrioritySort(framework.Plugin):
    name = "PrioritySort"

    def sort_key(self, pod: pod_info.PodInfo) -> tuple[Any, ...]:
        return (-pod.priority, pod.since)
