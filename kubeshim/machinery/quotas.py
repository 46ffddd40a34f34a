"""What an object counts as in ResourceQuotas, and which quotas it falls under.

Admission charges by this and the resource-quota controller recounts by it. Types that have a measure of their own
are in ``_MEASURES``; of every other one, objects are counted (``count/RESOURCE.GROUP``, for some core types under their
plain name too).
"""

import datetime
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kubeshim import clock
from kubeshim.machinery import objects, pod_resources, qos, quantity, selectors

Amounts = pod_resources.Amounts

_ONE = quantity.of(1)
_PLAIN_NAMES = frozenset(("configmaps", "resourcequotas", "replicationcontrollers", "secrets"))
_COMPUTE = ("cpu", "memory", "ephemeral-storage")
_POD_NAMES = frozenset(
    ("count/pods", "pods", *_COMPUTE, *(f"{what}.{name}" for what in ("requests", "limits") for name in _COMPUTE))
)
_SERVICE_NAMES = frozenset(("count/services", "services", "services.nodeports", "services.loadbalancers"))
_BY_CLASS = ".storageclass.storage.k8s.io/"
_CLAIM_NAMES = ("persistentvolumeclaims", "requests.storage")
_DEVICES = ".deviceclass.resource.k8s.io/devices"
_MOST_DEVICES = 32
"""How many devices a request for all of a class may get."""
MUST_SPECIFY = frozenset(("cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"))
"""Where one of these is limited, every container has to say how much it wants."""


def usage(group_resource: str, obj: objects.Object, now: datetime.datetime) -> Amounts:
    """What ``obj`` counts as. Raises ``quantity.FormatError``."""
    measure = _MEASURES.get(group_resource)
    if measure is not None:
        return measure(obj, now)
    counted = {f"count/{group_resource}": _ONE}
    if group_resource in _PLAIN_NAMES:
        counted[group_resource] = _ONE
    return counted


def concerning(group_resource: str, names: Iterable[str]) -> list[str]:
    """Those of a quota's resource names that objects of the type may count as."""
    match group_resource:
        case "pods":
            return [name for name in names if _is_of_pods(name)]
        case "services":
            return [name for name in names if name in _SERVICE_NAMES]
        case "persistentvolumeclaims":
            return [name for name in names if _is_of_claims(name)]
        case "resourceclaims.resource.k8s.io":
            return [name for name in names if name == f"count/{group_resource}" or name.endswith(_DEVICES)]
    own = {f"count/{group_resource}"} | ({group_resource} & _PLAIN_NAMES)
    return [name for name in names if name in own]


def in_scope(group_resource: str, quota: objects.Object, obj: objects.Object) -> bool:
    """Whether ``obj`` has every property the quota's scopes ask for. Raises ``selectors.SelectorError``."""
    spec = quota.get("spec") or {}
    wanted = [{"scopeName": scope, "operator": "Exists"} for scope in spec.get("scopes") or ()]
    wanted += objects.dig(spec, "scopeSelector", "matchExpressions", default=[])
    if not wanted:
        return True
    matches = {"pods": _pod_has, "persistentvolumeclaims": _claim_has}.get(group_resource)
    return matches is not None and all(matches(obj, requirement) for requirement in wanted)


# --- pods -----------------------------------------------------------------------------------------------------------


def of_container(resources: Mapping[str, Any]) -> Amounts:
    """The names under which one container's (or pod's) requests and limits count."""
    return _compute(pod_resources.parse(resources.get("requests")), pod_resources.parse(resources.get("limits")))


def _of_pod(pod: objects.Object, now: datetime.datetime) -> Amounts:
    if _is_over(pod, now):
        return {"count/pods": _ONE}
    requests = pod_resources.total(pod, "requests", with_status=True)
    limits = pod_resources.total(pod, "limits", with_status=True)
    return {"count/pods": _ONE, "pods": _ONE, **_compute(requests, limits)}


def _compute(requests: Amounts, limits: Amounts) -> Amounts:
    found: Amounts = {}
    for name, amount in requests.items():
        if name in _COMPUTE or name.startswith("hugepages-"):
            found[name] = amount
            found[f"requests.{name}"] = amount
        elif _is_extended(name):
            found[f"requests.{name}"] = amount
    for name in _COMPUTE:
        if name in limits:
            found[f"limits.{name}"] = limits[name]
    return found


def _is_over(pod: objects.Object, now: datetime.datetime) -> bool:
    """Finished, or long past the end of its deletion."""
    if objects.dig(pod, "status", "phase") in ("Failed", "Succeeded"):
        return True
    metadata = pod.get("metadata") or {}
    grace = metadata.get("deletionGracePeriodSeconds")
    if not metadata.get("deletionTimestamp") or grace is None:
        return False
    return now > clock.parse_rfc3339(metadata["deletionTimestamp"]) + datetime.timedelta(seconds=grace)


def _is_extended(name: str) -> bool:
    """``vendor.example/device``: neither Kubernetes' own nor a quota's name."""
    domain, slash, _ = name.partition("/")
    native = not slash or domain == "kubernetes.io" or domain.endswith(".kubernetes.io")
    return not native and not name.startswith("requests.")


