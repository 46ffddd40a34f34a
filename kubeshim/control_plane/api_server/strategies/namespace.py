"""Namespaces: held by ``spec.finalizers`` until the namespace controller has emptied them."""

from kubeshim.control_plane.api_server.strategies import strategy
from kubeshim.machinery import errors, objects, resources
from kubeshim.machinery.validation import core


class Namespace(strategy.Strategy):
    def prepare_for_create(self, resource: resources.Resource, obj: objects.Object) -> None:
        obj["status"] = {"phase": "Active"}
        finalizers = obj.setdefault("spec", {}).setdefault("finalizers", [])
        if "kubernetes" not in finalizers:
            finalizers.append("kubernetes")
        metadata = obj["metadata"]  # defaults did not know a generated name
        metadata["labels"] = {**objects.labels(obj), "kubernetes.io/metadata.name": metadata["name"]}

    def prepare_for_update(self, resource: resources.Resource, obj: objects.Object, old: objects.Object) -> None:
        """Only the ``finalize`` door changes the finalizers."""
        super().prepare_for_update(resource, obj, old)
        spec = obj.setdefault("spec", {})
        spec.pop("finalizers", None)
        if objects.dig(old, "spec", "finalizers"):
            spec["finalizers"] = old["spec"]["finalizers"]

    def validate(self, resource: resources.Resource, obj: objects.Object) -> list[errors.FieldError]:
        return core.namespace_finalizers(obj)

    def validate_status_update(
        self, resource: resources.Resource, obj: objects.Object, old: objects.Object
    ) -> list[errors.FieldError]:
        return core.namespace_status(obj)
