"""A pod as the scheduler sees it: what it asks for, worked out once."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from kubeshim.machinery import objects, pod_resources, quantity, selectors
from kubeshim.machinery.objects import Object

DEFAULTS = {"cpu": "100m", "memory": "200Mi"}
"""What a container without requests counts as when nodes are scored, so that such pods spread too."""

Amounts = dict[str, int]
"""Resource name → amount: ``cpu`` in thousandths, all else in whole units."""


def amount(name: str, text: Any) -> int:
    parsed = quantity.parse(text)
    return parsed.milli() if name == "cpu" else parsed.value()


def amounts(values: Mapping[str, Any] | None) -> Amounts:
    return {name: amount(name, text) for name, text in (values or {}).items()}


def add(total: Amounts, more: Mapping[str, int]) -> None:
    for name, number in more.items():
        total[name] = total.get(name, 0) + number


def subtract(total: Amounts, less: Mapping[str, int]) -> None:
    for name, number in less.items():
        left = total.get(name, 0) - number
        if left:
            total[name] = left
        else:
            total.pop(name, None)


def requests(pod: Object) -> Amounts:
    """What the whole pod requests, or still holds where it is being made smaller."""
    return _units(pod_resources.total(pod, "requests", with_status=True))


def scored(pod: Object) -> Amounts:
    """The same, with something for containers that request nothing."""
    spec = pod["spec"]
    filled = {
        **spec,
        "containers": [_filled(container) for container in spec.get("containers") or ()],
        "initContainers": [_filled(container) for container in spec.get("initContainers") or ()],
    }
    return _units(pod_resources.total({**pod, "spec": filled}, "requests", with_status=True))


def _filled(container: Mapping[str, Any]) -> dict[str, Any]:
    resources = container.get("resources") or {}
    asked = {**DEFAULTS, **(resources.get("requests") or {})}
    return {**container, "resources": {**resources, "requests": asked}}


def _units(found: Mapping[str, quantity.Quantity]) -> Amounts:
    return {name: number.milli() if name == "cpu" else number.value() for name, number in found.items()}


@dataclasses.dataclass(frozen=True, slots=True)
class Term:
    """A pod affinity term: pods that ``selector`` matches, in ``namespaces``, by ``topology_key``."""

    selector: selectors.LabelSelector
    namespaces: frozenset[str]
    namespace_selector: selectors.LabelSelector | None
    topology_key: str
    weight: int = 0

    def matches(self, pod: "PodInfo", namespace_labels: Mapping[str, Mapping[str, str]]) -> bool:
        if pod.namespace not in self.namespaces and (
            self.namespace_selector is None
            or not self.namespace_selector.matches(namespace_labels.get(pod.namespace, {}))
        ):
            return False
        return self.selector.matches(pod.labels)


@dataclasses.dataclass(slots=True, eq=False)
class PodInfo:
    """``attempts``, ``since`` and ``tried_since`` are the queue's; the rest does not change."""

    pod: Object
    key: str
    uid: str
    namespace: str
    labels: Mapping[str, str]
    priority: int
    requests: Amounts
    scored: Amounts
    ports: tuple[tuple[str, str, int], ...]
    """``(host IP, protocol, port)``."""
    affinity: tuple[Term, ...]
    anti_affinity: tuple[Term, ...]
    preferred_affinity: tuple[Term, ...]
    preferred_anti_affinity: tuple[Term, ...]
    created: str
    attempts: int = 0
    since: float = 0.0
    """When it entered the queue (monotonic)."""
    tried_since: float = 0.0
    """When it was tried first."""
    nominated: str = ""

    @property
    def spec(self) -> Mapping[str, Any]:
        spec: Mapping[str, Any] = self.pod["spec"]
        return spec

    def take_over(self, former: "PodInfo") -> None:
        """What the queue knows of the same pod."""
        self.attempts, self.since, self.tried_since = former.attempts, former.since, former.tried_since


def of(pod: Object) -> PodInfo:
    spec = pod["spec"]
    affinity = spec.get("affinity") or {}
    return PodInfo(
        pod=pod,
        key=objects.key(pod),
        uid=objects.uid(pod),
        namespace=objects.namespace(pod),
        labels=objects.labels(pod),
        priority=int(spec.get("priority") or 0),
        requests=requests(pod),
        scored=scored(pod),
        ports=_ports(spec),
        affinity=_terms(pod, affinity.get("podAffinity"), preferred=False),
        anti_affinity=_terms(pod, affinity.get("podAntiAffinity"), preferred=False),
        preferred_affinity=_terms(pod, affinity.get("podAffinity"), preferred=True),
        preferred_anti_affinity=_terms(pod, affinity.get("podAntiAffinity"), preferred=True),
        created=str(objects.dig(pod, "metadata", "creationTimestamp", default="")),
        nominated=str(objects.dig(pod, "status", "nominatedNodeName", default="")),
    )


def _ports(spec: Mapping[str, Any]) -> tuple[tuple[str, str, int], ...]:
    containers = list(spec.get("containers") or ())
    containers += [one for one in spec.get("initContainers") or () if one.get("restartPolicy") == "Always"]
    return tuple(
        (port.get("hostIP") or "0.0.0.0", port.get("protocol") or "TCP", int(port["hostPort"]))
        for container in containers
        for port in container.get("ports") or ()
        if port.get("hostPort")
    )


def _terms(pod: Object, affinity: Mapping[str, Any] | None, *, preferred: bool) -> tuple[Term, ...]:
    affinity = affinity or {}
    if preferred:
        weighted = affinity.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        return tuple(_term(pod, one["podAffinityTerm"], int(one.get("weight") or 0)) for one in weighted)
    return tuple(_term(pod, one, 0) for one in affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or ())


def _term(pod: Object, term: Mapping[str, Any], weight: int) -> Term:
    selector = term.get("labelSelector")
    expressions = list((selector or {}).get("matchExpressions") or ())
    labels = objects.labels(pod)
    for field, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")):
        for key in term.get(field) or ():
            if key in labels:
                expressions.append({"key": key, "operator": operator, "values": [labels[key]]})
    if selector is not None:
        selector = {**selector, "matchExpressions": expressions}
    namespaces = frozenset(term.get("namespaces") or ())
    by_labels = term.get("namespaceSelector")
    if not namespaces and by_labels is None:
        namespaces = frozenset({objects.namespace(pod)})
    return Term(
        selectors.from_label_selector(selector),
        namespaces,
        selectors.from_label_selector(by_labels) if by_labels is not None else None,
        str(term.get("topologyKey") or ""),
        weight,
    )
