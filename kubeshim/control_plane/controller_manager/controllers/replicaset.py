"""ReplicaSets: a number of pods of one template."""

from kubeshim.client import kinds
from kubeshim.control_plane.controller_manager import replicas
from kubeshim.machinery import selectors
from kubeshim.machinery.objects import Object


class ReplicaSetController(replicas.ReplicaController):
    name = "replicaset"
    gvr = kinds.REPLICA_SETS
    kind = "ReplicaSet"
    tells_terminating = True

    def selector_of(self, owner: Object) -> selectors.LabelSelector:
        return selectors.from_label_selector(owner["spec"].get("selector"))
