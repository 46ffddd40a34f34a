"""What the kubelet writes on the containers it makes, so that its successor knows them again.

A container cannot change its labels, so a restart makes a new container whose labels count one more.
"""

from collections.abc import Mapping

from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object

CLUSTER = "io.kubeshim.cluster"
NODE = "io.kubeshim.node"
POD_NAME = "io.kubernetes.pod.name"
POD_NAMESPACE = "io.kubernetes.pod.namespace"
POD_UID = "io.kubernetes.pod.uid"
CONTAINER = "io.kubernetes.container.name"
RESTARTS = "io.kubernetes.container.restartCount"
HASH = "io.kubernetes.container.hash"
MESSAGE_PATH = "io.kubernetes.container.terminationMessagePath"
MESSAGE_POLICY = "io.kubernetes.container.terminationMessagePolicy"
RESOURCES = "io.kubeshim.container.resources"
ROUND = "io.kubeshim.pod.round"
"""How often all containers of the pod had been restarted together when this one was made."""
GRACE = "io.kubernetes.pod.terminationGracePeriod"


def of_pod(pod: Object) -> dict[str, str]:
    return {
        POD_NAME: objects.name(pod),
        POD_NAMESPACE: objects.namespace(pod),
        POD_UID: objects.uid(pod),
        GRACE: str(objects.dig(pod, "spec", "terminationGracePeriodSeconds", default=30)),
    }


def of_container(pod: Object, container: Object, restarts: int, fingerprint: str) -> dict[str, str]:
    return {
        **of_pod(pod),
        CONTAINER: container["name"],
        RESTARTS: str(restarts),
        HASH: fingerprint,
        MESSAGE_PATH: container.get("terminationMessagePath") or "/dev/termination-log",
        MESSAGE_POLICY: container.get("terminationMessagePolicy") or "File",
    }


def restarts(found: Mapping[str, str]) -> int:
    text = found.get(RESTARTS, "0")
    return int(text) if text.isdigit() else 0


def round_of(found: Mapping[str, str]) -> int:
    text = found.get(ROUND, "0")
    return int(text) if text.isdigit() else 0


def container_name(pod: Object, container: str, attempt: int) -> str:
    """The name in the engine, in the form dockershim made known."""
    return f"k8s_{container}_{objects.name(pod)}_{objects.namespace(pod)}_{objects.uid(pod)}_{attempt}"


def sandbox_name(pod: Object, attempt: int) -> str:
    return container_name(pod, "POD", attempt)
