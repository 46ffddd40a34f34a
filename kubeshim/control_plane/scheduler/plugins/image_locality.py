"""Nodes that have the pod's images already score higher, by size, and less the rarer an image is."""

from kubeshim.control_plane.scheduler import framework, node_info, pod_info

MEBIBYTE = 1024 * 1024
LEAST, MOST_A_CONTAINER = 23 * MEBIBYTE, 1000 * MEBIBYTE


class ImageLocality(framework.Plugin):
    name = "ImageLocality"
    weight = 1

    def pre_score(self, state: framework.CycleState, pod: pod_info.PodInfo, nodes: framework.Nodes) -> bool:
        state[self.name] = self.handle.cache.nodes()
        return True

    def score(self, state: framework.CycleState, pod: pod_info.PodInfo, node: node_info.NodeInfo) -> float:
        every = state[self.name]
        containers = [*(pod.spec.get("initContainers") or ()), *(pod.spec.get("containers") or ())]
        total = 0
        for container in containers:
            name = normalized(str(container.get("image") or ""))
            size = node.images.get(name)
            if size:
                total += int(size * sum(name in other.images for other in every) / len(every))
        most = MOST_A_CONTAINER * max(1, len(containers))
        return framework.MAX_SCORE * (min(max(total, LEAST), most) - LEAST) // (most - LEAST)


def normalized(image: str) -> str:
    """With the tag that is meant where none is written."""
    return image if ":" in image.rpartition("/")[2] or "@" in image else f"{image}:latest"
