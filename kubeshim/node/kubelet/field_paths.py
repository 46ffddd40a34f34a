"""The downward API: what ``fieldRef`` and ``resourceFieldRef`` select of a pod. Pure."""

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence

from kubeshim.machinery import objects, quantity
from kubeshim.machinery.objects import Object
from kubeshim.node.kubelet import pod_spec

_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']*)'\]")


class FieldProblem(Exception):
    """A path that selects nothing; the message is what the pod's status shows."""


@dataclasses.dataclass(frozen=True, slots=True)
class NodeFacts:
    """What of the node a pod can ask for. ``allocatable`` are quantities."""

    name: str
    addresses: Sequence[str]
    pod_addresses: Sequence[str]
    allocatable: Mapping[str, str]


def field(pod: Object, path: str, node: NodeFacts) -> str:
    """The text of one field. Raises ``FieldProblem``."""
    match = _SUBSCRIPT.fullmatch(path)
    if match:
        return str(objects.dig(pod, "metadata", match[1], match[2], default=""))
    if path in ("metadata.labels", "metadata.annotations"):
        return _as_lines(objects.dig(pod, *path.split("."), default={}))
    simple = {
        "metadata.name": objects.name(pod),
        "metadata.namespace": objects.namespace(pod),
        "metadata.uid": objects.uid(pod),
        "spec.nodeName": node.name,
        "spec.serviceAccountName": str(pod_spec.spec(pod).get("serviceAccountName") or ""),
        "status.hostIP": node.addresses[0] if node.addresses else "",
        "status.hostIPs": ",".join(node.addresses),
        "status.podIP": node.pod_addresses[0] if node.pod_addresses else "",
        "status.podIPs": ",".join(node.pod_addresses),
    }
    if path not in simple:
        raise FieldProblem(f"unsupported fieldPath: {path}")
    return simple[path]


def _as_lines(values: Mapping[str, str]) -> str:
    """``key="value"`` a line, sorted, with Go's quoting."""
    return "\n".join(f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in sorted(values.items()))


def resource(pod: Object, container_name: str, reference: Object, allocatable: Mapping[str, str]) -> str:
    """The number a ``resourceFieldRef`` selects, rounded up to its divisor. Raises ``FieldProblem``.

    An unset limit is the node's allocatable amount; an unset request is the limit, else 0.
    """
    container = pod_spec.find(pod, reference.get("containerName") or container_name)
    if container is None:
        raise FieldProblem(f"container {reference.get('containerName')} not found")
    kind, _, name = str(reference["resource"]).partition(".")
    if kind not in ("limits", "requests") or not name:
        raise FieldProblem(f"unsupported container resource : {reference['resource']}")
    amounts = container.get("resources") or {}
    text = objects.dig(amounts, kind, name)
    if text is None and kind == "limits":
        text = allocatable.get(name)
    value = quantity.parse(str(text)) if text is not None else quantity.parse("0")
    divisor = quantity.parse(str(reference.get("divisor") or "1"))
    if divisor.milli() == 0:
        divisor = quantity.parse("1")
    if name == "cpu":
        return str(-(-value.milli() // divisor.milli()))
    return str(-(-value.value() // max(divisor.value(), 1)))
