"""Binds by the API's binding subresource."""

from kubeshim.client import kinds
from kubeshim.control_plane.scheduler import framework, pod_info
from kubeshim.machinery import errors, objects


class DefaultBinder(framework.Plugin):
    name = "DefaultBinder"

    def bind(self, state: framework.CycleState, pod: pod_info.PodInfo, node: str) -> bool | framework.Status:
        name = objects.name(pod.pod)
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name, "namespace": pod.namespace, "uid": pod.uid},
            "target": {"kind": "Node", "name": node},
        }
        try:
            self.handle.client.create(kinds.PODS, binding, pod.namespace, name=name, subresource="binding")
        except errors.NotFound:
            raise
        except (errors.APIStatusError, OSError) as error:
            return framework.error(str(error))
        return True
