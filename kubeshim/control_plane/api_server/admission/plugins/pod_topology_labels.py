"""PodTopologyLabels: a pod that is made for a node gets the node's zone and region as labels, whatever it
says itself.

Pods that the scheduler places get them when they are bound.
"""

from kubeshim.control_plane.api_server.admission import plugin
from kubeshim.machinery import objects, resources

_LABELS = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")
_NODES = resources.GroupVersionResource("", "v1", "nodes")


class PodTopologyLabels:
    resources = frozenset(("pods",))

    def admit(self, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
        pod = attributes.object
        if attributes.operation != "CREATE" or attributes.subresource or pod is None:
            return
        name = objects.dig(pod, "spec", "nodeName", default="")
        node = reader.get(_NODES, "", name) if name else None
        if node is None:
            return
        if found := of_node(node):
            pod["metadata"]["labels"] = {**objects.labels(pod), **found}


def of_node(node: objects.Object) -> dict[str, str]:
    """What a node's pods get."""
    return {key: value for key, value in objects.labels(node).items() if key in _LABELS}
