"""Whether a node is one a pod may stand on: selector, required affinity, taints. Pure."""

from collections.abc import Mapping, Sequence

from kubeshim.machinery import objects
from kubeshim.machinery.objects import Object
from kubeshim.node.kubelet import pod_spec


def matches(pod: Object, node: Object) -> bool:
    """The node's labels satisfy ``nodeSelector`` and the required node affinity."""
    labels = objects.labels(node)
    selector: Mapping[str, str] = pod_spec.spec(pod).get("nodeSelector") or {}
    if any(labels.get(key) != value for key, value in selector.items()):
        return False
    required = objects.dig(
        pod, "spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms"
    )
    return required is None or any(_term(term, labels, objects.name(node)) for term in required)


def _term(term: Object, labels: Mapping[str, str], name: str) -> bool:
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    return all(_requirement(each, labels) for each in expressions) and all(
        _requirement(each, {"metadata.name": name}) for each in fields
    )


def _requirement(entry: Object, labels: Mapping[str, str]) -> bool:
    key, operator, values = entry["key"], entry["operator"], entry.get("values") or []
    present = key in labels
    if operator == "In":
        return present and labels[key] in values
    if operator == "NotIn":
        return not present or labels[key] not in values
    if operator == "Exists":
        return present
    if operator == "DoesNotExist":
        return not present
    try:
        number, bound = int(labels[key]), int(values[0])
    except (KeyError, ValueError, IndexError):
        return False
    return number > bound if operator == "Gt" else number < bound


def untolerated(pod: Object, node: Object, effects: Sequence[str]) -> str:
    """The first taint with one of these effects that the pod does not tolerate, as ``{key: value}``; else empty."""
    tolerations = pod_spec.spec(pod).get("tolerations") or ()
    for taint in objects.dig(node, "spec", "taints", default=()):
        if taint.get("effect") in effects and not any(tolerates(each, taint) for each in tolerations):
            return f"{{{taint['key']}: {taint.get('value') or ''}}}"
    return ""


def tolerates(toleration: Object, taint: Object) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint.get("key"):
        return False
    if (toleration.get("operator") or "Equal") == "Exists":
        return True
    return bool(toleration.get("key")) and (toleration.get("value") or "") == (taint.get("value") or "")
