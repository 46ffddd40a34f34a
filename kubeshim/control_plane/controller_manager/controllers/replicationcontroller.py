"""ReplicationControllers: ReplicaSets with a plain map as selector."""

from kubeshim.client import kinds
from kubeshim.control_plane.controller_manager import replicas
from kubeshim.machinery import selectors
from kubeshim.machinery.objects import Object


class ReplicationControllerController(replicas.ReplicaController):
    name = "replicationcontroller"
    component = "replication-controller"
    gvr = kinds.REPLICATION_CONTROLLERS
    kind = "ReplicationController"

    def selector_of(self, owner: Object) -> selectors.LabelSelector:
        return selectors.from_set(owner["spec"].get("selector"))
