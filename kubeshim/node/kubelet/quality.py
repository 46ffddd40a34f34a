"""From requests and limits to quality of service, and to what the kernel is told.

Source: Kubernetes documentation, "Pod Quality of Service Classes" and "Resource Management for Pods and Containers".
"""

from collections.abc import Iterable, Mapping

from kubeshim.machinery import objects, qos, quantity
from kubeshim.machinery.objects import Object
from kubeshim.node.container_runtime import runtime
from kubeshim.node.kubelet import pod_spec

GUARANTEED, BURSTABLE, BEST_EFFORT = "Guaranteed", "Burstable", "BestEffort"
CLASSES = (GUARANTEED, BURSTABLE, BEST_EFFORT)
_PERIOD = 100_000
_MINIMUM_QUOTA = 1000
LOWEST_OOM_SCORE = -997
_MINIMUM_SHARES, _MAXIMUM_SHARES = 2, 262_144


def qos_class(pod: Object) -> str:
    """``Guaranteed``, ``Burstable`` or ``BestEffort``, by all containers that are not ephemeral."""
    return qos.of(pod_spec.spec(pod))


def _amount(entry: Object, kind: str, name: str) -> int:
    """Thousandths; 0 where it is not given."""
    text = objects.dig(entry, kind, name)
    return 0 if text is None else quantity.parse(str(text)).milli()


def container_resources(pod: Object, container: Object, memory_capacity: int) -> runtime.Resources:
    """What the kernel is told about one container."""
    entry = container.get("resources") or {}
    cpu_request, cpu_limit = _amount(entry, "requests", "cpu"), _amount(entry, "limits", "cpu")
    shares_from = cpu_request or cpu_limit
    memory_limit = _amount(entry, "limits", "memory") // 1000
    return runtime.Resources(
        cpu_shares=shares(shares_from),
        cpu_quota=quota(cpu_limit),
        cpu_period=_PERIOD,
        memory=memory_limit,
        oom_score_adj=oom_score(pod, container, memory_capacity),
    )


def shares(milli_cpu: int) -> int:
    """CPU weight: 1024 for a whole CPU, never below 2."""
    return min(max(milli_cpu * 1024 // 1000, _MINIMUM_SHARES), _MAXIMUM_SHARES)


def quota(milli_cpu: int) -> int:
    """Microseconds of CPU in each period; 0 means unlimited."""
    return max(milli_cpu * _PERIOD // 1000, _MINIMUM_QUOTA) if milli_cpu else 0


def oom_score(pod: Object, container: Object, memory_capacity: int) -> int:
    """The less of its memory a burstable container asked for, the sooner it is killed."""
    if pod_spec.spec(pod).get("priority", 0) >= 2_000_000_000:
        return LOWEST_OOM_SCORE
    kind = qos_class(pod)
    if kind == GUARANTEED:
        return LOWEST_OOM_SCORE
    if kind == BEST_EFFORT:
        return 1000
    request = _amount(container.get("resources") or {}, "requests", "memory") // 1000
    score = 1000 - (1000 * request) // max(memory_capacity, 1)
    return min(max(score, 3), 999)


def cgroup_parent(root: str, pod: Object) -> str:
    """``root/burstable/podUID``, in the runtime's notation."""
    return f"{class_parent(root, qos_class(pod))}/pod{objects.uid(pod)}"


def pod_resources(pod: Object, pids_limit: int = 0) -> runtime.Resources:
    """What the kernel is told about a pod's containers together: limits only where every one of them has one."""
    kind = qos_class(pod)
    cpu, memory = limited(pod, "cpu"), limited(pod, "memory")
    if kind == BEST_EFFORT:
        return runtime.Resources(cpu_shares=_MINIMUM_SHARES, pids=pids_limit, huge_pages=huge_pages(pod))
    return runtime.Resources(
        cpu_shares=shares(requested(pod, "cpu")),
        cpu_quota=quota(cpu or 0),
        memory=(memory or 0) // 1000,
        pids=pids_limit,
        huge_pages=huge_pages(pod),
    )


HUGE_PAGES = "hugepages-"


def huge_pages(pod: Object) -> dict[int, int]:
    """Bytes a pod may use of each size of page it asks for."""
    found = {}
    for name in resource_names(pod):
        if name.startswith(HUGE_PAGES):
            found[quantity.parse(name.removeprefix(HUGE_PAGES)).value()] = (_together(pod, "limits", name)) // 1000
    return found


def class_shares(pods: Iterable[Object]) -> int:
    """CPU weight of all burstable pods of a node together."""
    return shares(sum(requested(pod, "cpu") for pod in pods if qos_class(pod) == BURSTABLE))


def class_parent(root: str, kind: str) -> str:
    return root if kind == GUARANTEED else f"{root}/{kind.lower()}"


def requested(pod: Object, name: str) -> int:
    """Thousandths of a resource the pod needs on its node: containers together or the largest init step, overhead."""
    return _together(pod, "requests", name)


def limited(pod: Object, name: str) -> int | None:
    """Thousandths of a resource the pod may use at most; None where some container has no limit."""
    whole = objects.dig(pod, "spec", "resources", "limits", name)
    every = [*pod_spec.init_containers(pod), *pod_spec.containers(pod)]
    if whole is None and not all(_amount(container.get("resources") or {}, "limits", name) for container in every):
        return None
    return _together(pod, "limits", name)


def _together(pod: Object, kind: str, name: str) -> int:
    whole = objects.dig(pod, "spec", "resources", kind, name)
    running = sum(_of(container, kind, name) for container in pod_spec.containers(pod))
    sidecars, largest = 0, 0
    for container in pod_spec.init_containers(pod):
        amount = _of(container, kind, name)
        if pod_spec.is_sidecar(container):
            sidecars += amount
            largest = max(largest, sidecars)
        else:
            largest = max(largest, sidecars + amount)
    needed = max(running + sidecars, largest)
    if whole is not None:
        needed = quantity.parse(str(whole)).milli()
    overhead = pod_spec.spec(pod).get("overhead") or {}
    return needed + (quantity.parse(str(overhead[name])).milli() if name in overhead else 0)


def _of(container: Object, kind: str, name: str) -> int:
    return _amount(container.get("resources") or {}, kind, name)


def resource_names(pod: Object) -> set[str]:
    """Every resource some container of the pod asks for."""
    names: set[str] = set()
    for container in [*pod_spec.init_containers(pod), *pod_spec.containers(pod)]:
        requests: Mapping[str, str] = objects.dig(container, "resources", "requests", default={})
        names.update(requests)
    return names
