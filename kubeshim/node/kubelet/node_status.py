"""The Node object as this kubelet wants it: labels, capacity, addresses, conditions, images. Pure.

What others wrote is kept: labels, annotations, taints, and resources of capacity and allocatable that this kubelet
does not know (device plugins', tests'). Only a change, or the passing of five minutes, is written.
"""

import dataclasses
from collections.abc import Mapping, Sequence

from kubeshim.machinery import objects, quantity
from kubeshim.machinery.objects import Object
from kubeshim.node.container_runtime import runtime
from kubeshim.node.kubelet import config, machine, mounts, shutdown

VERSION = "v1.37.0"
"""The kubelet version told to the API: that of the Kubernetes this behaves like."""
_MOST_IMAGES = 50
_FEATURES = {"recursiveReadOnlyMounts": mounts.recursive_read_only(), "userNamespaces": False}
_OWN_CAPACITY = ("cpu", "memory", "ephemeral-storage", "pods")


@dataclasses.dataclass(frozen=True, slots=True)
class Health:
    """What decides the conditions. Empty texts are good news."""

    runtime_problem: str = ""
    network_problem: str = ""
    shutting_down: bool = False
    pressures: frozenset[str] = frozenset()
    """Conditions the node has, of ``MemoryPressure``, ``DiskPressure`` and ``PIDPressure``."""


@dataclasses.dataclass(frozen=True, slots=True)
class Facts:
    """All that goes into the Node's status."""

    hardware: machine.Machine
    load: machine.Load
    info: runtime.Info | None
    images: Sequence[runtime.Image]
    health: Health
    now: str
    """RFC 3339."""


def labels(settings: config.KubeletConfig, facts: machine.Machine) -> dict[str, str]:
    return {
        "kubernetes.io/hostname": settings.node_name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": facts.architecture,
        "beta.kubernetes.io/os": "linux",
        "beta.kubernetes.io/arch": facts.architecture,
        **settings.node_labels,
    }


def annotations(settings: config.KubeletConfig) -> dict[str, str]:
    return {"volumes.kubernetes.io/controller-managed-attach-detach": "true", **settings.node_annotations}


def new_node(settings: config.KubeletConfig, facts: machine.Machine, status: Object, pod_cidr: str = "") -> Object:
    """What is created where the API has no such node."""
    spec: Object = {}
    if settings.register_with_taints:
        spec["taints"] = [dict(taint) for taint in settings.register_with_taints]
    if settings.provider_id:
        spec["providerID"] = settings.provider_id
    if pod_cidr:
        spec |= {"podCIDR": pod_cidr, "podCIDRs": [pod_cidr]}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": settings.node_name,
            "labels": labels(settings, facts),
            "annotations": annotations(settings),
        },
        "spec": spec,
        "status": status,
    }


