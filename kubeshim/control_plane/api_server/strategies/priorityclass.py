"""Priority classes: their generation is set once and never counted."""

from kubeshim.control_plane.api_server.strategies import checked
from kubeshim.machinery import objects, resources


class PriorityClass(checked.Checked):
    undeletable = dict.fromkeys(
        ("system-node-critical", "system-cluster-critical"), "this is a system priority class and cannot be deleted"
    )

    def is_new_generation(self, resource: resources.Resource, obj: objects.Object, old: objects.Object) -> bool:
        return False
