"""``matchLabelKeys`` and ``mismatchLabelKeys``: a pod's own labels, by name, as terms of its selectors.

A new pod's values are written into the selectors themselves, so that a later change of its labels changes nothing.
"""

from collections.abc import Iterator, Mapping
from typing import Any

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_OPERATORS = (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn"))


def merge(spec: dict[str, Any], labels: Mapping[str, str]) -> None:
    """Changes the spec in place. A missing selector stays missing: it selects nothing."""
    for holder in [*_affinity_terms(spec.get("affinity") or {}), *(spec.get("topologySpreadConstraints") or ())]:
        selector = holder.get("labelSelector")
        added = [
            {"key": key, "operator": operator, "values": [labels[key]]}
            for field, operator in _OPERATORS
            for key in holder.get(field) or ()
            if key in labels
        ]
        if selector is not None and added:
            expressions = [*(selector.get("matchExpressions") or ()), *added]
            holder["labelSelector"] = {**selector, "matchExpressions": expressions}


def _affinity_terms(affinity: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for field in ("podAffinity", "podAntiAffinity"):
        found = affinity.get(field) or {}
        for weighted in found.get(_PREFERRED) or ():
            if weighted.get("podAffinityTerm"):
                yield weighted["podAffinityTerm"]
        yield from found.get(_REQUIRED) or ()
