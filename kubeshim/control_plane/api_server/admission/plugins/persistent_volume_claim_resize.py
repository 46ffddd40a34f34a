"""PersistentVolumeClaimResize: a claim grows only where its StorageClass can grow volumes."""

from kubeshim.control_plane.api_server.admission import plugin, refusals
from kubeshim.machinery import objects, quantity, resources

_CLASSES = resources.GroupVersionResource("storage.k8s.io", "v1", "storageclasses")
_OLD_NAME = "volume.beta.kubernetes.io/storage-class"


class PersistentVolumeClaimResize:
    resources = frozenset(("persistentvolumeclaims",))

    def validate(self, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
        new, old = attributes.object, attributes.old_object
        if attributes.operation != "UPDATE" or attributes.subresource or new is None or old is None:
            return
        if _size(new) <= _size(old):
            return
        if objects.dig(old, "status", "phase") != "Bound":
            raise refusals.forbidden(attributes, "Only bound persistent volume claims can be expanded")
        name = _class_name(new)
        found = reader.get(_CLASSES, "", name) if name and name == _class_name(old) else None
        if found is None or not found.get("allowVolumeExpansion"):
            raise refusals.forbidden(
                attributes,
                "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must "
                "support resize",
            )


def _size(claim: objects.Object) -> quantity.Quantity:
    return quantity.parse(objects.dig(claim, "spec", "resources", "requests", "storage", default="0"))


def _class_name(claim: objects.Object) -> str:
    return objects.annotations(claim).get(_OLD_NAME) or str(objects.dig(claim, "spec", "storageClassName", default=""))
