"""Every namespace has a ConfigMap ``kube-root-ca.crt`` with the CA that pods verify the API server by."""

import logging
import pathlib

from kubeshim.client import kinds
from kubeshim.control_plane.controller_manager import controller, pod_control
from kubeshim.machinery import errors, objects
from kubeshim.machinery.objects import Object

_log = logging.getLogger(__name__)

NAME = "kube-root-ca.crt"
ANNOTATIONS = {
    "kubernetes.io/description": (
        "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
        "internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of "
        "Kubernetes clusters."
    )
}


class RootCAController(controller.Controller):
    name = "root-ca-certificate-publisher"

    def register(self) -> None:
        self._data = {"ca.crt": self._root_ca()}
        self._namespaces = self.watch(kinds.NAMESPACES)
        self._maps = self.informer(kinds.CONFIG_MAPS)
        self._maps.add_handler(updated=lambda _, new: self._changed(new), deleted=self._changed)

    def _root_ca(self) -> str:
        client = self.client.config
        data = self.context.options.root_ca or client.ca_data
        if not data and client.ca_file:
            data = pathlib.Path(client.ca_file).read_bytes()
        return (data or b"").decode()

    def _changed(self, config_map: Object) -> None:
        if objects.name(config_map) == NAME:
            self.queue.add(objects.namespace(config_map))

    def sync(self, key: str) -> None:
        namespace = self._namespaces.get(key)
        if namespace is None or objects.is_deleting(namespace):
            return
        current = self._maps.get(f"{key}/{NAME}")
        if current is None:
            metadata = {"name": NAME, "namespace": key, "annotations": ANNOTATIONS}
            wanted = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": self._data}
            try:
                self.client.create(kinds.CONFIG_MAPS, wanted)
            except errors.AlreadyExists:
                _log.debug("%s/%s is there already", key, NAME)
            except errors.APIStatusError as error:
                if not pod_control.namespace_is_going(error):
                    raise
            return
        annotations = objects.annotations(current)
        if current.get("data") != self._data or any(annotations.get(k) != v for k, v in ANNOTATIONS.items()):
            metadata = {**current["metadata"], "annotations": {**annotations, **ANNOTATIONS}}
            self.client.update(kinds.CONFIG_MAPS, {**current, "data": self._data, "metadata": metadata})
