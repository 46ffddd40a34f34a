"""TaintNodesByCondition: a new node takes no pods before the node lifecycle controller has seen it ready."""

from kubeshim.control_plane.api_server.admission import plugin

_NOT_READY = "node.kubernetes.io/not-ready"


class TaintNodesByCondition:
    resources = frozenset(("nodes",))

    def admit(self, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
        if attributes.operation != "CREATE" or attributes.subresource or attributes.object is None:
            return
        spec = attributes.object.setdefault("spec", {})
        taints = spec.get("taints") or []
        if not any(taint.get("key") == _NOT_READY and taint.get("effect") == "NoSchedule" for taint in taints):
            spec["taints"] = [*taints, {"key": _NOT_READY, "effect": "NoSchedule"}]
