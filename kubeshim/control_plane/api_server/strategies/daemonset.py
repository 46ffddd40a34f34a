"""DaemonSets count the changes of their template, in an annotation.

Upstream's stored form has a field for it that apps/v1 does not show: whatever a client writes there, the number goes on
from the old object's.
"""

from kubeshim.control_plane.api_server.strategies import checked
from kubeshim.machinery import objects, resources
from kubeshim.machinery.defaults import workloads


class DaemonSet(checked.Checked):
    def prepare_for_create(self, resource: resources.Resource, obj: objects.Object) -> None:
        super().prepare_for_create(resource, obj)
        _count(obj, max(1, workloads.template_generation(obj)))

    def prepare_for_update(self, resource: resources.Resource, obj: objects.Object, old: objects.Object) -> None:
        super().prepare_for_update(resource, obj, old)
        changed = objects.dig(obj, "spec", "template") != objects.dig(old, "spec", "template")
        _count(obj, workloads.template_generation(old) + changed)

    def prepare_for_status_update(self, resource: resources.Resource, obj: objects.Object, old: objects.Object) -> None:
        super().prepare_for_status_update(resource, obj, old)
        _count(obj, workloads.template_generation(old))


def _count(obj: objects.Object, number: int) -> None:
    metadata = obj.setdefault("metadata", {})
    metadata["annotations"] = {**(metadata.get("annotations") or {}), workloads.TEMPLATE_GENERATION: str(number)}
