"""DefaultIngressClass: an Ingress that names no class gets the default one."""

from kubeshim.control_plane.api_server.admission import plugin
from kubeshim.machinery import class_defaults, objects, resources

_CLASSES = resources.GroupVersionResource("networking.k8s.io", "v1", "ingressclasses")
_OLD_NAME = "kubernetes.io/ingress.class"


class DefaultIngressClass:
    resources = frozenset(("ingresses.networking.k8s.io",))

    def admit(self, attributes: plugin.Attributes, reader: plugin.Reader) -> None:
        ingress = attributes.object
        if attributes.operation != "CREATE" or attributes.subresource or ingress is None:
            return
        spec = ingress.setdefault("spec", {})
        if spec.get("ingressClassName") is not None or _OLD_NAME in objects.annotations(ingress):
            return
        default = class_defaults.pick(reader.list(_CLASSES), *class_defaults.INGRESS)
        if default is not None:
            spec["ingressClassName"] = objects.name(default)
