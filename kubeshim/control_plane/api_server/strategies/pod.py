"""Pods: begin as Pending with their class of service, and get time to end when they are deleted."""

from typing import Any

from kubeshim.control_plane.api_server.strategies import strategy
from kubeshim.machinery import errors, objects, qos, resources
from kubeshim.machinery.validation import content, pod_updates, pods


class Pod(strategy.Strategy):
    graceful = True

    def prepare_for_create(self, resource: resources.Resource, obj: objects.Object) -> None:
        spec = obj.get("spec") or {}
        status: dict[str, Any] = {"phase": "Pending", "qosClass": qos.of(spec)}
        if spec.get("schedulingGates"):
            status["conditions"] = [
                {
                    "type": "PodScheduled",
                    "status": "False",
                    "reason": "SchedulingGated",
                    "message": "Scheduling is blocked due to non-empty scheduling gates",
                    "lastProbeTime": None,
                    "lastTransitionTime": None,
                }
            ]
        obj["status"] = status

    def prepare_for_status_update(self, resource: resources.Resource, obj: objects.Object, old: objects.Object) -> None:
        """Owners are no business of who reports status."""
        super().prepare_for_status_update(resource, obj, old)
        metadata, before = obj.setdefault("metadata", {}), old.get("metadata") or {}
        metadata.pop("ownerReferences", None)
        if "ownerReferences" in before:
            metadata["ownerReferences"] = before["ownerReferences"]
        status = obj.setdefault("status", {})
        status.setdefault("qosClass", objects.dig(old, "status", "qosClass", default=qos.of(obj.get("spec") or {})))
        _pair_addresses(status, "podIP")
        _pair_addresses(status, "hostIP")

    def validate(self, resource: resources.Resource, obj: objects.Object) -> list[errors.FieldError]:
        return pods.pod(obj)

    def validate_create(self, resource: resources.Resource, obj: objects.Object) -> list[errors.FieldError]:
        return pods.pod_create(obj)

    def validate_update(
        self, resource: resources.Resource, obj: objects.Object, old: objects.Object
    ) -> list[errors.FieldError]:
        return pod_updates.update(obj, old)

    def validate_status_update(
        self, resource: resources.Resource, obj: objects.Object, old: objects.Object
    ) -> list[errors.FieldError]:
        return pod_updates.status(obj, old)

    def warnings(self, resource: resources.Resource, obj: objects.Object, old: objects.Object | None) -> list[str]:
        if old is not None and obj.get("spec") == old.get("spec"):
            return []
        found = template_warnings(obj.get("spec") or {}, "spec")
        name = objects.name(obj)
        complaints = content.dns_label(name) if old is None and name else []
        if complaints:
            found.append(
                "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS "
                f"label is recommended: [{' '.join(complaints)}]"
            )
        return found

    def grace_period(self, obj: objects.Object, options: dict[str, Any]) -> int:
        """The caller's wish, else the pod's own; none for a pod that runs nowhere or has ended."""
        if not objects.dig(obj, "spec", "nodeName") or objects.dig(obj, "status", "phase") in ("Succeeded", "Failed"):
            return 0
        wish = options.get("gracePeriodSeconds")
        seconds = int(
            wish if wish is not None else objects.dig(obj, "spec", "terminationGracePeriodSeconds", default=0)
        )
        return seconds if seconds >= 0 else 1


def _pair_addresses(status: dict[str, Any], field: str) -> None:
    """``podIP`` is the first of ``podIPs``; whoever sets one has set both."""
    single, several = status.get(field), status.get(field + "s") or []
    if single and not several:
        status[field + "s"] = [{"ip": single}]
    elif several and not single:
        status[field] = several[0].get("ip")


_OLD_LABELS = {
    "beta.kubernetes.io/arch": ("v1.14", "kubernetes.io/arch"),
    "beta.kubernetes.io/os": ("v1.14", "kubernetes.io/os"),
    "failure-domain.beta.kubernetes.io/region": ("v1.17", "topology.kubernetes.io/region"),
    "failure-domain.beta.kubernetes.io/zone": ("v1.17", "topology.kubernetes.io/zone"),
    "beta.kubernetes.io/instance-type": ("v1.17", "node.kubernetes.io/instance-type"),
}


def template_warnings(spec: dict[str, Any], path: str) -> list[str]:
    """What is allowed in a pod spec but most likely not meant."""
    found = [
        f'{path}.nodeSelector[{key}]: deprecated since {since}; use "{instead}" instead'
        for key, (since, instead) in _OLD_LABELS.items()
        if key in (spec.get("nodeSelector") or {})
    ]
    for field in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(field) or ()):
            found += _repeated(container, f"{path}.{field}[{index}]")
    if spec.get("terminationGracePeriodSeconds") is not None and spec["terminationGracePeriodSeconds"] < 0:
        found.append(
            f"{path}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"
        )
    return found


def _repeated(container: dict[str, Any], path: str) -> list[str]:
    names: dict[str, int] = {}
    found = []
    for index, variable in enumerate(container.get("env") or ()):
        name = variable.get("name") or ""
        if name in names and f"$({name})" not in str(variable.get("value") or ""):
            first = names[name]
            found.append(
                f'{path}.env[{index}]: hides previous definition of "{name}", which may be unexpected when using apply'
            )
            names[name] = first
        names.setdefault(name, index)
    return found
