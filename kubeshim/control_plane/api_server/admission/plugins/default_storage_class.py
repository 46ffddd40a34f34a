"""DefaultStorageClass: a claim that names no class gets the default one."""

from kubeshim.control_plane.api_server.admission import plugin
from kubeshim.machinery import class_defaults, objects, resources

_CLASSES = resources.GroupVersionResource("storage.k8s.io", "v1", "storageclasses")
_OLD_NAME = "volume.beta.kubernetes.io/storage-class"


class DefaultStorageClass:
    resources = frozenset(("persistentvolumeclaims",))

    def admit(self, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
        claim = attributes.object
        if attributes.operation != "CREATE" or attributes.subresource or claim is None:
            return
        spec = claim.setdefault("spec", {})
        if spec.get("storageClassName") is not None or _OLD_NAME in objects.annotations(claim):
            return
        default = class_defaults.pick(reader.list(_CLASSES), *class_defaults.STORAGE)
        if default is not None:
            spec["storageClassName"] = objects.name(default)
