"""StorageObjectInUseProtection: volumes, claims and attribute classes stay while something uses them."""

from kubeshim.control_plane.api_server.admission import plugin

_FINALIZERS = {
    "persistentvolumes": "kubernetes.io/pv-protection",
    "persistentvolumeclaims": "kubernetes.io/pvc-protection",
    "volumeattributesclasses.storage.k8s.io": "kubernetes.io/vac-protection",
}


class StorageObjectInUseProtection:
    resources = frozenset(_FINALIZERS)

    def admit(self, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
        if attributes.operation != "CREATE" or attributes.subresource or attributes.object is None:
            return
        finalizer = _FINALIZERS[attributes.resource.group_resource]
        metadata = attributes.object.setdefault("metadata", {})
        present = metadata.get("finalizers") or []
        if finalizer not in present:
            metadata["finalizers"] = [*present, finalizer]