def status(settings: config.KubeletConfig, facts: Facts, old: Object) -> Object:
    """``old`` is the status the API has (empty for a new node)."""
    capacity = _capacity(settings, facts)
    allocatable = _allocatable(settings, capacity)
    foreign = _foreign(old.get("capacity"))
    return {
        **{field: value for field, value in old.items() if field in ("volumesInUse", "volumesAttached", "phase")},
        "capacity": {**foreign, **capacity},
        "allocatable": {**foreign, **allocatable},
        "conditions": _conditions(facts, old.get("conditions") or []),
        "addresses": [
            *({"type": "InternalIP", "address": address} for address in settings.node_ips),
            {"type": "Hostname", "address": settings.node_name},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": settings.port}},
        "nodeInfo": _node_info(facts),
        "images": _images(facts.images),
        "runtimeHandlers": [{"name": name, "features": _FEATURES} for name in _handlers(facts.info)],
        "features": {"supplementalGroupsPolicy": False},
    }


def _handlers(info: runtime.Info | None) -> list[str]:
    """What RuntimeClasses may name: the engine's default, then each of its runtimes."""
    known = (info.details.get("Runtimes") or {}) if info else {}
    return ["", *sorted(known)]


def has_news(node: Object) -> bool:
    """Whether somebody changed the capacity of a resource that is not ours: all of it can be allocated then."""
    found = node.get("status") or {}
    return _foreign(found.get("capacity")) != _foreign(found.get("allocatable"))


def _foreign(found: Mapping[str, str] | None) -> dict[str, str]:
    return {name: value for name, value in (found or {}).items() if not _is_own(name)}


def _is_own(name: str) -> bool:
    return name in _OWN_CAPACITY or name.startswith("hugepages-")


def _capacity(settings: config.KubeletConfig, facts: Facts) -> dict[str, str]:
    return {
        "cpu": str(facts.hardware.cpus),
        "memory": f"{facts.hardware.memory // 1024}Ki",
        "ephemeral-storage": f"{facts.load.disk_total // 1024}Ki",
        "hugepages-1Gi": "0",
        "hugepages-2Mi": "0",
        **{name: quantity.of(size, "BinarySI").canonical() for name, size in facts.hardware.huge_pages.items()},
        "pods": str(settings.max_pods),
    }


def _allocatable(settings: config.KubeletConfig, capacity: Mapping[str, str]) -> dict[str, str]:
    found = dict(capacity)
    for name, reserved in settings.system_reserved.items():
        if name in found:
            left = quantity.parse(found[name]) - quantity.parse(reserved)
            found[name] = left.canonical()
    set_aside = sum(quantity.parse(size).value() for name, size in capacity.items() if name.startswith("hugepages-"))
    if set_aside:  # nobody else can have that memory
        left = quantity.parse(found["memory"]) - quantity.of(set_aside, "BinarySI")
        found["memory"] = max(left, quantity.of(0, "BinarySI")).canonical()
    return found


def _node_info(facts: Facts) -> Object:
    info = facts.info
    found: Object = {
        "machineID": facts.hardware.machine_id,
        "systemUUID": facts.hardware.system_uuid,
        "bootID": facts.hardware.boot_id,
        "kernelVersion": facts.hardware.kernel,
        "osImage": facts.hardware.os_image,
        "containerRuntimeVersion": f"{info.name}://{info.version}" if info else "docker://unknown",
        "kubeletVersion": VERSION,
        "kubeProxyVersion": "",
        "operatingSystem": "linux",
        "architecture": facts.hardware.architecture,
    }
    if facts.hardware.swap:
        found["swap"] = {"capacity": facts.hardware.swap}
    return found


def _images(images: Sequence[runtime.Image]) -> list[Object]:
    """The largest, as many as the API likes to carry about."""
    named = [image for image in images if image.tags or image.digests]
    largest = sorted(named, key=lambda image: image.size, reverse=True)[:_MOST_IMAGES]
    return [{"names": [*image.digests, *image.tags][:5], "sizeBytes": image.size} for image in largest]


def _conditions(facts: Facts, old: Sequence[Object]) -> list[Object]:
    pressures = facts.health.pressures
    low_memory, low_disk, few_pids = (name in pressures for name in ("MemoryPressure", "DiskPressure", "PIDPressure"))
    wanted = [
        _pressure("MemoryPressure", low_memory, "InsufficientMemory", "SufficientMemory", "memory available"),
        _pressure("DiskPressure", low_disk, "DiskPressure", "NoDiskPressure", "disk pressure", plural=False),
        _pressure("PIDPressure", few_pids, "InsufficientPID", "SufficientPID", "PID available"),
        _ready(facts.health),
    ]
    if not low_disk:
        wanted[1] |= {"reason": "KubeletHasNoDiskPressure", "message": "kubelet has no disk pressure"}
    before = {entry["type"]: entry for entry in old}
    made = [_timed(entry, before.get(entry["type"]), facts.now) for entry in wanted]
    names = {entry["type"] for entry in wanted}
    return [entry for entry in old if entry["type"] not in names] + made


def _pressure(kind: str, is_low: bool, bad: str, good: str, words: str, *, plural: bool = True) -> Object:
    adjective = ("insufficient " if is_low else "sufficient ") if plural else ""
    reason = f"KubeletHas{bad if is_low else good}"
    return {"type": kind, "status": str(is_low), "reason": reason, "message": f"kubelet has {adjective}{words}"}


def _ready(health: Health) -> Object:
    problems = []
    if health.runtime_problem:
        problems.append(f"container runtime is down: {health.runtime_problem}")
    if health.network_problem:
        problems.append(
            "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady "
            f"message:{health.network_problem}"
        )
    if health.shutting_down:
        problems.append(shutdown.PROBLEM)
    if problems:
        message = problems[0] if len(problems) == 1 else "[" + ", ".join(problems) + "]"
        return not_ready(message)
    return {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status"}


def not_ready(message: str) -> Object:
    return {"type": "Ready", "status": "False", "reason": "KubeletNotReady", "message": message}


def _timed(entry: Object, old: Object | None, now: str) -> Object:
    same = old is not None and old.get("status") == entry["status"]
    return {"lastHeartbeatTime": now, "lastTransitionTime": old["lastTransitionTime"] if same and old else now, **entry}


def unchanged(old: Object, new: Object) -> bool:
    """Whether nothing but heartbeat times differs."""
    return _without_heartbeats(old) == _without_heartbeats(new)


def _without_heartbeats(found: Object) -> Object:
    conditions = [
        {field: value for field, value in entry.items() if field != "lastHeartbeatTime"}
        for entry in found.get("conditions") or ()
    ]
    return {**found, "conditions": conditions}


def patch(old: Object, new: Object) -> Object:
    """The strategic merge patch of ``status`` that turns ``old`` into ``new``.

    Of conditions and resources only what differs is named: the rest is others', who may have changed it since ``old``.
    """
    made: Object = {}
    for field, value in new.items():
        before = old.get(field)
        if before == value:
            continue
        if field == "addresses":
            made[field] = [*value, {"$patch": "replace"}]
        elif field == "conditions":
            made[field] = [entry for entry in value if entry not in (before or ())]
        elif field in ("capacity", "allocatable"):
            gone: Object = {name: None for name in before or {} if name not in value}
            made[field] = {name: size for name, size in value.items() if (before or {}).get(name) != size} | gone
        else:
            made[field] = value
    return made


def missing_labels(node: Object, settings: config.KubeletConfig, facts: machine.Machine) -> dict[str, str]:
    """Own labels that the API's node lacks or has otherwise."""
    wanted = labels(settings, facts)
    return {name: value for name, value in wanted.items() if objects.labels(node).get(name) != value}


def missing_annotations(node: Object, settings: config.KubeletConfig) -> dict[str, str]:
    wanted = annotations(settings)
    return {name: value for name, value in wanted.items() if objects.annotations(node).get(name) != value}
