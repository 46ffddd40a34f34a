"""PodResizeValidator: a running pod is not made larger than its node, and only on Linux resized at all."""

from kubeshim.control_plane.api_server.admission import plugin, refusals
from kubeshim.machinery import objects, pod_resources, quantity, resources

_NODES = resources.GroupVersionResource("", "v1", "nodes")


class PodResizeValidator:
    resources = frozenset(("pods",))

    def validate(self, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
        pod, old = attributes.object, attributes.old_object
        if attributes.operation != "UPDATE" or attributes.subresource != "resize" or pod is None or old is None:
            return
        name = pod["spec"].get("nodeName")
        if not name or pod["metadata"].get("generation") == old["metadata"].get("generation"):
            return
        node = reader.get(_NODES, "", name)
        if node is None:
            raise refusals.forbidden(attributes, f'node "{name}" not found')
        too_much = _beyond(pod, node)
        if too_much:
            why = f"Node didn't have enough allocatable resources: {'; '.join(too_much)}"
            raise refusals.forbidden(attributes, why)
        system = objects.labels(node).get("kubernetes.io/os", "")
        if system != "linux":
            why = f'pod resize is only supported on linux nodes, node "{name}" is "{system}"'
            raise refusals.forbidden(attributes, why)


def _beyond(pod: objects.Object, node: objects.Object) -> list[str]:
    requested = pod_resources.total(pod, "requests")
    allocatable = pod_resources.parse(objects.dig(node, "status", "allocatable"))
    found = []
    for name, measure in (("cpu", quantity.Quantity.milli), ("memory", quantity.Quantity.value)):
        asked, there = (measure(amounts.get(name, quantity.ZERO)) for amounts in (requested, allocatable))
        if asked > there:
            found.append(f"{name}, requested: {asked}, allocatable: {there}")
    return found
