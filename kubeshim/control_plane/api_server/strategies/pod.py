"""Pods: begin as Pending with their class of service, and get time to end when they are deleted."""

from typing import Any

from kubeshim.control_plane.api_server.strategies import strategy
from kubeshim.machinery import app_armor, errors, label_keys, objects, qos, resources
from kubeshim.machinery.validation import pod_status, pod_updates, pod_warnings, pods


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
                    "lastTransitionTime": obj["metadata"]["creationTimestamp"],
                }
            ]
        obj["status"] = status
        label_keys.merge(spec, objects.labels(obj))
        app_armor.fill_fields(obj)

    def prepare_for_status_update(self, resource: resources.Resource, obj: objects.Object, old: objects.Object) -> None:
        """Owners and the end are no business of who reports status."""
        super().prepare_for_status_update(resource, obj, old)
        metadata, before = obj.setdefault("metadata", {}), old.get("metadata") or {}
        for field in ("ownerReferences", "deletionTimestamp"):
            metadata.pop(field, None)
            if field in before:
                metadata[field] = before[field]
        status = obj.setdefault("status", {})
        if not status.get("qosClass"):
            status["qosClass"] = objects.dig(old, "status", "qosClass", default=qos.of(obj.get("spec") or {}))
        _keep_observed_generations(status, old.get("status") or {})
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
        return pod_status.status(obj, old)

    def warnings(self, resource: resources.Resource, obj: objects.Object, old: objects.Object | None) -> list[str]:
        return pod_warnings.pod(obj, old)

    def warnings_as_sent(self, resource: resources.Resource, obj: objects.Object) -> list[str]:
        return app_armor.warnings(obj)

    def status_warnings(self, resource: resources.Resource, obj: objects.Object, old: objects.Object) -> list[str]:
        return pod_warnings.status(obj)

    def grace_period(self, obj: objects.Object, options: dict[str, Any]) -> int:
        """The caller's wish, else the pod's own; none for a pod that runs nowhere or has ended."""
        if not objects.dig(obj, "spec", "nodeName") or objects.dig(obj, "status", "phase") in ("Succeeded", "Failed"):
            return 0
        wish = options.get("gracePeriodSeconds")
        seconds = int(
            wish if wish is not None else objects.dig(obj, "spec", "terminationGracePeriodSeconds", default=0)
        )
        return seconds if seconds >= 0 else 1


def _keep_observed_generations(status: dict[str, Any], before: dict[str, Any]) -> None:
    """Who does not know of observed generations does not unset them."""
    held: dict[str, list[int]] = {}
    for condition in before.get("conditions") or ():
        held.setdefault(condition.get("type") or "", []).append(condition.get("observedGeneration") or 0)
    if not status.get("observedGeneration") and before.get("observedGeneration"):
        status["observedGeneration"] = before["observedGeneration"]
    for condition in status.get("conditions") or ():
        earlier = held.get(condition.get("type") or "")
        generation = earlier.pop(0) if earlier else 0
        if generation and not condition.get("observedGeneration"):
            condition["observedGeneration"] = generation


def _pair_addresses(status: dict[str, Any], field: str) -> None:
    """``podIP`` is the first of ``podIPs``; whoever sets one has set both."""
    single, several = status.get(field), status.get(field + "s") or []
    if single and not several:
        status[field + "s"] = [{"ip": single}]
    elif several and not single:
        status[field] = several[0].get("ip")
