"""Nodes: a kubelet registers itself with its status, and reports it through the status door from then on."""

from kubeshim.control_plane.api_server.strategies import strategy
from kubeshim.machinery import errors, objects, resources
from kubeshim.machinery.validation import core


class Node(strategy.Strategy):
    has_status = False
    """A new node brings its status along."""

    def prepare_for_create(self, resource: resources.Resource, obj: objects.Object) -> None:
        _drop_kubelet_configuration(obj, {})
        _pair_ranges(obj)

    def prepare_for_update(self, resource: resources.Resource, obj: objects.Object, old: objects.Object) -> None:
        obj.pop("status", None)
        if "status" in old:
            obj["status"] = old["status"]
        _drop_kubelet_configuration(obj, old)
        _pair_ranges(obj)

    def prepare_for_status_update(self, resource: resources.Resource, obj: objects.Object, old: objects.Object) -> None:
        super().prepare_for_status_update(resource, obj, old)
        _drop_kubelet_configuration(obj, old)

    def validate(self, resource: resources.Resource, obj: objects.Object) -> list[errors.FieldError]:
        return core.node(obj)

    def validate_update(
        self, resource: resources.Resource, obj: objects.Object, old: objects.Object
    ) -> list[errors.FieldError]:
        return core.node_update(obj, old)

    def validate_status_update(
        self, resource: resources.Resource, obj: objects.Object, old: objects.Object
    ) -> list[errors.FieldError]:
        return core.node_update(obj, old)

    def warnings(self, resource: resources.Resource, obj: objects.Object, old: objects.Object | None) -> list[str]:
        return core.warn_node(obj, old)


def _pair_ranges(obj: objects.Object) -> None:
    """``podCIDR`` is the first of ``podCIDRs``, and where they differ the only one."""
    spec = obj.setdefault("spec", {})
    if spec.get("podCIDR") and spec["podCIDR"] not in (spec.get("podCIDRs") or ())[:1]:
        spec["podCIDRs"] = [spec["podCIDR"]]
    elif spec.get("podCIDRs"):
        spec["podCIDR"] = spec["podCIDRs"][0]


def _drop_kubelet_configuration(obj: objects.Object, old: objects.Object) -> None:
    """What once gave a kubelet its configuration stays only where it was."""
    for part, field in (("spec", "configSource"), ("status", "config")):
        if obj.get(part) and objects.dig(old, part, field) is None:
            obj[part].pop(field, None)