def _is_of_pods(name: str) -> bool:
    if name in _POD_NAMES or name.startswith(("hugepages-", "requests.hugepages-")):
        return True
    return name.startswith("requests.") and _is_extended(name.removeprefix("requests."))


def _pod_has(pod: objects.Object, requirement: Mapping[str, Any]) -> bool:
    spec = pod.get("spec") or {}
    deadline = spec.get("activeDeadlineSeconds")
    match requirement.get("scopeName"):
        case "Terminating":
            return deadline is not None and deadline >= 0
        case "NotTerminating":
            return deadline is None or deadline < 0
        case "BestEffort":
            return qos.of(spec) == "BestEffort"
        case "NotBestEffort":
            return qos.of(spec) != "BestEffort"
        case "PriorityClass":
            name = spec.get("priorityClassName") or ""
            return _selects(requirement, [name] if name else [])
        case "CrossNamespacePodAffinity":
            return any(map(_crosses, _affinity_terms(spec)))
    return False


def _selects(requirement: Mapping[str, Any], names: list[str]) -> bool:
    """Whether one of ``names`` (or their absence) is what the requirement wants."""
    if requirement.get("operator") == "Exists":
        return bool(names)
    scope = str(requirement.get("scopeName"))
    wanted = {"key": scope, "operator": requirement.get("operator"), "values": requirement.get("values")}
    selector = selectors.from_label_selector({"matchExpressions": [wanted]})
    return any(selector.matches({scope: name}) for name in names) if names else selector.matches({})


def _affinity_terms(spec: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    for kind in ("podAffinity", "podAntiAffinity"):
        terms = objects.dig(spec, "affinity", kind, default={})
        yield from terms.get("requiredDuringSchedulingIgnoredDuringExecution") or ()
        for weighted in terms.get("preferredDuringSchedulingIgnoredDuringExecution") or ():
            yield weighted.get("podAffinityTerm") or {}


def _crosses(term: Mapping[str, Any]) -> bool:
    return bool(term.get("namespaces")) or term.get("namespaceSelector") is not None


# --- services, claims -----------------------------------------------------------------------------------------------


def _of_service(service: objects.Object, now: datetime.datetime) -> Amounts:
    spec = service.get("spec") or {}
    ports = spec.get("ports") or []
    node_ports = balancers = 0
    if spec.get("type") == "NodePort":
        node_ports = len(ports)
    elif spec.get("type") == "LoadBalancer":
        balancers = 1
        chosen = spec.get("allocateLoadBalancerNodePorts") is False
        node_ports = sum(1 for port in ports if port.get("nodePort")) if chosen else len(ports)
    return {
        "count/services": _ONE,
        "services": _ONE,
        "services.nodeports": quantity.of(node_ports),
        "services.loadbalancers": quantity.of(balancers),
    }


def _of_claim(claim: objects.Object, now: datetime.datetime) -> Amounts:
    found = {"count/persistentvolumeclaims": _ONE, "persistentvolumeclaims": _ONE}
    requested = objects.dig(claim, "spec", "resources", "requests", "storage")
    if requested is not None:
        amount = quantity.parse(requested)
        allocated = objects.dig(claim, "status", "allocatedResources", "storage")
        if allocated is not None:
            amount = max(amount, quantity.parse(allocated))
        found["requests.storage"] = quantity.of(amount.value(), amount.notation)
    name = objects.annotations(claim).get("volume.beta.kubernetes.io/storage-class")
    name = name or objects.dig(claim, "spec", "storageClassName")
    if name:
        found |= {f"{name}{_BY_CLASS}{own}": found[own] for own in _CLAIM_NAMES if own in found}
    return found


def _is_of_claims(name: str) -> bool:
    own = _CLAIM_NAMES
    return name in own or name == "count/persistentvolumeclaims" or name.endswith(tuple(_BY_CLASS + one for one in own))


def _claim_has(claim: objects.Object, requirement: Mapping[str, Any]) -> bool:
    if requirement.get("scopeName") != "VolumeAttributesClass":
        return False
    names = (
        objects.dig(claim, "spec", "volumeAttributesClassName"),
        objects.dig(claim, "status", "currentVolumeAttributesClassName"),
        objects.dig(claim, "status", "modifyVolumeStatus", "targetVolumeAttributesClassName"),
    )
    return _selects(requirement, [str(name) for name in names if name])


def _of_resource_claim(claim: objects.Object, now: datetime.datetime) -> Amounts:
    found = {"count/resourceclaims.resource.k8s.io": _ONE}
    for request in objects.dig(claim, "spec", "devices", "requests", default=()):
        most: Amounts = {}
        exactly = request.get("exactly")
        for wanted in [exactly] if exactly else request.get("firstAvailable") or ():
            number = _MOST_DEVICES if wanted.get("allocationMode") == "All" else int(wanted.get("count") or 1)
            pod_resources.raise_to(most, {f"{wanted.get('deviceClassName')}{_DEVICES}": quantity.of(number)})
        pod_resources.add(found, most)
    return found


_MEASURES: dict[str, Callable[[objects.Object, datetime.datetime], Amounts]] = {
    "pods": _of_pod,
    "services": _of_service,
    "persistentvolumeclaims": _of_claim,
    "resourceclaims.resource.k8s.io": _of_resource_claim,
}
