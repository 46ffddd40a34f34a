"""PodResizeValidator: a running pod is not made larger than its node, and only on Linux resized at all."""

from kubeshim.control_plane.api_server.admission import plugin, refusals
from kubeshim.machinery import errors, objects, pod_resources, quantity, resources

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
        system = objects.labels(node).get("kubernetes.io/os", "linux")
        if system != "linux":
            why = f'pod resize is only supported on linux nodes, node "{name}" is "{system}"'
            raise _infeasible(attributes, why, "UnsupportedPlatform")
        too_much = _beyond(pod, node)
        if too_much:
            why = f"node didn't have enough allocatable resources: {'; '.join(too_much)}"
            raise _infeasible(attributes, why, "NodeCapacity")


def _infeasible(attributes: plugin.Attributes, why: str, cause: str) -> errors.Forbidden:
    """Its cause is what autoscalers tell a resize that can never be from one to try again by."""
    refusal = refusals.forbidden(attributes, why)
    refusal.details["causes"] = [{"reason": cause}]
    return refusal


def _beyond(pod: objects.Object, node: objects.Object) -> list[str]:
    requested = pod_resources.total(pod, "requests")
    allocatable = pod_resources.parse(objects.dig(node, "status", "allocatable"))
    found = []
    for name, measure in (("cpu", quantity.Quantity.milli), ("memory", quantity.Quantity.value)):
        asked, there = (measure(amounts.get(name, quantity.ZERO)) for amounts in (requested, allocatable))
        if asked > there:
            found.append(f"{name}, requested: {asked}, allocatable: {there}")
    return found
