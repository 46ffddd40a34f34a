"""Priority: a pod's class becomes its priority; at most one class is the default."""

from typing import Any

from kubeshim.control_plane.api_server.admission import plugin, refusals
from kubeshim.machinery import objects, resources

_CLASSES = resources.GroupVersionResource("scheduling.k8s.io", "v1", "priorityclasses")


class Priority:
    resources = frozenset(("pods", "priorityclasses.scheduling.k8s.io"))

    def admit(self, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
        pod = attributes.object
        if attributes.resource.plural != "pods" or attributes.subresource or pod is None:
            return
        if attributes.operation == "CREATE":
            _resolve(attributes, reader, pod["spec"])
        elif attributes.operation == "UPDATE" and attributes.old_object is not None:
            _keep(pod["spec"], attributes.old_object["spec"])

    def validate(self, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
        wanted = attributes.object
        if attributes.resource.plural != "priorityclasses" or attributes.subresource or wanted is None:
            return
        if attributes.operation not in ("CREATE", "UPDATE") or not wanted.get("globalDefault"):
            return
        default = _default(reader)
        if default is None or (attributes.operation == "UPDATE" and objects.name(default) == objects.name(wanted)):
            return
        raise refusals.forbidden(
            attributes,
            f"PriorityClass {objects.name(default)} is already marked as default. Only one default can exist",
        )


def _resolve(attributes: plugin.Attributes, reader: plugin.Reader, spec: dict[str, Any]) -> None:
    name = spec.get("priorityClassName") or ""
    if name:
        found = reader.get(_CLASSES, "", name)
        if found is None:
            raise refusals.forbidden(attributes, f"no PriorityClass with name {name} was found")
    else:
        found = _default(reader)
        if found is not None:
            spec["priorityClassName"] = objects.name(found)
    priority = int((found or {}).get("value") or 0)
    given = spec.get("priority")
    if given is not None and given != priority:
        raise refusals.forbidden(
            attributes,
            f"the integer value of priority ({given}) must not be provided in pod spec; priority admission "
            f"controller computed {priority} from the given PriorityClass name",
        )
    spec["priority"] = priority
    policy = found.get("preemptionPolicy") if found else "PreemptLowerPriority"
    if policy is None:
        return
    given = spec.get("preemptionPolicy")
    if given is not None and given != policy:
        raise refusals.forbidden(
            attributes,
            f"the string value of PreemptionPolicy ({given}) must not be provided in pod spec; priority admission "
            f"controller computed {policy} from the given PriorityClass name",
        )
    spec["preemptionPolicy"] = policy


def _keep(spec: dict[str, Any], old: dict[str, Any]) -> None:
    """Clients that do not know these fields leave them out of their updates."""
    for field in ("priority", "preemptionPolicy"):
        if spec.get(field) is None and old.get(field) is not None:
            spec[field] = old[field]


def _default(reader: plugin.Reader) -> objects.Object | None:
    """Of several, the one with the lowest value."""
    marked = [one for one in reader.list(_CLASSES) if one.get("globalDefault")]
    return min(marked, key=lambda one: int(one.get("value") or 0)) if marked else None
