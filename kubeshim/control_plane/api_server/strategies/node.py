"""Nodes: a kubelet registers itself with its status, and reports it through the status door from then on."""

from kubeshim.control_plane.api_server.strategies import strategy
from kubeshim.machinery import errors, objects, resources
from kubeshim.machinery.validation import core


class Node(strategy.Strategy):
    has_status = False
    """A new node brings its status along."""

    def prepare_for_create(self, resource: resources.Resource, obj: objects.Object) -> None:
        _pair_ranges(obj)

    def prepare_for_update(self, resource: resources.Resource, obj: objects.Object, old: objects.Object) -> None:
        obj.pop("status", None)
        if "status" in old:
            obj["status"] = old["status"]
        _pair_ranges(obj)

    def validate(self, resource: resources.Resource, obj: objects.Object) -> list[errors.FieldError]:
        return core.node(obj)

    def validate_update(
        self, resource: resources.Resource, obj: objects.Object, old: objects.Object
    ) -> list[errors.FieldError]:
        return core.node_update(obj, old)

    def validate_status_update(
        self, resource: resources.Resource, obj: objects.Object, old: objects.Object
    ) -> list[errors.FieldError]:
        return core.node(obj) + core.node_update(obj, old)

    def warnings(self, resource: resources.Resource, obj: objects.Object, old: objects.Object | None) -> list[str]:
        return core.warn_node(obj, old)


def _pair_ranges(obj: objects.Object) -> None:
    """``podCIDR`` is the first of ``podCIDRs``."""
    spec = obj.setdefault("spec", {})
    if spec.get("podCIDR") and not spec.get("podCIDRs"):
        spec["podCIDRs"] = [spec["podCIDR"]]
    elif spec.get("podCIDRs") and not spec.get("podCIDR"):
        spec["podCIDR"] = spec["podCIDRs"][0]
