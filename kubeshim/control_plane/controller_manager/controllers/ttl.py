"""Tells kubelets, in an annotation of their nodes, how long what they fetched of Secrets and ConfigMaps may be used.

The more nodes there are the longer, so that the API server is asked less often. The bounds overlap: a cluster that
grows and shrinks by a few nodes keeps its number.
"""

from kubeshim.client import kinds
from kubeshim.control_plane.controller_manager import controller
from kubeshim.machinery import errors, objects
from kubeshim.machinery.objects import Object

ANNOTATION = "node.alpha.kubernetes.io/ttl"
STEPS = ((0, 100, 0), (90, 500, 15), (450, 1000, 30), (900, 2000, 60), (1800, 10000, 300))
"""From how many nodes, to how many, and the seconds in between."""


class TTLController(controller.Controller):
    name = "ttl"
    component = "ttl-controller"
    workers = 1

    def register(self) -> None:
        self._step = 0
        self._nodes = self.watch(kinds.NODES)

    def sync(self, key: str) -> None:
        step = next_step(self._step, len(self._nodes.list()))
        changed, self._step = step != self._step, step
        if changed:
            for other in self._nodes.list():
                self.enqueue(other)
        node = self._nodes.get(key)
        wanted = str(STEPS[step][2])
        if node is None or objects.annotations(node).get(ANNOTATION) == wanted:
            return
        patch: Object = {"metadata": {"annotations": {ANNOTATION: wanted}}}
        try:
            self.client.patch(kinds.NODES, objects.name(node), patch, kind="strategic")
        except errors.NotFound:
            return  # the node went; there is nothing left to tell


def next_step(step: int, nodes: int) -> int:
    """Which of ``STEPS`` holds for so many nodes, where ``step`` held before. Pure."""
    while nodes > STEPS[step][1] and step + 1 < len(STEPS):
        step += 1
    while nodes < STEPS[step][0]:
        step -= 1
    return step
