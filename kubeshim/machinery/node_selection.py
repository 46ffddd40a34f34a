"""Whether a pod may be on a node, as far as labels and taints say: affinity, selectors, tolerations. Pure.

The scheduler asks before binding, the DaemonSet controller before making a pod, the taint eviction controller and
the kubelet afterwards; they must never disagree.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kubeshim.machinery import objects, selectors
from kubeshim.machinery.objects import Object

Taint = Mapping[str, Any]
Toleration = Mapping[str, Any]


def tolerates(toleration: Toleration, taint: Taint) -> bool:
    """One toleration against one taint. An empty key with ``Exists`` tolerates everything."""
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint.get("key"):
        return False
    operator = toleration.get("operator") or "Equal"
    if operator == "Exists":
        return True
    if not toleration.get("key"):
        return False
    ours, theirs = toleration.get("value") or "", taint.get("value") or ""
    if operator in ("Gt", "Lt"):
        return _compares(operator, theirs, ours)
    return bool(ours == theirs)


def _compares(operator: str, taint_value: str, toleration_value: str) -> bool:
    try:
        left, right = int(taint_value), int(toleration_value)
    except ValueError:
        return False
    return left > right if operator == "Gt" else left < right


def tolerated(taint: Taint, tolerations: Iterable[Toleration]) -> bool:
    return any(tolerates(toleration, taint) for toleration in tolerations)


def first_untolerated(
    taints: Iterable[Taint], tolerations: Sequence[Toleration], effects: Iterable[str]
) -> Taint | None:
    """The first taint of one of ``effects`` that nothing tolerates."""
    wanted = frozenset(effects)
    for taint in taints:
        if taint.get("effect") in wanted and not tolerated(taint, tolerations):
            return taint
    return None


def matches_term(term: Mapping[str, Any], node: Object) -> bool:
    """A ``NodeSelectorTerm``: all its expressions and fields hold; an empty term matches nothing."""
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    try:
        if expressions and not selectors.from_node_selector_requirements(expressions).matches(objects.labels(node)):
            return False
    except selectors.SelectorError:
        return False
    return all(_matches_field(field, node) for field in fields)


def _matches_field(field: Mapping[str, Any], node: Object) -> bool:
    if field.get("key") != "metadata.name":
        return False
    inside = objects.name(node) in (field.get("values") or ())
    return inside if field.get("operator") == "In" else field.get("operator") == "NotIn" and not inside


def matches_any_term(terms: Iterable[Mapping[str, Any]], node: Object) -> bool:
    """A ``NodeSelector``: one of its terms holds."""
    return any(matches_term(term, node) for term in terms)


def matches_required(spec: Mapping[str, Any], node: Object) -> bool:
    """Whether ``nodeSelector`` and required node affinity of a pod's spec admit the node."""
    labels = objects.labels(node)
    if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    required = objects.dig(spec, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution")
    return required is None or matches_any_term(required.get("nodeSelectorTerms") or (), node)
