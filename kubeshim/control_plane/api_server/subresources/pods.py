"""What the pod subresources ask of a pod: is it there, where does it run, which container is meant."""

from typing import TYPE_CHECKING
from urllib import parse

from kubeshim.control_plane.api_server import request
from kubeshim.machinery import errors, objects, resources

if TYPE_CHECKING:
    from kubeshim.control_plane.api_server import server as servers

PODS = resources.GroupVersionResource("", "v1", "pods")
_LISTS = ("initContainers", "containers", "ephemeralContainers")


def get(server: "servers.Server", asked: request.Request) -> objects.Object:
    """The pod of the request, shared. Raises 404."""
    pod = server.storage.reader.get(PODS, asked.info.namespace, asked.info.name)
    if pod is None:
        raise errors.not_found("", "pods", asked.info.name)
    return pod


def node_of(pod: objects.Object) -> str:
    """Raises 400 for a pod that is on no node yet."""
    node = objects.dig(pod, "spec", "nodeName", default="")
    if not node:
        raise errors.BadRequest(f"pod {objects.name(pod)} does not have a host assigned")
    return str(node)


def container(pod: objects.Object, wanted: str) -> str:
    """The container meant by ``wanted``: itself, or the pod's only one. Raises 400."""
    names = [one["name"] for field in _LISTS for one in objects.dig(pod, "spec", field, default=())]
    if wanted:
        if wanted not in names:
            raise errors.BadRequest(f"container {wanted} is not valid for pod {objects.name(pod)}")
        return wanted
    regular = objects.dig(pod, "spec", "containers", default=())
    if len(regular) == 1:
        return str(regular[0]["name"])
    text = f"a container name must be specified for pod {objects.name(pod)}"
    raise errors.BadRequest(f"{text}, choose one of: [{' '.join(names)}]" if regular else text)


def path(pod: objects.Object) -> str:
    """``NAMESPACE/NAME``, escaped for the kubelet's paths."""
    return f"{parse.quote(objects.namespace(pod), safe='')}/{parse.quote(objects.name(pod), safe='')}"
